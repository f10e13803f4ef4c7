"""The delta ADS state machine of one stream: requests in, responses out, no I/O, no clock.

Make before break (`make_before_break.py`): a route or virtual host that names a cluster which the
proxy is only just getting is held until that cluster was acknowledged and its endpoints (and
secrets) were asked for and answered; a cluster goes only after every routing resource that may
still use it was replaced.

At most one response per type is unanswered at any time. What changes meanwhile is remembered by
name only, so the newest state is what goes out next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from meshgate.xds.make_before_break import Catalog, MakeBeforeBreak
from meshgate.xds.resource import Resource, Response, absent
from meshgate.xds.status import Liveness, SessionStatus
from meshgate.xds.subscription import WILDCARD, Changes, InFlight, Subscription
from meshgate.xds.types import (
    CLUSTER,
    ENDPOINT,
    ORDER,
    ROUTE,
    ROUTING,
    VIRTUAL_HOST,
    short,
)

MAX_NAMES: Final = 50_000
"""Names one stream may subscribe to per type; one more is answered as absent and not remembered."""
MAX_TYPES: Final = 32
_MAX_NOTES: Final = 20

P = TypeVar("P")


class Session(Generic[P]):
    """The state machine of one stream of `proxy`; not safe for threads."""

    def __init__(self, proxy: P, catalog: Catalog, *, max_names: int = MAX_NAMES) -> None:
        self.proxy = proxy
        self._catalog = catalog
        self._max_names = max_names
        self._subscriptions: dict[str, Subscription] = {}
        self._nonce = 0
        self._order = MakeBeforeBreak(self._subscriptions, catalog)
        self._opened: set[str] = set()
        """Route configurations whose virtual hosts were answered for the first time."""
        self._notes: list[str] = []

    def receive(self, request: discovery.DeltaDiscoveryRequest) -> list[Response]:
        """Take in one request of the proxy: first or later, ACK, NACK, (un)subscription, all at once."""
        type_url = request.type_url
        subscription = self._subscriptions.get(type_url)
        fresh = subscription is None
        if subscription is None:
            if len(self._subscriptions) >= MAX_TYPES:
                return []
            subscription = self._subscriptions[type_url] = Subscription(type_url=type_url)
            subscription.open(request, limit=self._max_names)
            if type_url == CLUSTER:
                self._order.has(subscription.versions)
                self._order.resumed = bool(subscription.versions)
        else:
            self._answered(subscription, request)
            for name in subscription.change(request, limit=self._max_names):
                self._catalog.release(type_url, name)
                if type_url == CLUSTER:
                    self._order.cool(name)
        if subscription.wildcard and (fresh or WILDCARD in request.resource_names_subscribe):
            # Later only `refresh` does: what uses a cluster must be looked at before the cluster goes.
            subscription.give(self._catalog.wildcard(type_url))
        if type_url in (ROUTE, VIRTUAL_HOST):
            self._open_hosts()
        return self._flush()

    def refresh(self, changes: Changes) -> list[Response]:
        """Tell the proxy what changed, as far as it asked for it; `ALL` looks at everything of a type."""
        for type_url, names in changes.items():
            if subscription := self._subscriptions.get(type_url):
                subscription.mark(names)
                if subscription.wildcard:
                    subscription.give(self._catalog.wildcard(type_url))
        return self._flush()

    def idle(self) -> list[Response]:
        """The proxy has been silent for a moment, so what it holds is now fully known.

        After a reconnect, clusters that are gone are removed only now: the first requests come type by
        type, and a route that still uses the cluster may be in one not yet read.
        """
        self._order.resumed = False
        return self._flush()

    @property
    def resuming(self) -> bool:
        """Whether `idle` is waited for."""
        return self._order.resumed

    @property
    def holding(self) -> bool:
        """Whether something waits for a cluster to become usable."""
        return any(subscription.held for subscription in self._subscriptions.values())

    def release_holds(self) -> list[Response]:
        """Send what waits for new clusters regardless; for a proxy that never asks for their endpoints."""
        waited = frozenset[str]().union(*(c for s in self._subscriptions.values() for c in s.held.values()))
        if not waited:
            return []
        self._note(f"routes were sent although these clusters are not ready: {_listed(waited)}")
        self._order.has(waited)
        return self._flush()

    def liveness(self) -> Liveness:
        """Whether everything this stream asked for was acknowledged in its newest version."""
        subscriptions = self._subscriptions.values()
        if self._order.resumed or not subscriptions:
            return Liveness.PENDING
        if any(s.pending or s.in_flight or s.owed for s in subscriptions):
            return Liveness.PENDING
        return Liveness.REJECTED if any(s.rejected for s in subscriptions) else Liveness.LIVE

    def status(self) -> SessionStatus:
        """A snapshot for `meshgate status`."""
        return SessionStatus(
            liveness=self.liveness(),
            types=tuple(s.status() for s in self._in_order()),
            notes=tuple(self._notes),
        )

    def _answered(self, subscription: Subscription, request: discovery.DeltaDiscoveryRequest) -> None:
        """Apply the ACK or NACK in a request; a nonce that is not the one in flight is neither."""
        flight = subscription.in_flight
        if flight is None or request.response_nonce != flight.nonce:
            return
        if request.HasField("error_detail"):
            refused = subscription.nacked(request.error_detail.message)
            if subscription.type_url == CLUSTER:
                self._order.has(name for name, resource in refused.sent.items() if resource is None)
            self._note(f"{short(subscription.type_url)} refused: {subscription.last_nack}")
        else:
            done = subscription.acked()
            if subscription.type_url == CLUSTER:
                self._order.acked(done)

    def _open_hosts(self) -> None:
        """Owe VHDS one answer under each route configuration, even where it has no virtual host to tell.

        Envoy (1.40) starts VHDS with an empty request that does not say for which route configuration,
        hands an answer on by what stands before a name's last slash, and keeps the listener closed until
        one came or the fetch timed out.

        What a wildcard gives may have been sent before Envoy knew the route configuration, e.g. with
        a new listener; Envoy has dropped that, so it is sent again.
        """
        routes, hosts = self._subscriptions.get(ROUTE), self._subscriptions.get(VIRTUAL_HOST)
        if routes is None or hosts is None:
            return
        fresh = {name for name in routes.names - self._opened if routes.knows(name)}
        self._opened = (self._opened & routes.names) | fresh
        again = {f"{name}/" for name in fresh}
        if fresh:
            again.update(host for host in hosts.given if host.rpartition("/")[0] in fresh)
        hosts.pending |= again
        hosts.forced |= again

    def _flush(self) -> list[Response]:
        """Everything that may go out now. Ends: each round sends, or shrinks what is pending."""
        responses: list[Response] = []
        while True:
            before = self._outstanding()
            for subscription in self._in_order():
                self._order.warm_up()
                if response := self._next(subscription):
                    responses.append(response)
            if self._outstanding() == before:
                return responses

    def _outstanding(self) -> tuple[int, int]:
        return self._nonce, sum(len(s.pending) + len(s.suspects) for s in self._subscriptions.values())

    def _in_order(self) -> Iterator[Subscription]:
        known = [self._subscriptions[t] for t in ORDER if t in self._subscriptions]
        yield from known
        yield from (s for t, s in self._subscriptions.items() if t not in ORDER)

    def _next(self, subscription: Subscription) -> Response | None:
        """The next response of one type, if one is due and none is in flight."""
        if subscription.in_flight or not (subscription.pending or subscription.owed):
            return None
        batch: dict[str, Resource | None] = {}
        for name in subscription.candidates():
            resource = self._newest(subscription, name)
            if self._needless(subscription, name, resource):
                subscription.skip(name)
            elif not self._must_wait(subscription, name, resource):
                batch[name] = resource
        if not batch and not subscription.owed:
            return None
        return self._send(subscription, batch)

    def _newest(self, subscription: Subscription, name: str) -> Resource | None:
        return self._catalog.get(subscription.type_url, name) if subscription.wants(name) else None

    def _needless(self, subscription: Subscription, name: str, resource: Resource | None) -> bool:
        version = resource.version if resource else None
        if subscription.refused(name, version):
            return True
        # What was refused is no longer what is wanted.
        subscription.rejected.pop(name, None)
        if name in subscription.forced:
            return False
        if name in subscription.versions:
            if subscription.versions[name] != version:
                return False
            if resource is not None:
                subscription.references[name] = resource.references
            return True
        return resource is None and name not in subscription.names

    def _must_wait(self, subscription: Subscription, name: str, resource: Resource | None) -> bool:
        if resource is None:
            if subscription.type_url == VIRTUAL_HOST and name.endswith("/"):
                # Opens the listener: not before the virtual hosts that are on their way.
                return any(other != name and other.startswith(name) for other in subscription.pending)
            held = subscription.versions.get(name) is not None
            return held and self._order.in_use(subscription.type_url, name)
        if subscription.type_url not in ROUTING:
            return False
        if lacking := self._order.lacking(resource):
            subscription.held[name] = lacking
            return True
        return False

    def _send(self, subscription: Subscription, batch: dict[str, Resource | None]) -> Response:
        self._nonce += 1
        removed = [name for name, resource in batch.items() if resource is None]
        resources = [resource for resource in batch.values() if resource is not None]
        if subscription.type_url == VIRTUAL_HOST:
            unknown = [name for name in removed if subscription.versions.get(name) is None]
            # For a bare route configuration, as older Envoys ask, the same holds as in `_open_hosts`.
            resources += [absent(name if "/" in name else f"{name}/") for name in unknown]
            removed = [name for name in removed if name not in unknown]
        if subscription.type_url == CLUSTER and (endpoints := self._subscriptions.get(ENDPOINT)):
            # A cluster that is made anew warms until it hears of its endpoints again, and Envoy (1.40) does
            # not ask again for an assignment that it is subscribed to already. Nor does it acknowledge
            # clusters while one of them warms, so the endpoints follow at once.
            refers = {
                name for resource in resources for kind, name in resource.references if kind == ENDPOINT
            }
            endpoints.pending |= refers & endpoints.names
            endpoints.forced |= refers & endpoints.names
        for name, resource in batch.items():
            subscription.skip(name)
            if resource is None and subscription.type_url == CLUSTER:
                # Not when it is acknowledged: a route that wants it back meanwhile must wait for it anew.
                self._order.cool(name)
        subscription.owed = False
        subscription.in_flight = InFlight(nonce=str(self._nonce), sent=batch)
        return Response(
            type_url=subscription.type_url,
            nonce=str(self._nonce),
            resources=tuple(resources),
            removed=tuple(removed),
        )

    def _note(self, text: str) -> None:
        self._notes = [*self._notes, text][-_MAX_NOTES:]


def _listed(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
