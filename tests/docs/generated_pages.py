"""The pages that are made from the code: diagnostics, kinds and fields, the command line."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, get_args, get_type_hints

import typer.main

from meshgate.cli.commands import build
from meshgate.core.codes import CODES
from meshgate.core.diagnostics import Severity
from meshgate.core.origin import format_path
from meshgate.dialects.gateway_api import (
    backend_tls_policy,
    backend_traffic_policy,
    gateway_class,
    grpc_route,
    http_route,
    listener_set,
    reference_grant,
    tcp_route,
    tls_route,
    udp_route,
)
from meshgate.dialects.gateway_api import gateway as api_gateway
from meshgate.dialects.istio import (
    authorization_policy,
    destination_rule,
    envoy_filter,
    gateway,
    mesh_config,
    peer_authentication,
    proxy_config,
    request_authentication,
    service_entry,
    sidecar,
    telemetry,
    virtual_service,
    workload_entry,
    workload_group,
)
from meshgate.dialects.kong import (
    ingress_class_parameters,
    kong_consumer,
    kong_consumer_group,
    kong_ingress,
    kong_plugin,
    kong_upstream_policy,
    stream_ingress,
)
from meshgate.dialects.kong.catalog import CATALOG, Purpose
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.kubernetes import (
    config_map,
    deployment,
    endpoints,
    ingress,
    ingress_class,
    namespace,
    secret,
    service,
    service_account,
)
from meshgate.dialects.metadata import ObjectMeta, ObjectSpec
from meshgate.dialects.registry import KIND_PARSERS, lower_one
from meshgate.dialects.schema import Spec
from meshgate.dialects.shape import shape_of
from meshgate.dialects.yaml_text import read_documents
from meshgate.model.gateway_api import GATEWAY_GROUP, XGATEWAY_GROUP
from tests.docs import analysis_page, annotations_page, conformance_page, istio_fields_page, kong_plugins_page

GENERATED = "<!-- Made by `make test ARGS='tests/docs --update-golden'`; do not edit. -->"

SPECS: Mapping[tuple[str, str], type[Spec]] = MappingProxyType(
    {
        ("", "Namespace"): namespace.NamespaceSpec,
        ("", "Service"): service.ServiceSpec,
        ("", "ServiceAccount"): service_account.ServiceAccountSpec,
        ("", "Secret"): secret.SecretSpec,
        ("", "ConfigMap"): config_map.ConfigMapSpec,
        ("", "Endpoints"): endpoints.EndpointsSpec,
        ("discovery.k8s.io", "EndpointSlice"): endpoints.EndpointSliceSpec,
        ("apps", "Deployment"): deployment.DeploymentSpec,
        ("networking.k8s.io", "Ingress"): ingress.IngressSpec,
        ("networking.k8s.io", "IngressClass"): ingress_class.IngressClassSpec,
        ("networking.istio.io", "VirtualService"): virtual_service.VirtualService,
        ("networking.istio.io", "DestinationRule"): destination_rule.DestinationRule,
        ("networking.istio.io", "Gateway"): gateway.Gateway,
        ("networking.istio.io", "ServiceEntry"): service_entry.ServiceEntry,
        ("networking.istio.io", "WorkloadEntry"): workload_entry.WorkloadEntry,
        ("networking.istio.io", "Sidecar"): sidecar.SidecarObject,
        ("networking.istio.io", "ProxyConfig"): proxy_config.ProxyConfigObjectSpec,
        ("networking.istio.io", "EnvoyFilter"): envoy_filter.EnvoyFilterObject,
        ("networking.istio.io", "WorkloadGroup"): workload_group.WorkloadGroup,
        ("security.istio.io", "PeerAuthentication"): peer_authentication.PeerAuthentication,
        ("security.istio.io", "AuthorizationPolicy"): authorization_policy.AuthorizationPolicyObject,
        ("security.istio.io", "RequestAuthentication"): request_authentication.RequestAuthenticationObject,
        ("telemetry.istio.io", "Telemetry"): telemetry.Telemetry,
        ("configuration.konghq.com", "KongPlugin"): kong_plugin.KongPlugin,
        ("configuration.konghq.com", "KongClusterPlugin"): kong_plugin.KongPlugin,
        ("configuration.konghq.com", "KongConsumer"): kong_consumer.KongConsumer,
        (GATEWAY_GROUP, "GatewayClass"): gateway_class.GatewayClass,
        (GATEWAY_GROUP, "Gateway"): api_gateway.Gateway,
        (GATEWAY_GROUP, "ListenerSet"): listener_set.ListenerSet,
        (XGATEWAY_GROUP, "XListenerSet"): listener_set.ListenerSet,
        (GATEWAY_GROUP, "HTTPRoute"): http_route.HttpRoute,
        (GATEWAY_GROUP, "GRPCRoute"): grpc_route.GrpcRoute,
        (GATEWAY_GROUP, "TLSRoute"): tls_route.TlsRoute,
        (GATEWAY_GROUP, "TCPRoute"): tcp_route.TcpRoute,
        (GATEWAY_GROUP, "UDPRoute"): udp_route.UdpRoute,
        (GATEWAY_GROUP, "ReferenceGrant"): reference_grant.ReferenceGrant,
        (GATEWAY_GROUP, "BackendTLSPolicy"): backend_tls_policy.BackendTlsPolicy,
        (XGATEWAY_GROUP, "XBackendTrafficPolicy"): backend_traffic_policy.BackendTrafficPolicy,
        ("configuration.konghq.com", "KongConsumerGroup"): kong_consumer_group.KongConsumerGroup,
        ("configuration.konghq.com", "KongUpstreamPolicy"): kong_upstream_policy.KongUpstreamPolicy,
        ("configuration.konghq.com", "KongIngress"): kong_ingress.KongIngress,
        ("configuration.konghq.com", "IngressClassParameters"): (
            ingress_class_parameters.IngressClassParameters
        ),
        ("configuration.konghq.com", "TCPIngress"): stream_ingress.TcpIngressSpec,
        ("configuration.konghq.com", "UDPIngress"): stream_ingress.UdpIngressSpec,
    }
)
"""The fields of each supported kind."""

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

_RANGES = (
    ("MG1", "Reading and shape"),
    ("MG20", "Values of one object"),
    ("MG21", "Kong plugins and credentials"),
    ("MG22", "Ingress"),
    ("MG30", "Links between objects"),
    ("MG25", "Importing declarative files of Kong"),
    ("MG31", "What works and may not be meant (`meshgate analyze`)"),
    ("MG4", "The local runtime"),
    ("MG9", "Meshgate itself"),
)
_HIDDEN = frozenset(shape_of(ObjectSpec))
"""What every object has; said once for all kinds."""


def diagnostics_page() -> str:
    """docs/diagnostics.md."""
    lines = [_text(_DIAGNOSTICS_HEAD)]
    for prefix, title in _RANGES:
        lines += [f"## {title}", "", "| code | means |", "|---|---|"]
        lines += [f"| `{code}` | {means} |" for code, means in CODES.items() if code.startswith(prefix)]
        lines.append("")
    return "\n".join(lines)


def kinds_page() -> str:
    """docs/kinds.md."""
    lines = [_text(_KINDS_HEAD), "## Kinds", "", "| kind | apiVersion | short name | |", "|---|---|---|---|"]
    for (group, kind), parser in KIND_PARSERS.items():
        versions = ", ".join(f"`{group}/{v}`" if group else f"`{v}`" for v in sorted(parser.versions))
        short = ", ".join(f"`{name}`" for name in parser.short_names)
        if (group, kind) in SPECS:
            state = f"[works](#{_anchor(_title(group, kind))})"
        else:
            state = _unsupported_kind(group, kind, min(parser.versions))
        lines.append(f"| {kind} | {versions} | {short} | {state} |")
    lines += ["", "Every other kind gives a warning (`MG1101`), or an error where it guards something.", ""]
    for (group, kind), spec in SPECS.items():
        lines += [f"## {_title(group, kind)}", "", *_fields(spec), ""]
    lines += ["## MeshConfig", "", "See [mesh-config.md](mesh-config.md).", ""]
    lines += [*_fields(mesh_config.MeshConfigSpec), ""]
    lines += ["## KongPlugin's `plugin` and `config`", ""]
    for name, plugin in sorted(SUPPORTED.items()):
        lines += [f"### {name}", "", *_fields(plugin.config), ""]
    lines += ["### Plugins that are refused", "", _REFUSED_PLUGINS, ""]
    for purpose in Purpose:
        names = sorted(n for n, p in CATALOG.items() if p.purpose is purpose and n not in SUPPORTED)
        if names:
            lines.append(f"- {purpose.value}: {', '.join(f'`{n}`' for n in names)}")
    lines += ["", "## Values that are not honoured", "", "| field | | what is said |", "|---|---|---|"]
    lines += [_not_honoured(text) for text in NOT_HONOURED]
    return "\n".join(lines) + "\n"


def _title(group: str, kind: str) -> str:
    """The kind; of two with one name the Gateway API's says its group."""
    doubled = sum(other == kind for _, other in SPECS) > 1 and group == GATEWAY_GROUP
    return f"{kind} of {group}" if doubled else kind


def _anchor(title: str) -> str:
    return title.lower().replace(" ", "-").replace(".", "")


def plugins_page() -> str:
    """docs/kong-plugins.md."""
    return "\n".join((_text(kong_plugins_page.HEAD), *kong_plugins_page.kong_plugins_page())) + "\n"


def annotations_list() -> str:
    """docs/annotations.md."""
    return "\n".join((_text(annotations_page.HEAD), *annotations_page.rows())) + "\n"


def istio_fields() -> str:
    """docs/istio-fields.md."""
    return "\n".join((_text(istio_fields_page.HEAD), *istio_fields_page.lines(SPECS))) + "\n"


def gateway_api_fields() -> str:
    """docs/gateway-api-fields.md."""
    page = istio_fields_page.lines(SPECS, istio_fields_page.GATEWAY_API)
    return "\n".join((_text(istio_fields_page.GATEWAY_API_HEAD), *page)) + "\n"


def analyze_page() -> str:
    """docs/analyze.md."""
    return "\n".join((_text(analysis_page.HEAD), *analysis_page.lines())) + "\n"


def cli_page() -> str:
    """docs/cli.md."""
    root: Any = typer.main.get_command(build(()))
    lines = [_text(_CLI_HEAD)]
    for name, command in root.commands.items():
        lines += [f"## {name}", "", _flat(command.help), ""]
        hints = get_type_hints(inspect.unwrap(command.callback))
        shown = [p for p in command.params if p.name != "help"]
        arguments = " ".join(_usage(p) for p in shown if p.param_type_name == "argument")
        lines += [f"    meshgate {name} {'[OPTIONS] ' if _options(shown) else ''}{arguments}".rstrip(), ""]
        if shown:
            lines += ["| | |", "|---|---|", *(_parameter(p, hints.get(p.name)) for p in shown), ""]
    return "\n".join(lines)


PAGES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {
        "diagnostics.md": diagnostics_page,
        "kinds.md": kinds_page,
        "kong-plugins.md": plugins_page,
        "annotations.md": annotations_list,
        "istio-fields.md": istio_fields,
        "gateway-api-fields.md": gateway_api_fields,
        "analyze.md": analyze_page,
        "gateway-api-conformance.md": conformance_page.page,
        "cli.md": cli_page,
    }
)
"""File in docs/ -> what makes it."""


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
    return f"| {where} | {word} | {_cell(said.message + remedy)} |"


def _fields(spec: type[Spec]) -> Iterator[str]:
    yield "| at | taken | noted, no effect | warned, no effect | refused |"
    yield "|---|---|---|---|---|"
    seen: set[type[Spec]] = {ObjectMeta}
    for path, level in _levels(spec, "", seen):
        hidden = _HIDDEN if path == "" else frozenset()
        works = [name for name in shape_of(level) if name not in hidden]
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


def _options(parameters: list[Any]) -> bool:
    return any(p.param_type_name == "option" for p in parameters)


def _usage(argument: Any) -> str:
    """`PATH...`, in brackets where it may be left out."""
    name = str(argument.metavar or argument.name.upper()).strip("{}[]")
    return name if argument.required else f"[{name}]"


def _parameter(parameter: Any, hint: object) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{_usage(parameter)}` | {_cell(parameter.help)} |"
    value = "" if parameter.is_flag else f" `{parameter.metavar or _value_of(hint)}`"
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    default = getattr(parameter.default, "value", parameter.default)
    said = (
        ""
        if parameter.is_flag or default in (None, "", ()) or callable(default)
        else f" Default `{default}`."
    )
    return f"| {names}{value} | {_cell(parameter.help)}{said} |"


def _value_of(hint: object) -> str:
    """The choices of an enumeration, `NUMBER`, or `TEXT`."""
    for one in (hint, *get_args(hint)):
        if isinstance(one, type) and issubclass(one, enum.Enum):
            return "/".join(str(choice.value) for choice in one)
        if one is int:
            return "NUMBER"
    return "TEXT"


def _cell(text: str | None) -> str:
    return _flat(text).replace("|", "\\|")


def _flat(text: str | None) -> str:
    return " ".join((text or "").split())


def _text(head: str) -> str:
    return head.strip().replace("GENERATED", GENERATED) + "\n"


_DIAGNOSTICS_HEAD = """
# Diagnostics

GENERATED

What is wrong in a manifest, or has no effect, is told in one line each:

    k.yaml:6:17: error MG2103 KongPlugin shop/a config.minute: must be >= 1, got -5; remove it for no limit

That is the file, line and column; how bad it is; a code that never changes its meaning; the
object; the field; the rule and the value; and, after the semicolon, what to do about it.

- **error**: the object is left out, or what it guards answers 503. A running meshgate keeps
  the object's last good form, and everything else goes on.
- **warning**: the object works, the named part of it does not, or not as you may expect.
- **info**: a field that most manifests have and that means nothing on one machine.

`meshgate analyze PATH...` shows them without starting anything and exits with 1 where there
is an error; `-o json` is for programs. A running meshgate shows them in `meshgate status`.
"""

_KINDS_HEAD = """
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

_CLI_HEAD = """
# The command line

GENERATED

`.venv/bin/meshgate` after `make install`. Commands that speak to a running meshgate find it by
its state directory, so give all of them the same `--state`. Exit codes: 0, 1 for errors, 2 for
wrong usage, 70 for a bug of Meshgate's own. Names of kinds are those of `kubectl`:
`deploy`, `svc`, `vs`, `dr`, ... ([kinds.md](kinds.md)).
"""
