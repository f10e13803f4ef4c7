"""The rules file: JSON between the control plane, which writes it, and the service, which watches it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from meshgate.core import typed_json
from meshgate.core.secret import Secret
from meshgate.model.policy import (
    ConsumerLimits,
    LimitBy,
    Limits,
    LimitStore,
    RateLimit,
    RedisTarget,
    ResponseRateLimit,
)
from meshgate.ratelimit.windows import Window
from meshgate.stores.settings_file import SettingsError, replace_file

FORMAT = 1
"""Goes up when an old service could misread a new file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _ResponseRules:
    """Those by what answers cost, as they are written."""

    rules: tuple[ResponseRateLimit, ...] = ()


def write_rules(path: Path, rules: Iterable[RateLimit], responses: Iterable[ResponseRateLimit] = ()) -> None:
    """Replaces the rules file where it would say something else. Raises `OSError`."""
    replace_file(path, serialise(rules, responses).encode())


def serialise(rules: Iterable[RateLimit], responses: Iterable[ResponseRateLimit] = ()) -> str:
    """The file's text, sorted by id; it holds the passwords in the clear.

    Rules of the same id are one rule (one edge rule may be lowered to several routes).
    """
    ordered = [rule for _, rule in sorted({rule.rule_id: rule for rule in rules}.items())]
    document: dict[str, Any] = {"format": FORMAT, "rules": [_rule_to_json(rule) for rule in ordered]}
    costs = tuple(rule for _, rule in sorted({rule.rule_id: rule for rule in responses}.items()))
    document["responses"] = typed_json.dump(_ResponseRules(rules=costs))
    return json.dumps(document, indent=1) + "\n"


def parse_responses(text: bytes | str) -> Mapping[str, ResponseRateLimit]:
    """The rules by what answers cost, by id, read-only. Raises `SettingsError`."""
    try:
        written = json.loads(text).get("responses")
        found = typed_json.load(_ResponseRules, written) if written else _ResponseRules()
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise SettingsError("responses: not what is written there") from error
    return MappingProxyType({rule.rule_id: rule for rule in found.rules})


def parse(text: bytes | str) -> Mapping[str, RateLimit]:
    """The rules by id, read-only. Raises `SettingsError`."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SettingsError("not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("rules"), list):
        raise SettingsError("not an object with a list named rules")
    if document.get("format") != FORMAT:
        raise SettingsError(f"format must be {FORMAT}")
    rules: dict[str, RateLimit] = {}
    for position, entry in enumerate(document["rules"]):
        rule = _rule(_Fields(f"rules[{position}]", entry))
        if rule.rule_id in rules:
            raise SettingsError(f"rules[{position}]: its rule_id is used twice")
        rules[rule.rule_id] = rule
    return MappingProxyType(rules)


def _limits_to_json(limits: Limits) -> dict[str, int]:
    return dict(limits.windows())


def _rule_to_json(rule: RateLimit) -> dict[str, Any]:
    document: dict[str, Any] = {
        "rule_id": rule.rule_id,
        "limits": _limits_to_json(rule.limits),
        "limit_by": rule.limit_by.value,
        "header_name": rule.header_name,
        "path": rule.path,
        "service_id": rule.service_id,
        "store": rule.store.value,
        "fault_tolerant": rule.fault_tolerant,
        "hide_client_headers": rule.hide_client_headers,
        "error_code": rule.error_code,
        "error_message": rule.error_message,
        "consumer_limits": [
            {"consumer_id": each.consumer_id, "limits": _limits_to_json(each.limits)}
            for each in rule.consumer_limits
        ],
    }
    if rule.redis is not None:
        document["redis"] = {
            "host": rule.redis.host,
            "port": rule.redis.port,
            "username": rule.redis.username,
            "password": rule.redis.password.reveal_text() if rule.redis.password else None,
            "database": rule.redis.database,
            "ssl": rule.redis.ssl,
            "ssl_verify": rule.redis.ssl_verify,
            "server_name": rule.redis.server_name,
            "timeout_ms": rule.redis.timeout_ms,
        }
    return document


class _Fields:
    """Takes fields out of one JSON object with their types checked; what is left over is an error."""

    def __init__(self, where: str, document: object) -> None:
        if not isinstance(document, dict):
            raise SettingsError(f"{where}: not an object")
        self.where = where
        self._left: dict[str, Any] = dict(document)

    def text(self, name: str, default: str | None = None) -> str:
        value = self._left.pop(name, default)
        if not isinstance(value, str):
            raise SettingsError(f"{self.where}.{name}: must be a string")
        return value

    def flag(self, name: str, default: bool) -> bool:
        value = self._left.pop(name, default)
        if not isinstance(value, bool):
            raise SettingsError(f"{self.where}.{name}: must be true or false")
        return value

    def number(self, name: str, default: int | None, low: int, high: int) -> int:
        value = self._left.pop(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise SettingsError(f"{self.where}.{name}: must be a whole number from {low} to {high}")
        return value

    def object(self, name: str) -> dict[str, Any] | None:
        value = self._left.pop(name, None)
        if value is not None and not isinstance(value, dict):
            raise SettingsError(f"{self.where}.{name}: must be an object")
        return value

    def list(self, name: str) -> list[Any]:
        value = self._left.pop(name, [])
        if not isinstance(value, list):
            raise SettingsError(f"{self.where}.{name}: must be a list")
        return value

    def has(self, name: str) -> bool:
        return self._left.get(name) is not None

    def end(self) -> None:
        if self._left:
            raise SettingsError(f"{self.where}: unknown field {sorted(self._left)[0][:64]!r}")


def _limits(fields: _Fields) -> Limits:
    # 2**53: what Lua in Redis can still compare exactly.
    found = {w.value: fields.number(w.value, None, 1, 2**53) for w in Window if fields.has(w.value)}
    fields.end()
    if not found:
        raise SettingsError(f"{fields.where}: at least one window needs a limit")
    return Limits(**found)


def _consumer_limits(fields: _Fields) -> ConsumerLimits:
    consumer_id = fields.text("consumer_id")
    limits = _limits(_Fields(f"{fields.where}.limits", fields.object("limits")))
    fields.end()
    return ConsumerLimits(consumer_id=consumer_id, limits=limits)


def _redis(fields: _Fields) -> RedisTarget:
    target = RedisTarget(
        host=fields.text("host"),
        port=fields.number("port", 6379, 1, 65535),
        username=fields.text("username", ""),
        password=Secret.of(fields.text("password")) if fields.has("password") else None,
        database=fields.number("database", 0, 0, 2**31 - 1),
        ssl=fields.flag("ssl", False),
        ssl_verify=fields.flag("ssl_verify", False),
        server_name=fields.text("server_name", ""),
        timeout_ms=fields.number("timeout_ms", 2000, 1, 2**31 - 2),
    )
    fields.object("password")  # a null password is as good as none
    fields.end()
    if not target.host:
        raise SettingsError(f"{fields.where}.host: must not be empty")
    return target


def _rule(fields: _Fields) -> RateLimit:
    where = fields.where
    redis = fields.object("redis")
    try:
        limit_by = LimitBy(fields.text("limit_by", "consumer"))
        store = LimitStore(fields.text("store", "local"))
    except ValueError as error:
        raise SettingsError(f"{where}: limit_by or store is not one of the allowed values") from error
    rule = RateLimit(
        rule_id=fields.text("rule_id"),
        limits=_limits(_Fields(f"{where}.limits", fields.object("limits"))),
        limit_by=limit_by,
        header_name=fields.text("header_name", ""),
        path=fields.text("path", ""),
        service_id=fields.text("service_id", ""),
        store=store,
        redis=_redis(_Fields(f"{where}.redis", redis)) if redis is not None else None,
        fault_tolerant=fields.flag("fault_tolerant", True),
        hide_client_headers=fields.flag("hide_client_headers", False),
        error_code=fields.number("error_code", 429, 100, 599),
        error_message=fields.text("error_message", "API rate limit exceeded"),
        consumer_limits=tuple(
            _consumer_limits(_Fields(f"{where}.consumer_limits[{position}]", entry))
            for position, entry in enumerate(fields.list("consumer_limits"))
        ),
    )
    fields.end()
    if not rule.rule_id:
        raise SettingsError(f"{where}.rule_id: must not be empty")
    if rule.store is LimitStore.REDIS and rule.redis is None:
        raise SettingsError(f"{where}.redis: required by store redis")
    return rule
