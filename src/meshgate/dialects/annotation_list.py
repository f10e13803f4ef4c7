"""Every annotation that is known, on which kinds, and what becomes of it: the parsers ask here.

Kong's are those of Kong Ingress Controller 3.5 (`internal/annotations`); Istio's are those that are honoured.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cache

KONG = "konghq.com/"
MESHGATE = "meshgate.dev/"
CLASS = "kubernetes.io/ingress.class"
TRAFFIC = "traffic.sidecar.istio.io/"

INGRESS = ("Ingress",)
HTTP = ("Ingress", "HTTPRoute")
ROUTES = ("Ingress", "HTTPRoute", "GRPCRoute")
_BUFFERING = "`true`: bodies that say how long they are, up to 8 MiB, are held back until they are whole"
STREAM_ROUTES = ("TCPRoute", "TLSRoute", "UDPRoute")
STREAM_INGRESSES = ("TCPIngress", "UDPIngress")
CONSUMERS = ("KongConsumer", "KongConsumerGroup")
SERVICE = ("Service",)
PLUGIN = ("KongPlugin", "KongClusterPlugin")
POD_TEMPLATE = "pod template"
PODS = (POD_TEMPLATE,)
"""Not `metadata` of the Deployment but that of its `spec.template`."""


class State(Enum):
    """What an annotation does."""

    WORKS = "works"
    NOTED = "noted, no effect"
    CLOSED = "closed"
    """An error: what it guards, or the object, is closed."""


NOTED, CLOSED = State.NOTED, State.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class Annotation:
    """One annotation on some kinds."""

    name: str
    """In full; a family of them (`headers.NAME`) ends in its capital placeholder."""
    kinds: tuple[str, ...]
    meaning: str
    default: str = ""
    """What holds where it is not written; empty: nothing."""
    example: str
    """A value that is right."""
    state: State = State.WORKS

    def is_named(self, name: str) -> bool:
        """Whether this is the annotation of that name."""
        family = self.name.removesuffix("NAME")
        return name.startswith(family) if family != self.name else name == self.name


def _kong(
    short: str,
    kinds: tuple[str, ...],
    example: str,
    meaning: str,
    default: str = "",
    state: State = State.WORKS,
) -> Annotation:
    return _other(KONG + short, kinds, example, meaning, default, state)


def _other(
    name: str,
    kinds: tuple[str, ...],
    example: str,
    meaning: str,
    default: str = "",
    state: State = State.WORKS,
) -> Annotation:
    return Annotation(name=name, kinds=kinds, meaning=meaning, default=default, example=example, state=state)


_OF_KONG = (
    _kong("plugins", (*ROUTES, *CONSUMERS), "one", "KongPlugins that run for it, also `NAMESPACE:NAME`"),
    _kong("plugins", SERVICE, "one", "KongPlugins that run wherever it is reached through a route"),
    _kong("plugins", STREAM_INGRESSES, "one", "`ip-restriction` holds; others are warned of, or close it"),
    _kong("plugins", STREAM_ROUTES, "one", "plugins are not run for connections",
          state=CLOSED),
    _kong("protocols", ROUTES, "https", "how clients may come: of http, https, grpc, grpcs", "all"),
    _kong("protocols", ("TCPIngress",), "tcp", "of tcp and tls, or tls_passthrough alone", "both"),
    _kong("protocols", ("UDPIngress",), "udp", "udp alone", "udp"),
    _kong("https-redirect-status-code", ROUTES, "301",
          "of 301, 302, 307, 308, 426: what plain HTTP gets where HTTPS alone is let in", "426"),
    _kong("strip-path", HTTP, "true", "the matched path is taken off", "false"),
    _kong("preserve-host", ROUTES, "false", "the service sees the Host of the client", "true"),
    _kong("regex-priority", INGRESS, "5", "regular expressions with a higher one are tried first", "0"),
    _kong("regex-prefix", INGRESS, "/#", "what begins a regular expression", "/~"),
    _kong("methods", ROUTES, "GET,HEAD", "other methods do not match", "all"),
    _kong("snis", ROUTES, "shop.example", "over TLS only for these server names", "all"),
    _kong("host-aliases", ROUTES, "b.example", "the same rules for these hosts too"),
    _kong("headers.NAME", ROUTES, "a,b", "the header has one of these values; one `~*...` is a pattern"),
    _kong("headers-separator", ROUTES, "|", "what parts the values of `headers.NAME`", ","),
    _kong("path-handling", HTTP, "v1", "how the paths of Service and request are joined, v0 or v1", "v0"),
    _kong("request-buffering", ROUTES, "false", _BUFFERING, "false"),
    _kong("response-buffering", ROUTES, "false", _BUFFERING, "false"),
    _kong("rewrite", INGRESS, "/new", "the whole path that the service sees; `$1` is a group of the path"),
    _kong("override", INGRESS, "old", "a KongIngress whose `route` is taken over"),
    _kong("override", SERVICE, "old", "a KongIngress whose `proxy` and `upstream` are taken over"),
    _kong("protocol", SERVICE, "grpc", "what its pods speak: of http, https, grpc, grpcs, tcp, tls",
          "what its ports say"),
    _kong("path", SERVICE, "/base", "put before every path"),
    _kong("client-cert", SERVICE, "", "the Secret with the certificate that the gateway shows"),
    _kong("host-header", SERVICE, "inner.example", "its Host, where the route does not preserve the client's",
          "its own name"),
    _kong("upstream-policy", SERVICE, "sticky", "a KongUpstreamPolicy"),
    _kong("connect-timeout", SERVICE, "2000", "milliseconds", "Envoy's, 5 s"),
    _kong("read-timeout", SERVICE, "2000", "milliseconds of silence", "none"),
    _kong("write-timeout", SERVICE, "2000", "milliseconds of silence; the longer one counts", "none"),
    _kong("retries", SERVICE, "3", "repeats of requests that never reached a pod", "the mesh's"),
    _kong("tls-verify", SERVICE, "false", "pods' certificates are checked", "false"),
    _kong("tls-verify-depth", SERVICE, "", "authorities between a pod's certificate and a trusted one"),
    _kong("ca-certificates-secrets", SERVICE, "", "Secrets with the authorities", "the system's"),
    _kong("ca-certificates-configmaps", SERVICE, "", "ConfigMaps with the authorities", "the system's"),
    _kong("gatewayclass-unmanaged", ("GatewayClass",), "true", "its Gateways are opened by what runs already",
          "true"),
    _kong("publish-service", ("Gateway",), "a/b", "Kong's controller writes it: addresses are our own here",
          state=NOTED),
    _kong("tags", (*ROUTES, *STREAM_ROUTES, *STREAM_INGRESSES, *CONSUMERS, *SERVICE, *PLUGIN,
                   "KongUpstreamPolicy", "Secret", "Gateway"), "a,b",
          "there is no admin API that would look for them", state=NOTED),
)  # fmt: skip

_OTHERS = (
    _other(CLASS, INGRESS, "kong", "the old way of `spec.ingressClassName`", "ours"),
    _other(CLASS, (*CONSUMERS, *STREAM_INGRESSES, "KongClusterPlugin"), "kong",
           "another one than `kong` leaves the object out", "taken, with a warning"),
    _other("ingress.kubernetes.io/force-ssl-redirect", ROUTES, "true", "plain HTTP gets 302", "false"),
    _other("ingress.kubernetes.io/service-upstream", SERVICE, "true",
           "the gateway has no way to pods but the mesh's own", state=NOTED),
    _other("ingressclass.kubernetes.io/is-default-class", ("IngressClass",), "true",
           "Ingresses without a class are of this one", "false"),
    _other(f"{MESHGATE}command", PODS, "python3 app.py", "the program, in place of an image"),
    _other(f"{MESHGATE}on-sidecar-failure", PODS, "block", "`bypass`: traffic goes on without a dead sidecar",
           "block"),
    _other(f"{MESHGATE}proto-configmap", PLUGIN, "protos", "where the `.proto` of grpc-gateway is"),
    _other(f"{MESHGATE}grpc-reflection", PLUGIN, "true", "the service describes itself", "false"),
    _other(f"{MESHGATE}grpc-json", PLUGIN, "every-method", "how JSON is made of gRPC"),
    _other("networking.istio.io/exportTo", SERVICE, ".", "namespaces that know the Service", "*"),
    _other("sidecar.istio.io/inject", PODS, "false", "whether there is a sidecar",
           "the namespace's"),
    _other("proxy.istio.io/config", PODS, "{concurrency: 1}", "settings of the sidecar", "MeshConfig's"),
    _other(f"{TRAFFIC}includeInboundPorts", PODS, "*", "ports whose connections pass the sidecar", "*"),
    _other(f"{TRAFFIC}excludeInboundPorts", PODS, "9000", "ports whose connections do not"),
    _other(f"{TRAFFIC}includeOutboundPorts", PODS, "3306", "ports that are caught whatever the address"),
    _other(f"{TRAFFIC}excludeOutboundPorts", PODS, "3306", "ports that are not caught"),
    _other(f"{TRAFFIC}includeOutboundIPRanges", PODS, "10.0.0.0/8", "addresses that are caught", "*"),
    _other(f"{TRAFFIC}excludeOutboundIPRanges", PODS, "10.0.0.0/8", "addresses that are not"),
    _other("istio.io/dry-run", ("AuthorizationPolicy",), "true", "only counted and logged", "false"),
    _other("istio.io/autoRegistrationGroup", ("WorkloadEntry",), "vms", "the WorkloadGroup it is of"),
)  # fmt: skip

ANNOTATIONS = (*_OF_KONG, *_OTHERS)


@cache
def of_kind(kind: str) -> tuple[Annotation, ...]:
    """Those that mean something on a kind."""
    return tuple(a for a in ANNOTATIONS if kind in a.kinds)


def find(name: str, kind: str) -> Annotation | None:
    """The annotation of that name on a kind; None where it means nothing on it."""
    return next((a for a in of_kind(kind) if a.is_named(name)), None)


def exists(name: str) -> bool:
    """Whether any kind has it."""
    return any(a.is_named(name) for a in ANNOTATIONS)


def names(kind: str, prefix: str) -> Iterator[str]:
    """Names that one may have meant on a kind; where it has none with the prefix, those of all kinds."""
    here = [a.name for a in of_kind(kind) if a.name.startswith(prefix)]
    yield from here or (a.name for a in ANNOTATIONS if a.name.startswith(prefix))
