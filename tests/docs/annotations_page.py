"""docs/annotations.md: every annotation that the code knows, and the test that shows what it does."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType

from meshgate.dialects.annotation_list import ANNOTATIONS, CLASS, KONG, Annotation

HEAD = """# Annotations

GENERATED

What is written into `metadata.annotations`, by kind; a pod template is `spec.template` of a Deployment.
[ingress.md](ingress.md#kongs-annotations) shows how Kong's are used, [sidecar.md](sidecar.md) Istio's.

- **works**: as its column says.
- **noted**: an information names it (`MG2005`); it has no effect.
- **closed**: an error (`MG1104`): what it would guard is not opened.

A value that is not allowed is an error (`MG2005`): an Ingress or a route then answers 503, a Service is
left out. Of `konghq.com/` and `meshgate.dev/` a name that does not exist is an error on what guards
(Ingress, Service, routes, consumers) and a warning on other kinds, with the nearest name; one
that exists and is on a kind where it means nothing is a warning.
"""

_ROUTES = "envoy/test_kong_annotations.py::"
_HELD = "envoy/test_kong_buffering.py::"
_MORE = "envoy/test_kong_annotation_effects.py::"
_TLS = "envoy/test_kong_upstreams.py::test_tls_to_the_upstream"
_GRPC = "envoy/test_kong_grpc_gateway.py::"
_PROXY_CONFIG = "golden/istio/proxy-config"

TESTS: Mapping[tuple[str, str], str] = MappingProxyType(
    {
        ("plugins", "Ingress"): "envoy/test_kong_consumer_plugins.py",
        ("plugins", "Service"): "golden/kong/plugin-precedence",
        ("plugins", "TCPRoute"): "golden/gateway_api/plugins-and-connections",
        ("plugins", "TCPIngress"): "golden/kong/stream-plugins",
        ("protocols", "Ingress"): _ROUTES + "test_https_only",
        ("protocols", "TCPIngress"): "golden/kong/stream-ingress-mistakes",
        ("protocols", "UDPIngress"): "golden/kong/stream-ingress-mistakes",
        ("https-redirect-status-code", "Ingress"): _ROUTES + "test_https_only",
        ("strip-path", "Ingress"): _ROUTES + "test_paths_and_hosts",
        ("preserve-host", "Ingress"): _ROUTES + "test_paths_and_hosts",
        ("regex-priority", "Ingress"): _ROUTES + "test_paths_and_hosts",
        ("regex-prefix", "Ingress"): _MORE + "test_what_a_route_takes",
        ("methods", "Ingress"): _ROUTES + "test_routes_of_the_gateway_api",
        ("snis", "Ingress"): _ROUTES + "test_over_tls",
        ("host-aliases", "Ingress"): _ROUTES + "test_paths_and_hosts",
        ("headers.NAME", "Ingress"): _MORE + "test_what_a_route_takes",
        ("headers-separator", "Ingress"): _MORE + "test_what_a_route_takes",
        ("path-handling", "Ingress"): _MORE + "test_paths_are_joined_as_kong_does",
        ("request-buffering", "Ingress"): _HELD + "test_a_request_comes_to_the_service_whole",
        ("response-buffering", "Ingress"): _HELD + "test_an_answer_comes_to_the_client_whole",
        ("rewrite", "Ingress"): _ROUTES + "test_paths_and_hosts",
        ("override", "Ingress"): _ROUTES + "test_what_a_kong_ingress_says",
        ("override", "Service"): _ROUTES + "test_what_a_kong_ingress_says",
        ("protocol", "Service"): _TLS,
        ("path", "Service"): _ROUTES + "test_paths_and_hosts",
        ("client-cert", "Service"): _TLS,
        ("host-header", "Service"): _ROUTES + "test_paths_and_hosts",
        ("upstream-policy", "Service"): (
            "envoy/test_kong_upstreams.py::test_the_same_key_leads_to_the_same_endpoint"
        ),
        ("connect-timeout", "Service"): "golden/kong/edge-annotations",
        ("read-timeout", "Service"): _MORE + "test_silence_and_repeats",
        ("write-timeout", "Service"): _MORE + "test_silence_and_repeats",
        ("retries", "Service"): _MORE + "test_silence_and_repeats",
        ("tls-verify", "Service"): _TLS,
        ("tls-verify-depth", "Service"): "golden/kong/upstreams",
        ("ca-certificates-secrets", "Service"): _TLS,
        ("ca-certificates-configmaps", "Service"): _TLS,
        ("gatewayclass-unmanaged", "GatewayClass"): _ROUTES + "test_routes_of_the_gateway_api",
        ("publish-service", "Gateway"): "golden/gateway_api/kong-annotations",
        ("tags", "Ingress"): "golden/kong/protocols-and-names",
        (CLASS, "Ingress"): "unit/dialects/test_annotations.py::test_what_holds",
        (CLASS, "KongConsumer"): "golden/kong/stream-ingresses",
        ("ingress.kubernetes.io/force-ssl-redirect", "Ingress"): _ROUTES + "test_https_only",
        ("ingress.kubernetes.io/service-upstream", "Service"): _HELD
        + "test_a_request_comes_to_the_service_whole",
        ("ingressclass.kubernetes.io/is-default-class", "IngressClass"): (
            "unit/dialects/kubernetes/test_plain_kinds.py"
        ),
        ("meshgate.dev/command", "pod template"): "unit/dialects/kubernetes/test_deployment.py",
        ("meshgate.dev/on-sidecar-failure", "pod template"): "golden/kubernetes/on-sidecar-failure",
        ("meshgate.dev/proto-configmap", "KongPlugin"): _GRPC + "test_options_and_config_maps",
        ("meshgate.dev/grpc-reflection", "KongPlugin"): "unit/app/test_descriptors.py",
        ("meshgate.dev/grpc-json", "KongPlugin"): _GRPC + "test_options_and_config_maps",
        ("networking.istio.io/exportTo", "Service"): (
            "e2e/test_sidecar.py::test_hosts_are_known_as_sidecar_and_mesh_say"
        ),
        ("sidecar.istio.io/inject", "pod template"): "e2e/test_bare_pods.py",
        ("proxy.istio.io/config", "pod template"): "e2e/test_sidecar.py::test_settings_of_the_sidecar_itself",
        ("traffic.sidecar.istio.io/includeInboundPorts", "pod template"): _PROXY_CONFIG,
        ("traffic.sidecar.istio.io/excludeInboundPorts", "pod template"): _PROXY_CONFIG,
        ("traffic.sidecar.istio.io/includeOutboundPorts", "pod template"): _PROXY_CONFIG,
        ("traffic.sidecar.istio.io/excludeOutboundPorts", "pod template"): (
            "e2e/test_sidecar.py::test_settings_of_the_sidecar_itself"
        ),
        ("traffic.sidecar.istio.io/includeOutboundIPRanges", "pod template"): _PROXY_CONFIG,
        ("traffic.sidecar.istio.io/excludeOutboundIPRanges", "pod template"): _PROXY_CONFIG,
        ("istio.io/dry-run", "AuthorizationPolicy"): "envoy/test_external_authorization.py",
        ("istio.io/autoRegistrationGroup", "WorkloadEntry"): "e2e/test_discovery.py",
    }
)
"""(name behind `konghq.com/`, first kind) -> file or folder under tests/, maybe with a function."""


def shown_by(annotation: Annotation) -> str:
    """The test of an annotation."""
    return TESTS[annotation.name.removeprefix(KONG), annotation.kinds[0]]


def rows() -> Iterator[str]:
    """The table, one line for each entry of the code's list."""
    yield "| annotation | on | what it says | without it | state | shown by |"
    yield "|---|---|---|---|---|---|"
    for a in ANNOTATIONS:
        kinds = ", ".join(a.kinds)
        default = f"`{a.default}`" if a.default and " " not in a.default else a.default
        cells = (f"`{a.name}`", kinds, a.meaning, default, a.state.value, f"`{shown_by(a)}`")
        yield f"| {' | '.join(cells)} |"
