"""Which Gateways are ours, and which hosts a VirtualService has on a server. Internal to `link`."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from meshgate.core.findings import Findings
from meshgate.model.declared import MeshRules
from meshgate.model.gateway import GatewayObject, Server
from meshgate.model.linking.input import Input
from meshgate.model.linking.mesh import MESH_GATEWAY
from meshgate.model.linking.workloads import selects
from meshgate.model.names import GATEWAY_LABELS, GATEWAY_NAMESPACE, ROOT_NAMESPACE, Name

_CUSTOMARY = frozenset({"ingressgateway", "istio-ingressgateway", "ingress", "istio-ingress"})
"""What the labels `istio` and `app` of an ingress gateway say in Istio's own installations."""

_OUR_NAMESPACES = (ROOT_NAMESPACE, GATEWAY_NAMESPACE)


def is_ours(gateway: GatewayObject, findings: Findings) -> bool:
    """Whether its selector takes our one gateway; MG3007 where it takes nothing that runs here.

    There is one gateway here, so every selector by the customary labels of an Istio ingress
    means it: `istio: ingressgateway`, `app: istio-ingressgateway` and their like.
    """
    if takes_gateway(gateway.selector):
        return True
    wanted = ", ".join(f"{k}={v}" for k, v in sorted(gateway.selector.items()))
    findings.warn(
        "MG3007",
        gateway.origin,
        gateway.ref,
        f"no gateway here has the labels {wanted}; none of its servers is opened",
        "select `istio: ingressgateway`",
        ("spec", "selector"),
    )
    return False


def takes_gateway(selector: Mapping[str, str]) -> bool:
    """Whether labels mean our gateway: its own, or the customary ones; an empty selector does."""
    customary = all(k in ("istio", "app") and v in _CUSTOMARY for k, v in selector.items())
    return customary or selects(selector, GATEWAY_LABELS)


def gateway_name(written: str, namespace: str) -> str:
    """`name` or `namespace/name` in a VirtualService as `namespace/name`; `mesh` stays."""
    return written if "/" in written or written == MESH_GATEWAY else f"{namespace}/{written}"


def server_hosts(gateway: GatewayObject, server: Server, rules: MeshRules) -> list[str]:
    """The server's hosts that a VirtualService of this namespace and `exportTo` may have."""
    visible = {*_OUR_NAMESPACES, gateway.name.namespace}
    exported = "*" in rules.export_to or any(
        (rules.namespace if n == "." else n) in visible for n in rules.export_to
    )
    if not exported:
        return []
    found = []
    for written in server.hosts:
        namespace, slash, host = written.rpartition("/")
        wanted = gateway.name.namespace if namespace == "." else namespace
        if not slash or wanted in ("*", rules.namespace):
            found.append(host)
    return found


def host_intersection(one: str, other: str) -> str:
    """The narrower of two hosts if the wider covers it; empty if they have nothing in common."""
    if _covers(one, other):
        return other
    return one if _covers(other, one) else ""


def _covers(wide: str, host: str) -> bool:
    return wide == host or wide == "*" or (wide.startswith("*.") and host.endswith(wide[1:]))


def wider_hosts(host: str, known: Collection[str]) -> Iterator[str]:
    """The hosts of `known` that cover `host`, the narrowest first; `*.x` before `*`."""
    labels = host.removeprefix("*.").split(".")
    start = 0 if host.startswith("*.") else 1
    wildcards = ("*." + ".".join(labels[i:]) for i in range(start, len(labels)))
    for candidate in dict.fromkeys((host, *wildcards, "*")):
        if candidate in known:
            yield candidate


def report_unbound(
    given: Input, bound: Collection[tuple[str, str]], elsewhere: Collection[str], findings: Findings
) -> None:
    """MG3021 for every Gateway that a VirtualService names and that does nothing for it."""
    known = {str(g.name) for g in given.declared.gateways}
    for rules in given.declared.mesh_rules:
        named = {g for g in rules.gateways if g != MESH_GATEWAY}
        inside = {g for r in rules.rules for m in r.matches for g in m.gateways}
        for written in sorted(named | inside):
            full = gateway_name(written, rules.namespace)
            if full not in {gateway_name(g, rules.namespace) for g in rules.gateways or (MESH_GATEWAY,)}:
                problem = f"{written!r} of a match is not among spec.gateways, so the match never holds"
                remedy = "add it to spec.gateways"
            elif full == MESH_GATEWAY or (str(rules.ref), full) in bound:
                continue
            elif full not in known:
                namespace, _, name = full.partition("/")
                problem = f"Gateway {full} {given.absence('Gateway', Name(namespace, name))}"
                remedy = "add the Gateway, or mend the name (namespace/name for another namespace)"
            elif full in elsewhere:
                problem, remedy = f"Gateway {full} selects no gateway here", "mend its selector"
            else:
                problem = f"no server of Gateway {full} is for {', '.join(rules.hosts)}"
                remedy = "make hosts, namespaces and exportTo of both agree"
            findings.warn(
                "MG3021",
                rules.origin,
                rules.ref,
                f"{problem}; the rules for it have no effect",
                remedy,
                ("spec", "gateways"),
            )
