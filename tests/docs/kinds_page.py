"""docs/kinds.md: every kind and its fields by what happens to them, and values that are not honoured."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.diagnostics import Severity
from meshgate.core.origin import format_path
from meshgate.dialects.istio import mesh_config
from meshgate.dialects.kong.catalog import CATALOG, Purpose
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.kubernetes.noted import NOT_RUN, NOTED
from meshgate.dialects.metadata import ObjectMeta, ObjectSpec
from meshgate.dialects.registry import KIND_PARSERS, lower_one
from meshgate.dialects.schema import Spec
from meshgate.dialects.shape import shape_of
from meshgate.dialects.yaml_text import read_documents
from meshgate.model.gateway_api import GATEWAY_GROUP
from tests.docs.kind_specs import SPECS
from tests.docs.page_text import cell

_ISTIO = "apiVersion: networking.istio.io/v1\nkind: %s\nmetadata: {name: x}\nspec: {host%s, %s}"
_PEERS = "apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: x}\nspec: {%s}"
_ACCESS = "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nspec: {%s}\nmetadata: {name: x}"
_TOKENS = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nspec: {%s}\nmetadata: {name: x}"
_PLUGIN = (
    "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: x}\nplugin: %s\nconfig: {%s}"
)


def _rule(http: str) -> str:
    return _ISTIO % ("VirtualService", "s: [x]", f"http: [{http}]")


def _way(policy: str) -> str:
    return _ISTIO % ("DestinationRule", ": x", f"trafficPolicy: {policy}")


NOT_HONOURED: tuple[str, ...] = (
    _rule(
        "{route: [{destination: {host: x}, weight: 1, headers: {request: {set: {host: x}}}},"
        " {destination: {host: x}, weight: 1}]}"
    ),
    _rule("{route: [{destination: {host: x}, weight: 1}, {destination: {host: x}}]}"),
    _way("{tls: {mode: MUTUAL}}"),
    _PLUGIN % ("request-transformer", "add: {headers: ['a:$(1 + 1)']}"),
    _PLUGIN % ("rate-limiting", "minute: 1, policy: cluster"),
    _PLUGIN % ("rate-limiting", "minute: 1, policy: redis, redis: {host: x}, sync_rate: 1"),
    _PLUGIN % ("rate-limiting", "minute: 1, policy: redis, redis: {host: x, password: '{vault://x}'}"),
    _PEERS % "portLevelMtls: {80: {mode: STRICT}}",
    _ACCESS % "action: CUSTOM, provider: {name: x}",
    _ACCESS % "targetRef: {kind: Service, name: x}",
    _ACCESS % "rules: [{when: [{key: experimental.envoy.filters.x, values: [y]}]}]",
    _TOKENS % "jwtRules: [{issuer: x}]",
)
"""Objects whose fields are taken and whose values are not: the page shows what is said."""

_HIDDEN = frozenset(shape_of(ObjectSpec))
"""What every object has; said once for all kinds."""

HEAD = """
# Kinds and fields

GENERATED

What Meshgate takes in, field by field. Four states:

- **taken**: works, but for the values in [the list at the end](#values-that-are-not-honoured).
- **noted**: means nothing on one machine; one line of information per object.
- **warned**: known, but without effect; a warning names the field (`MG1103`).
- **refused**: known, not supported, and it guards something: an error (`MG1104`), and what it
  guards stays closed.

A field that is not here is unknown: an error that proposes the nearest name (`MG1102`).
`metadata` is the same for all kinds (name, namespace, labels, annotations; what an API server
adds is skipped). The annotations are in [ingress.md](ingress.md) and
[local-runtime.md](local-runtime.md).
"""

_REFUSED_PLUGINS = """\
What refers to one of these, or to a plugin that Kong does not have, answers 503: a plugin that
cannot run may be what keeps strangers out. By what the plugin is for:"""


def lines() -> Iterator[str]:
    """The page's lines after its head."""
    yield from ("## Kinds", "", "| kind | apiVersion | short name | |", "|---|---|---|---|")
    for (group, kind), parser in KIND_PARSERS.items():
        versions = ", ".join(f"`{group}/{v}`" if group else f"`{v}`" for v in sorted(parser.versions))
        short = ", ".join(f"`{name}`" for name in parser.short_names)
        if (group, kind) in SPECS:
            state = f"[works](#{_anchor(_title(group, kind))})"
        else:
            state = _unsupported_kind(group, kind, min(parser.versions))
        yield f"| {kind} | {versions} | {short} | {state} |"
    yield from ("", "Kinds of a cluster that have no effect here (`MG1101`, information):", "")
    yield from ("| kind | |", "|---|---|")
    yield from (f"| {kind} of `{group or 'v1'}` | {why} |" for (group, kind), why in sorted(NOTED.items()))
    yield from ("", "Pods of these are not run (`MG1101`, a warning):", "", "| kind | instead |", "|---|---|")
    yield from (f"| {kind} of `{group or 'v1'}` | {do} |" for (group, kind), do in sorted(NOT_RUN.items()))
    yield from ("", "Every other kind gives a warning (`MG1101`), or an error where it guards something.", "")
    for (group, kind), spec in SPECS.items():
        yield from (f"## {_title(group, kind)}", "", *_fields(spec), "")
    yield from ("## MeshConfig", "", "See [mesh-config.md](mesh-config.md).", "")
    yield from (*_fields(mesh_config.MeshConfigSpec), "")
    yield from _plugins()
    yield from ("", "## Values that are not honoured", "", "| field | | what is said |", "|---|---|---|")
    yield from (_not_honoured(text) for text in NOT_HONOURED)


def _plugins() -> Iterator[str]:
    yield from ("## KongPlugin's `plugin` and `config`", "")
    for name, plugin in sorted(SUPPORTED.items()):
        yield from (f"### {name}", "", *_fields(plugin.config), "")
    yield from ("### Plugins that are refused", "", _REFUSED_PLUGINS, "")
    for purpose in Purpose:
        names = sorted(n for n, p in CATALOG.items() if p.purpose is purpose and n not in SUPPORTED)
        if names:
            yield f"- {purpose.value}: {', '.join(f'`{n}`' for n in names)}"


def _title(group: str, kind: str) -> str:
    """The kind; of two with one name the Gateway API's says its group."""
    doubled = sum(other == kind for _, other in SPECS) > 1 and group == GATEWAY_GROUP
    return f"{kind} of {group}" if doubled else kind


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-").replace(".", "")


def _unsupported_kind(group: str, kind: str, version: str) -> str:
    """What is said about such an object, as a user would see it."""
    api_version = f"{group}/{version}" if group else version
    text = f"apiVersion: {api_version}\nkind: {kind}\nmetadata: {{name: x}}\n"
    documents, _ = read_documents(text, "x.yaml")
    said = lower_one(documents[0]).diagnostics[0]
    word = "**refused**" if said.severity is Severity.ERROR else "warned"
    return f"{word}: {said.message.partition(': ')[2]}"


def _not_honoured(text: str) -> str:
    """The first warning or error about the object."""
    documents, _ = read_documents(text, "x.yaml")
    said = next(d for d in lower_one(documents[0]).diagnostics if d.severity is not Severity.INFO)
    word = "**refused**" if said.severity is Severity.ERROR else "warned"
    where = f"{documents[0].ref.kind} `{format_path(said.field)}`"
    remedy = f"; {said.remedy}" if said.remedy else ""
    return f"| {where} | {word} | {cell(said.message + remedy)} |"


def _fields(spec: type[Spec]) -> Iterator[str]:
    yield "| at | taken | noted, no effect | warned, no effect | refused |"
    yield "|---|---|---|---|---|"
    seen: set[type[Spec]] = {ObjectMeta}
    for path, level in _levels(spec, "", seen):
        hidden = _HIDDEN if path == "" else frozenset()
        works = [name for name in shape_of(level) if name not in hidden and name not in level.IGNORED]
        columns = (works, level.IGNORED, level.UNSUPPORTED, level.UNSUPPORTED_SECURITY)
        cells = [", ".join(f"`{name}`" for name in names) for names in columns]
        if any(cells):
            yield f"| {f'`{path}`' if path else ''} | {' | '.join(cells)} |"


def _levels(spec: type[Spec], path: str, seen: set[type[Spec]]) -> Iterator[tuple[str, type[Spec]]]:
    """Each object level once; a model that comes again is where it was first."""
    yield path, spec
    for name, child in shape_of(spec).items():
        if child is None or child.model in seen:
            continue
        seen.add(child.model)
        many = {"list": "[]", "map": ".*"}.get(child.many or "", "")
        yield from _levels(child.model, f"{path}.{name}{many}".lstrip("."), seen)
