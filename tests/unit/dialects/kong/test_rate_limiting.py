"""The plugin rate-limiting: every field and default, the rules between fields, Redis in both spellings."""

from __future__ import annotations

import pytest

from meshgate.core.origin import Origin
from meshgate.core.secret import Secret
from meshgate.model.policy import LimitBy, Limits, LimitStore, RateLimit, RedisTarget
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: limit, namespace: shop}
plugin: rate-limiting
"""


def policy(config: str) -> RateLimit:
    """The policy of a config without mistakes."""
    (found,) = declared(f"{HEAD}config: {{{config}}}\n").plugins
    assert isinstance(found.policy, RateLimit)
    assert (found.plugin, found.problem) == ("rate-limiting", "")
    return found.policy


def remarks(config: str) -> list[str]:
    """What is said about a config, after the file and the object."""
    lines = said(f"{HEAD}config: {{{config}}}\n")
    return [line.replace(" KongPlugin shop/limit", "").removeprefix("f.yaml:") for line in lines]


def test_defaults_are_kongs() -> None:
    assert policy("minute: 5") == RateLimit(
        rule_id="limit",
        limits=Limits(minute=5),
        store=LimitStore.LOCAL,
        limit_by=LimitBy.CONSUMER,
        redis=None,
        fault_tolerant=True,
        hide_client_headers=False,
        error_code=429,
        error_message="API rate limit exceeded",
        origin=Origin("f.yaml", 5, 9),
    )


def test_every_field() -> None:
    found = policy(
        "second: 1, minute: 2, hour: 3, day: 4, month: 5, year: 6, limit_by: header, header_name: X-Team, "
        "policy: redis, fault_tolerant: false, hide_client_headers: true, error_code: 420, "
        "error_message: 'say \"please\"', sync_rate: -1, redis: {host: redis.shop, port: 6380, timeout: 100, "
        "username: meshgate, password: hush, database: 3, ssl: true, ssl_verify: true, "
        "server_name: r.example}"
    )
    assert found == RateLimit(
        rule_id="limit",
        limits=Limits(second=1, minute=2, hour=3, day=4, month=5, year=6),
        store=LimitStore.REDIS,
        limit_by=LimitBy.HEADER,
        header_name="x-team",
        redis=RedisTarget(
            host="redis.shop",
            port=6380,
            timeout_ms=100,
            username="meshgate",
            password=Secret(b"hush"),
            database=3,
            ssl=True,
            ssl_verify=True,
            server_name="r.example",
        ),
        fault_tolerant=False,
        hide_client_headers=True,
        error_code=420,
        error_message='say "please"',
        origin=Origin("f.yaml", 5, 9),
    )


@pytest.mark.parametrize("by", ["consumer", "credential", "ip", "service"])
def test_identities_without_a_field_of_their_own(by: str) -> None:
    assert policy(f"hour: 1, limit_by: {by}").limit_by is LimitBy(by)


def test_the_identity_of_a_path() -> None:
    found = policy("hour: 1, limit_by: path, path: /buy")
    assert (found.limit_by, found.path) == (LimitBy.PATH, "/buy")


def test_the_old_flat_spelling_of_redis_is_taken_and_named_without_the_password() -> None:
    config = (
        "minute: 1, policy: redis, redis_host: a, redis_port: 1, redis_timeout: 2, redis_username: u, "
        "redis_password: hush, redis_database: 3, redis_ssl: true, redis_ssl_verify: false, "
        "redis_server_name: s"
    )
    (found,) = read(f"{HEAD}config: {{{config}}}\n").declared.plugins
    assert isinstance(found.policy, RateLimit)
    assert found.policy.redis == RedisTarget(
        host="a",
        port=1,
        timeout_ms=2,
        username="u",
        password=Secret(b"hush"),
        database=3,
        ssl=True,
        ssl_verify=False,
        server_name="s",
    )
    lines = remarks(config)
    assert lines[0] == (
        "5:48: warning MG2104 config.redis_host: is the old spelling of redis.host; write redis: {host: 'a'}"
    )
    assert len(lines) == 9
    assert [line for line in lines if "hush" in line] == []
    assert [line.rpartition("; ")[2] for line in lines if "password" in line] == [
        "write redis: {password: ...}"
    ]


def test_redis_is_left_alone_where_it_is_not_asked_for() -> None:
    assert policy("minute: 1, redis: {host: redis}").redis is None


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ("minute: -5", "5:18: error MG2103 config.minute: must be >= 1, got -5; remove it for no limit"),
        ("minute: 0", "5:18: error MG2103 config.minute: must be >= 1, got 0; remove it for no limit"),
        (
            "minute: 1.5",
            "5:18: error MG2103 config.minute: must be a whole number, got 1.5; remove it for no limit",
        ),
        (
            "minute: '5'",
            "5:18: error MG2103 config.minute: must be a whole number, got '5'; write it without quotes",
        ),
        (
            "policy: local",
            "5:9: error MG2103 config: must have at least one of second, minute, hour, day, "
            "month, year, got none",
        ),
        (
            "second: 10, hour: 9",
            "5:28: error MG2103 config.hour: must be >= 10, the limit per second, got 9; "
            "raise it, or remove the limit per second, which can never be reached",
        ),
        (
            "minute: 1, limit_by: header",
            "5:9: error MG2103 config.header_name: is required where limit_by is header",
        ),
        ("minute: 1, limit_by: path", "5:9: error MG2103 config.path: is required where limit_by is path"),
        (
            "minute: 1, limit_by: path, path: a",
            "5:43: error MG2103 config.path: must start with /, got 'a'",
        ),
        (
            "minute: 1, header_name: X-Team",
            "5:34: warning MG2103 config.header_name: has no effect where limit_by is consumer; "
            "set limit_by: header",
        ),
        (
            "minute: 1, limit_by: header, header_name: 'a b'",
            "5:52: error MG2103 config.header_name: must be a header name, got 'a b'",
        ),
        (
            "minute: 1, limit_by: consumr",
            "5:31: error MG2103 config.limit_by: must be one of consumer, credential, ip, service, header or "
            "path, got 'consumr'; did you mean consumer?",
        ),
        (
            "minute: 1, policy: cluster",
            "5:29: error MG2103 config.policy: cluster needs a database of Kong's, which there is none of; "
            "use redis for one count, or local for one per gateway",
        ),
        (
            "minute: 1, policy: redis",
            "5:9: error MG2103 config.redis.host: is required where policy is redis",
        ),
        (
            "minute: 1, redis: {host: a}, redis_host: b",
            "5:51: error MG2103 config.redis_host: contradicts redis.host; keep redis alone",
        ),
        (
            "minute: 1, redis: {port: 70000}",
            "5:35: error MG2103 config.redis.port: must be <= 65535, got 70000",
        ),
        (
            "minute: 1, redis: {password: 12345}",
            "5:39: error MG2103 config.redis.password: must be a string (the value is not shown); "
            "put it in quotes",
        ),
        (
            "minute: 1, redis: {password: '{vault://env/redis}'}",
            "5:39: error MG1104 config.redis.password: refers to a vault, which is not supported; "
            "put the value into a Secret and name it in configPatches",
        ),
        (
            "minute: 1, sync_rate: 0.5",
            "5:32: error MG2103 config.sync_rate: must be -1, or at least 0.02 with policy redis, got 0.5",
        ),
        (
            "minute: 1, policy: redis, redis: {host: a}, sync_rate: 0.5",
            "5:65: warning MG1103 config.sync_rate: every request is counted in Redis at once; "
            "the rate has no effect; remove it",
        ),
        ("minute: 1, error_code: 200", "5:33: error MG2103 config.error_code: must be >= 400, got 200"),
        ("minut: 1", "5:10: error MG1102 config.minut: unknown field; did you mean minute?"),
    ],
)
def test_what_is_said_about_a_config(config: str, expected: str) -> None:
    assert [line for line in remarks(config) if "MG2104" not in line] == [expected]


def test_a_config_with_errors_leaves_a_plugin_that_closes() -> None:
    (found,) = read(f"{HEAD}config: {{minute: -5}}\n").declared.plugins
    assert (found.plugin, found.policy) == ("rate-limiting", None)
    assert found.problem == "MG2103 config.minute: must be >= 1, got -5"
