"""Plugins of a declarative file, wherever they stand, as KongPlugins named by what they are for."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import ValidationError

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.declarative.entities import PluginEntity
from meshgate.dialects.kong.declarative.manifests import (
    CLASS,
    NOT_TAKEN_OVER,
    Manifest,
    Manifests,
    add_plugin_name,
    referred,
)
from meshgate.dialects.schema import check

KONG = "configuration.konghq.com/v1"
Scopes = Mapping[str, Mapping[str, Manifest]]
"""`service`, `route`, `consumer`, `consumer_group` -> name or id -> the object that names plugins."""


SCOPES = ("service", "route", "consumer", "consumer_group")
_HTTP = frozenset({"http", "https"})
_RENAMED: Mapping[tuple[str, str], str] = {
    **{(name, "whitelist"): "allow" for name in ("acl", "ip-restriction", "bot-detection")},
    **{(name, "blacklist"): "deny" for name in ("acl", "ip-restriction", "bot-detection")},
    **{(name, "functions"): "access" for name in ("pre-function", "post-function")},
}
"""(plugin, field) before Kong 3.0 -> the field since."""


class Plugins:
    """Turns plugins into manifests, once all that they may be for is there."""

    def __init__(self, out: Manifests, scopes: Scopes, version: tuple[int, int]) -> None:
        self._out, self._scopes, self._version = out, scopes, version
        shared = out.document.data.get("_plugin_configs")
        self._shared = shared if isinstance(shared, Mapping) else {}

    def add(self, path: FieldPath, owner: tuple[str, Manifest] | None = None) -> None:
        """The plugin at a path of the file; `owner` is the entity that it stands in."""
        entity, said = check(PluginEntity, self._out.document, path)
        self._out.said += said
        if entity is None:
            entity = self._closed(path)
        if entity.protocols and not set(entity.protocols) >= _HTTP:
            message = f"the plugin runs for every protocol, not for {', '.join(entity.protocols)} alone"
            self._out.warn((*path, "protocols"), message, code="MG1103")
        targets: dict[str, Manifest] = {owner[0]: owner[1]} if owner else {}
        for scope, reference in (
            ("service", entity.service),
            ("route", entity.route),
            ("consumer", entity.consumer),
            ("consumer_group", entity.consumer_group),
        ):
            name = referred(reference)
            if not name:
                continue
            found = self._scopes[scope].get(name)
            if found is None:
                self._out.error(
                    (*path, scope), f"{scope} {name!r} is not in this file; the plugin is left out"
                )
                return
            targets[scope] = found
        self._make(entity, path, targets)

    def _closed(self, path: FieldPath) -> PluginEntity:
        """Stands for a plugin that cannot be read: what it is for is closed, for it may have guarded it."""
        entry, kept = self._out.entry(path), {}
        for name in ("name", *SCOPES):
            try:
                PluginEntity.model_validate({"name": "", name: entry.get(name)})
            except ValidationError:
                continue
            kept[name] = entry.get(name)
        if not kept.get("name"):
            kept["name"] = NOT_TAKEN_OVER
        return PluginEntity.model_validate({**kept, "config": {"not_taken_over": True}})

    def _make(self, entity: PluginEntity, path: FieldPath, targets: Mapping[str, Manifest]) -> None:
        kind = "KongPlugin" if targets else "KongClusterPlugin"
        of = "-".join(_name(t) for t in targets.values())
        name = self._out.name_for(kind, f"{of}-{entity.name}" if of else entity.name)
        content: dict[str, object] = {"plugin": entity.name}
        config = self._config(entity, path)
        if config:
            content["config"] = config
        if not entity.enabled:
            content["disabled"] = True
        if entity.instance_name:
            content["instance_name"] = entity.instance_name
        if targets:
            self._out.add(kind, name, api=KONG).update(content)
        else:
            self._out.add(
                kind,
                name,
                api=KONG,
                cluster=True,
                labels={"global": "true"},
                annotations={CLASS: "kong"},
            ).update(content)
        # One for a route and a service is for the route alone, which has one service anyway.
        if "route" in targets and "service" in targets:
            targets = {scope: made for scope, made in targets.items() if scope != "service"}
        for made in targets.values():
            add_plugin_name(made, name)

    def _config(self, entity: PluginEntity, path: FieldPath) -> dict[str, object]:
        base: object = {}
        if entity.config_of:
            base = self._shared.get(entity.config_of)
            if not isinstance(base, Mapping):
                self._out.error((*path, "_config"), f"{entity.config_of!r} is not in _plugin_configs")
                base = {}
        assert isinstance(base, Mapping)
        config = _without_nulls({**base, **(entity.config or {})})
        if self._version < (3, 0):
            config = {_RENAMED.get((entity.name, key), key): value for key, value in config.items()}
        return config


def _without_nulls(config: Mapping[str, object]) -> dict[str, object]:
    """`deck dump` writes every field that is not set as null."""
    return {
        key: _without_nulls(value) if isinstance(value, Mapping) else value
        for key, value in config.items()
        if value is not None
    }


def _name(made: Manifest) -> str:
    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    return str(metadata["name"])
