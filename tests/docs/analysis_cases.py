"""What istioctl's analyzers find, each with a manifest that shows it, and the code that we give it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One of istioctl's messages."""

    theirs: str
    """Its code and name."""
    ours: str
    """The code that `meshgate analyze` gives the manifest."""
    manifest: str


_NAMESPACE = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop, labels: {istio-injection: enabled}}\n"
_POD = "metadata: {labels: {app: web}}, spec: {containers: [{name: web, image: web}]}"
_WEB = f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: web}}}}, template: {{{_POD}}}}}
"""
_SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: %s, namespace: shop}
spec: {selector: {app: web}, ports: [%s]}
"""
_PORT = _SERVICE % ("web", "{port: 80, name: http}")
_SHOP = f"{_NAMESPACE}---{_WEB}---{_PORT}"
_ISTIO = "---\napiVersion: %s.istio.io/v1\nkind: %s\nmetadata: {name: %s, namespace: shop}\nspec: {%s}\n"


def _routes(spec: str, name: str = "web") -> str:
    return _ISTIO % ("networking", "VirtualService", name, spec)


def _gateway(name: str, *servers: str) -> str:
    return _ISTIO % (
        "networking",
        "Gateway",
        name,
        f"selector: {{istio: ingressgateway}}, servers: [{', '.join(servers)}]",
    )


def _two(group: str, kind: str, spec: str) -> str:
    return "".join(_ISTIO % (group, kind, name, spec) for name in ("one", "two"))


def _patch(patch: str) -> str:
    text = _ISTIO % ("networking", "EnvoyFilter", "patch", f"configPatches: [{patch}]")
    return text.replace("istio.io/v1\n", "istio.io/v1alpha3\n")


_LUA = "{name: x, typed_config: {'@type': type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua}}"
_CHOSEN = "selector: {matchLabels: {app: web}}, accessLogging: [{disabled: true}]"
_TO_WEB = "route: [{destination: {host: web}}]"
_HTTP = "{port: {number: 80, name: http, protocol: HTTP}, hosts: [%s]}"
_HTTPS = (
    "{port: {number: 443, name: https, protocol: HTTPS}, hosts: [%s], tls: {mode: SIMPLE, credentialName: c}}"
)

CASES: tuple[Case, ...] = (
    Case(
        theirs="IST0101 ReferencedResourceNotFound (host)",
        ours="MG3011",
        manifest=_SHOP + _routes("hosts: [web], http: [{route: [{destination: {host: wep}}]}]"),
    ),
    Case(
        theirs="IST0101 ReferencedResourceNotFound (subset)",
        ours="MG3003",
        manifest=_SHOP + _routes("hosts: [web], http: [{route: [{destination: {host: web, subset: v2}}]}]"),
    ),
    Case(
        theirs="IST0101 ReferencedResourceNotFound (gateway)",
        ours="MG3021",
        manifest=_SHOP + _routes(f"hosts: [web.example], gateways: [gone], http: [{{{_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0101 ReferencedResourceNotFound (credential), IST0161 InvalidGatewayCredential",
        ours="MG3005",
        manifest=_SHOP + _gateway("edge", _HTTPS % "web.example"),
    ),
    Case(
        theirs="IST0102 NamespaceNotInjected",
        ours="MG3101",
        manifest=f"apiVersion: v1\nkind: Namespace\nmetadata: {{name: shop}}\n---{_WEB}",
    ),
    Case(
        theirs="IST0106 SchemaValidationError",
        ours="MG2002",
        manifest=_SHOP + _routes(f"hosts: [web], http: [{{timeout: soon, {_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0109 ConflictingMeshGatewayVirtualServiceHosts",
        ours="MG3008",
        manifest=_SHOP
        + _routes(f"hosts: [web], http: [{{{_TO_WEB}}}]")
        + _routes(f"hosts: [web], http: [{{{_TO_WEB}}}]", name="other"),
    ),
    Case(
        theirs="IST0108 UnknownAnnotation, IST0125 InvalidAnnotation",
        ours="MG2005",
        manifest=_SHOP.replace(
            "metadata: {labels: {app: web}}",
            "metadata: {labels: {app: web}, annotations: {sidecar.istio.io/injekt: 'x'}}",
        ),
    ),
    Case(
        theirs="IST0110 ConflictingSidecarWorkloadSelectors",
        ours="MG3008",
        manifest=_SHOP
        + _two("networking", "Sidecar", "workloadSelector: {labels: {app: web}}, egress: [{hosts: ['./*']}]"),
    ),
    Case(
        theirs="IST0111 MultipleSidecarsWithoutWorkloadSelectors",
        ours="MG3008",
        manifest=_SHOP + _two("networking", "Sidecar", "egress: [{hosts: ['./*']}]"),
    ),
    Case(
        theirs="IST0112 VirtualServiceDestinationPortSelectorRequired",
        ours="MG3106",
        manifest=f"{_NAMESPACE}---{_WEB}---"
        + _SERVICE % ("web", "{port: 80, name: http}, {port: 81, name: http-admin}")
        + _routes(f"hosts: [web], http: [{{{_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0113 MTLSPolicyConflict",
        ours="MG3110",
        manifest=_SHOP
        + _ISTIO
        % ("networking", "DestinationRule", "web", "host: web, trafficPolicy: {tls: {mode: DISABLE}}")
        + _ISTIO % ("security", "PeerAuthentication", "web", "mtls: {mode: STRICT}"),
    ),
    Case(
        theirs="IST0116 DeploymentAssociatedToMultipleServices",
        ours="MG3104",
        manifest=f"{_SHOP}---" + _SERVICE % ("raw", "{port: 80, name: tcp}"),
    ),
    Case(
        theirs="IST0118 PortNameIsNotUnderNamingConvention",
        ours="MG3103",
        manifest=f"{_SHOP}---" + _SERVICE % ("odd", "{port: 90, name: stuff}"),
    ),
    Case(
        theirs="IST0119 JwtFailureDueToInvalidServicePortPrefix",
        ours="MG3107",
        manifest=f"{_SHOP}---"
        + _SERVICE % ("raw", "{port: 5432, name: tcp}")
        + _ISTIO
        % (
            "security",
            "RequestAuthentication",
            "tokens",
            "selector: {matchLabels: {app: web}}, jwtRules: [{issuer: x, jwks: '{\"keys\": []}'}]",
        ),
    ),
    Case(
        theirs="IST0122 InvalidRegexp",
        ours="MG2002",
        manifest=_SHOP + _routes(f"hosts: [web], http: [{{match: [{{uri: {{regex: '('}}}}], {_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0123 NamespaceMultipleInjectionLabels",
        ours="MG3102",
        manifest="apiVersion: v1\nkind: Namespace\n"
        "metadata: {name: shop, labels: {istio-injection: enabled, istio.io/rev: a}}\n",
    ),
    Case(
        theirs="IST0127 NoMatchingWorkloadsFound",
        ours="MG3007",
        manifest=_SHOP
        + _ISTIO % ("security", "AuthorizationPolicy", "p", "selector: {matchLabels: {app: gone}}"),
    ),
    Case(
        theirs="IST0130 VirtualServiceUnreachableRule (behind one without a match)",
        ours="MG3009",
        manifest=_SHOP + _routes(f"hosts: [web], http: [{{{_TO_WEB}}}, {{{_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0130 VirtualServiceUnreachableRule (behind the same match)",
        ours="MG3105",
        manifest=_SHOP
        + _routes(
            f"hosts: [web], http: [{{match: [{{uri: {{prefix: /a}}}}], {_TO_WEB}}},"
            f" {{match: [{{uri: {{exact: /ab}}}}], {_TO_WEB}}}]"
        ),
    ),
    Case(
        theirs="IST0131 VirtualServiceIneffectiveMatch",
        ours="MG3105",
        manifest=_SHOP
        + _routes(
            f"hosts: [web], http: [{{match: [{{uri: {{prefix: /a}}}}], {_TO_WEB}}},"
            f" {{match: [{{uri: {{prefix: /a}}}}, {{uri: {{prefix: /b}}}}], {_TO_WEB}}}]"
        ),
    ),
    Case(
        theirs="IST0132 VirtualServiceHostNotFoundInGateway",
        ours="MG3021",
        manifest=_SHOP
        + _gateway("edge", _HTTP % "web.example")
        + _routes(f"hosts: [other.example], gateways: [edge], http: [{{{_TO_WEB}}}]"),
    ),
    Case(
        theirs="IST0137 DeploymentConflictingPorts",
        ours="MG3104",
        manifest=f"{_SHOP}---" + _SERVICE % ("again", "{port: 8000, targetPort: 80, name: http}"),
    ),
    Case(
        theirs="IST0138 GatewayDuplicateCertificate",
        ours="MG3108",
        manifest=_SHOP + _gateway("one", _HTTPS % "a.example") + _gateway("two", _HTTPS % "b.example"),
    ),
    Case(
        theirs="IST0145 ConflictingGateways",
        ours="MG3008",
        manifest=_SHOP + _gateway("one", _HTTPS % "a.example") + _gateway("two", _HTTPS % "a.example"),
    ),
    Case(
        theirs="IST0149 JwtClaimBasedRoutingWithoutRequestAuthN",
        ours="MG3112",
        manifest=_SHOP
        + _gateway("edge", _HTTP % "web.example")
        + _routes(
            "hosts: [web.example], gateways: [edge], http: [{match: [{headers: "
            f"{{'@request.auth.claims.group': {{exact: a}}}}}}], {_TO_WEB}}}]"
        ),
    ),
    Case(
        theirs="IST0150 ExternalNameServiceTypeInvalidPortName",
        ours="MG3109",
        manifest="apiVersion: v1\nkind: Service\nmetadata: {name: far, namespace: shop}\n"
        "spec: {type: ExternalName, externalName: db.example, ports: [{port: 5432, name: tcp}]}\n",
    ),
    Case(
        theirs="IST0151 EnvoyFilterUsesRelativeOperation, IST0155 (the same with proxyVersion)",
        ours="MG3111",
        manifest=_SHOP
        + _patch(
            "{applyTo: HTTP_FILTER, match: {context: SIDECAR_INBOUND, listener: {filterChain: {filter: "
            "{name: envoy.filters.network.http_connection_manager, "
            "subFilter: {name: envoy.filters.http.router}}}}}, "
            f"patch: {{operation: INSERT_BEFORE, value: {_LUA}}}}}"
        ),
    ),
    Case(
        theirs="IST0152 EnvoyFilterUsesReplaceOperationIncorrectly",
        ours="MG2006",
        manifest=_SHOP + _patch("{applyTo: CLUSTER, patch: {operation: REPLACE, value: {name: x}}}"),
    ),
    Case(
        theirs="IST0153 EnvoyFilterUsesAddOperationIncorrectly",
        ours="MG2006",
        manifest=_SHOP + _patch("{applyTo: ROUTE_CONFIGURATION, patch: {operation: ADD, value: {name: x}}}"),
    ),
    Case(
        theirs="IST0157 InvalidTelemetryProvider",
        ours="MG3031",
        manifest=_SHOP
        + _ISTIO % ("telemetry", "Telemetry", "t", "accessLogging: [{providers: [{name: x}]}]"),
    ),
    Case(
        theirs="IST0159 ConflictingTelemetryWorkloadSelectors",
        ours="MG3008",
        manifest=_SHOP + _two("telemetry", "Telemetry", _CHOSEN),
    ),
    Case(
        theirs="IST0160 MultipleTelemetriesWithoutWorkloadSelectors",
        ours="MG3008",
        manifest=_SHOP + _two("telemetry", "Telemetry", "accessLogging: [{disabled: true}]"),
    ),
)

ELSEWHERE: tuple[tuple[str, str], ...] = (
    ("IST0103 PodMissingProxy", "labelling a namespace starts its pods anew, with a sidecar"),
    (
        "IST0107 MisplacedAnnotation, IST0135, IST0136 (old and young annotations)",
        "not looked for: an annotation at the wrong kind is as if it were not there",
    ),
    ("IST0134 ServiceEntryAddressesRequired", "a host without addresses gets one, or a variable"),
    (
        "IST0154 EnvoyFilterUsesRemoveOperationIncorrectly",
        "routes can be removed here; where REMOVE cannot be had it is an error",
    ),
    (
        "IST0128, IST0129 NoServerCertificateVerification",
        "a server's certificate is always checked; without an authority of your own, by the system's",
    ),
    ("IST0140 IngressRouteRulesNotAffected", "an Ingress follows VirtualServices here"),
    (
        "IST0139, IST0141, IST0142, IST0146-0148, IST0156, IST0158 and others about an installation",
        "there is no webhook, image or cluster to be wrong",
    ),
    ("IST0126, IST0163-0165 about several clusters", "there is one control plane, and one network"),
    ("IST0143 LocalhostListener", "programs of a pod listen on the pod's own loopback here, which works"),
    ("IST0144 InvalidApplicationUID", "no user is kept for sidecars"),
    ("IST0162 GatewayPortNotDefinedOnService", "the gateway opens each port of a Gateway itself"),
)
"""What cannot arise here, or is not looked for, and why."""
