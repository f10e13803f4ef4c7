"""KongPlugin and KongClusterPlugin: one plugin and its config, to be referred to by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar, Literal

from meshgate.core.diagnostics import Diagnostic, Severity, has_errors
from meshgate.core.origin import format_path
from meshgate.dialects.document import Document
from meshgate.dialects.kind import FindSecret, KindParser, Lowered
from meshgate.dialects.kong.config_sources import comes_from_secrets, join
from meshgate.dialects.kong.inference import find_plugin
from meshgate.dialects.kong.ingress_class import is_ours
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, check, problem
from meshgate.model.declared import Declared, Plugin, PluginScope
from meshgate.model.names import Name
from meshgate.model.policy import Policy

GLOBAL_LABEL = "global"
"""`"true"` on a KongClusterPlugin: it holds for all edge traffic."""

_HTTP = frozenset({"http", "https"})

Protocol = Literal["http", "https", "grpc", "grpcs", "tcp", "tls", "tls_passthrough", "udp", "ws", "wss"]


class KongPlugin(ObjectSpec):
    """The object; it has no `spec`, and its `config` is read by the plugin."""

    IGNORED: ClassVar[Mapping[str, str]] = {"instance_name": "the instance is known by the object's name"}
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "ordering": "plugins run in Kong's own order",
        "run_on": "there is one place only where the plugin runs",
    }
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "consumerRef": "a plugin for one consumer alone is not supported; what refers to it is closed",
    }

    plugin: str = ""
    config: object = None
    config_from: object = None
    config_patches: object = None
    disabled: bool = False
    protocols: Items[Protocol] = ()


def lower_kong_plugin(document: Document) -> Lowered:
    """A namespaced plugin (MG2101 to MG2104); a broken one is kept, so that it closes what names it."""
    return _lower(document, PluginScope.NAMESPACED)


def lower_kong_cluster_plugin(document: Document) -> Lowered:
    """A plugin for all namespaces, and with `global: "true"` for all edge traffic."""
    return _lower(document, PluginScope.CLUSTER)


def _joined(document: Document, find: FindSecret, scope: PluginScope) -> Lowered:
    """The same for a plugin whose config is in Secrets."""
    joined = join(document, find)
    lowered = _lower(joined.document, scope, joined.problems)
    plugins = tuple(map(joined.problem, lowered.declared.plugins))
    told = (*joined.problems, *joined.tell(lowered.diagnostics))
    return replace(lowered, declared=Declared(plugins=plugins), diagnostics=told)


def _lower(document: Document, scope: PluginScope, found: Sequence[Diagnostic] = ()) -> Lowered:
    """`found`: what is wrong with it already."""
    value, said = check(KongPlugin, document)
    # Read as written, so that a broken global plugin still closes what it is there for.
    if scope is PluginScope.CLUSTER and not is_ours(_texts(document, "annotations"), document, said):
        return Lowered(diagnostics=tuple(said))
    disabled = document.data.get("disabled") is True
    named = value.plugin if value is not None else _written_plugin(document)
    # Without its Secrets (a look at one object alone) a plugin is not whole, and no mistake either.
    alone = comes_from_secrets(document)
    name = named if alone and not named else find_plugin(named, document, said, off=disabled)
    whole = not found and not alone
    policy = _policy(name, document, said, off=disabled) if whole else None
    if value is not None and value.protocols and not _HTTP.issubset(value.protocols):
        _report_protocols(document, said)
    errors = [d for d in (*found, *said) if d.severity is Severity.ERROR]
    plugin = Plugin(
        ref=document.ref,
        scope=scope,
        name=Name(document.namespace, document.ref.name),
        plugin=name,
        policy=None if errors else policy,
        problem=_summary(errors[0]) if errors else "",
        disabled=disabled,
        is_global=scope is PluginScope.CLUSTER and _texts(document, "labels").get(GLOBAL_LABEL) == "true",
        origin=document.locate(),
    )
    return Lowered(declared=Declared(plugins=(plugin,)), diagnostics=tuple(said), keep=True)


def _summary(error: Diagnostic) -> str:
    field = f" {format_path(error.field)}" if error.field else ""
    return f"{error.code}{field}: {error.message}"


def _written_plugin(document: Document) -> str:
    """The name of a plugin whose object has other errors, so that all of them are told at once."""
    written = document.data.get("plugin")
    return written if isinstance(written, str) else ""


def _texts(document: Document, field: str) -> Mapping[str, str]:
    metadata = document.data.get("metadata")
    written = metadata.get(field) if isinstance(metadata, Mapping) else None
    if not isinstance(written, Mapping):
        return {}
    return {name: value for name, value in written.items() if isinstance(value, str)}


def _policy(name: str, document: Document, said: list[Diagnostic], *, off: bool) -> Policy | None:
    supported = SUPPORTED.get(name)
    if supported is None:
        return None
    policy, found = supported.read(document)
    said.extend(found)
    return None if off and has_errors(found) else policy


def _report_protocols(document: Document, said: list[Diagnostic]) -> None:
    said.append(
        problem(
            document,
            "MG1103",
            ("protocols",),
            "the plugin runs for every protocol",
            severity=Severity.WARNING,
            remedy="remove it",
            key=True,
        )
    )


def _kind(scope: PluginScope, plural: str, short_name: str) -> KindParser:
    namespaced = scope is PluginScope.NAMESPACED
    return KindParser(
        group="configuration.konghq.com",
        kind=scope.value,
        versions=frozenset({"v1"}),
        namespaced=namespaced,
        lower=lower_kong_plugin if namespaced else lower_kong_cluster_plugin,
        joins=comes_from_secrets,
        lower_joined=lambda document, find: _joined(document, find, scope),
        plural=plural,
        short_names=(short_name,),
    )


KONG_PLUGIN = _kind(PluginScope.NAMESPACED, "kongplugins", "kp")
KONG_CLUSTER_PLUGIN = _kind(PluginScope.CLUSTER, "kongclusterplugins", "kcp")
