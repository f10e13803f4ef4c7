"""Which routes are attached to which listeners, and by which hostnames. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from meshgate.model.gateway_api import GATEWAY_GROUP, XGATEWAY_GROUP, NamespacePolicy, ParentRef
from meshgate.model.gateway_api_routes import ApiRoute
from meshgate.model.linking.gateway_api.listeners import LinkedListener
from meshgate.model.linking.gateway_hosts import host_intersection
from meshgate.model.linking.input import Input
from meshgate.model.status import Condition

_NAMESPACE_LABEL = "kubernetes.io/metadata.name"
HOLDERS = {
    (GATEWAY_GROUP, "Gateway"),
    (GATEWAY_GROUP, "ListenerSet"),
    (XGATEWAY_GROUP, "XListenerSet"),
}
"""Kinds that have listeners."""


@dataclass(frozen=True, slots=True, eq=False)
class Attachment:
    """A route on a listener, by the hostnames that both have; `*` for every host."""

    route: ApiRoute
    listener: LinkedListener
    hostnames: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attached:
    """What one parent makes of a route."""

    accepted: Condition
    attachments: tuple[Attachment, ...] = ()


def attach(
    route: ApiRoute, parent: ParentRef, listeners: Sequence[LinkedListener], given: Input
) -> Attached | None:
    """The listeners of the parent that take the route; None where the parent is none of ours."""
    if (parent.group, parent.kind) not in HOLDERS:
        return None
    there = [
        one
        for one in listeners
        if (one.holder.ref.group, one.holder.ref.kind) == (parent.group, parent.kind)
        and one.holder.name == parent.name
    ]
    if not there:
        return None
    meant = [
        one
        for one in there
        if parent.section in ("", one.declared.name) and parent.port in (0, one.declared.port)
    ]
    if not meant:
        wanted = " ".join(filter(None, (parent.section, str(parent.port or ""))))
        return _refused("NoMatchingParent", f"{parent.kind} {parent.name} has no listener {wanted}")
    open_ones = [one for one in meant if one.takes_routes]
    if not open_ones:
        return _refused("NoMatchingParent", f"no listener of {parent.kind} {parent.name} is accepted")
    allowed = [one for one in open_ones if _allows(one, route, given)]
    if not allowed:
        message = f"no listener of {parent.kind} {parent.name} takes a {route.ref.kind} of this namespace"
        return _refused("NotAllowedByListeners", message)
    attachments = tuple(
        Attachment(route, one, hosts) for one in allowed if (hosts := _hostnames(route.hostnames, one))
    )
    if not attachments:
        message = f"no listener of {parent.kind} {parent.name} is for {', '.join(route.hostnames)}"
        return _refused("NoMatchingListenerHostname", message)
    accepted = Condition(type="Accepted", holds=True, reason="Accepted")
    return Attached(accepted, attachments)


def permitted(policy: NamespacePolicy, own: str, namespace: str, given: Input) -> bool:
    """Whether something in `namespace` may come to what is in the namespace `own`."""
    match policy.source:
        case "All":
            return True
        case "Same":
            return namespace == own
        case "Selector":
            known = given.namespaces.get(namespace)
            labels = {**(known.labels if known else {}), _NAMESPACE_LABEL: namespace}
            return policy.selector.selects(labels)
        case _:
            return False


def best_listener(host: str, listeners: Iterable[LinkedListener]) -> LinkedListener | None:
    """The listener whose hostname is the closest to a host; every request goes to that one alone."""
    best: LinkedListener | None = None
    for one in listeners:
        wide = one.declared.hostname or "*"
        covers = host_intersection(wide, host) == host
        if covers and (best is None or len(wide) > len(best.declared.hostname or "*")):
            best = one
    return best


def _allows(listener: LinkedListener, route: ApiRoute, given: Input) -> bool:
    return route.kind in listener.kinds and permitted(
        listener.declared.namespaces, listener.namespace, route.namespace, given
    )


def _hostnames(wanted: tuple[str, ...], listener: LinkedListener) -> tuple[str, ...]:
    own = listener.declared.hostname or "*"
    found = (host_intersection(w, own) for w in wanted or ("*",))
    return tuple(dict.fromkeys(h for h in found if h))


def _refused(reason: str, message: str) -> Attached:
    return Attached(Condition(type="Accepted", holds=False, reason=reason, message=message))
