"""The delta ADS state machine of one stream: requests in, responses out, no I/O, no clock.

Make before break: a route or virtual host that names a cluster which the proxy is only just
getting is held until that cluster was acknowledged and its endpoints (and secrets) were asked for
and answered; a cluster goes only after every routing resource that may still use it was replaced.

At most one response per type is unanswered at any time. What changes meanwhile is remembered by
name only, so the newest state is what goes out next.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, Protocol, TypeVar

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from meshgate.xds.resource import Resource, Response, absent
from meshgate.xds.status import Liveness, SessionStatus
from meshgate.xds.subscription import WILDCARD, Changes, InFlight, Subscription, clusters_of
from meshgate.xds.types import (
    CLUSTER,
    ENDPOINT,
    ORDER,
    ROUTE,
    ROUTING,
    VIRTUAL_HOST,
    WARMING,
    Reference,
    short,
)

MAX_NAMES: Final = 50_000
"""Names one stream may subscribe to per type; one more is answered as absent and not remembered."""
MAX_TYPES: Final = 32
_MAX_NOTES: Final = 20

P = TypeVar("P")


class Catalog(Protocol):
    """What one proxy may know, at its newest."""

    def wildcard(self, type_url: str) -> frozenset[str]:
        """The names that a wildcard subscription of this proxy gets."""
        ...

    def get(self, type_url: str, name: str) -> Resource | None:
        """The resource as this proxy must see it; None if there is none."""
        ...

    def release(self, type_url: str, name: str) -> None:
        """The proxy no longer asks for this name."""
        ...


class Session(Generic[P]):
    """The state machine of one stream of `proxy`; not safe for threads."""

    def __init__(self, proxy: P, catalog: Catalog, *, max_names: int = MAX_NAMES) -> None:
        self.proxy = proxy
        self._catalog = catalog
        self._max_names = max_names
        self._subscriptions: dict[str, Subscription] = {}
        self._nonce = 0
        self._warming: dict[str, frozenset[Reference]] = {}
        """Clusters that were acknowledged and wait for these answers."""
        self._warm: set[str] = set()
        """Clusters that routes may name."""
        self._opened: set[str] = set()
        """Route configurations whose virtual hosts were answered for the first time."""
        self._resumed = False
        """The proxy came with clusters and has not yet told all that it holds."""
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
                self._warm |= subscription.versions.keys()
                self._resumed = bool(subscription.versions)
        else:
            self._answered(subscription, request)
            for name in subscription.change(request, limit=self._max_names):
                self._catalog.release(type_url, name)
                if type_url == CLUSTER:
                    self._cool(name)
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
        self._resumed = False
        return self._flush()

    @property
    def resuming(self) -> bool:
        """Whether `idle` is waited for."""
        return self._resumed

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
        self._warm |= waited
        return self._flush()

    def liveness(self) -> Liveness:
        """Whether everything this stream asked for was acknowledged in its newest version."""
        subscriptions = self._subscriptions.values()
        if self._resumed or not subscriptions:
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
                self._warm |= {name for name, resource in refused.sent.items() if resource is None}
            self._note(f"{short(subscription.type_url)} refused: {subscription.last_nack}")
        else:
            done = subscription.acked()
            if subscription.type_url == CLUSTER:
                self._clusters_acked(done)

    def _clusters_acked(self, done: InFlight) -> None:
        for name, resource in done.sent.items():
            if resource is not None and name not in self._warm:
                self._warming[name] = frozenset(r for r in resource.references if r[0] in WARMING)

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

    def _cool(self, name: str) -> None:
        self._warm.discard(name)
        self._warming.pop(name, None)

    def _flush(self) -> list[Response]:
        """Everything that may go out now. Ends: each round sends, or shrinks what is pending."""
        responses: list[Response] = []
        while True:
            before = self._outstanding()
            for subscription in self._in_order():
                self._warm_up()
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
            return subscription.versions.get(name) is not None and self._in_use(subscription.type_url, name)
        if subscription.type_url not in ROUTING:
            return False
        if lacking := self._lacking(resource):
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
                self._cool(name)
        subscription.owed = False
        subscription.in_flight = InFlight(nonce=str(self._nonce), sent=batch)
        return Response(
            type_url=subscription.type_url,
            nonce=str(self._nonce),
            resources=tuple(resources),
            removed=tuple(removed),
        )

    def _lacking(self, resource: Resource) -> frozenset[str]:
        """The clusters on their way to the proxy that `resource` names and that are not usable yet.

        A cluster that the proxy did not ask for (it may on demand), that does not exist or that it
        refused is not on its way: waiting would not bring it.
        """
        clusters = self._subscriptions.get(CLUSTER)
        if clusters is None:
            return frozenset()
        named = clusters_of(resource.references, CLUSTER)
        # The catalog may be newer than the last `refresh`, which is then about to give the cluster.
        given = self._catalog.wildcard(CLUSTER) if clusters.wildcard else frozenset[str]()
        wanted = (n for n in named - self._warm if clusters.wants(n) or n in given)
        cold = (n for n in wanted if self._coming(clusters, n))
        return frozenset((*cold, *(n for n in named & self._warm if self._endpoints_coming(clusters, n))))

    def _endpoints_coming(self, clusters: Subscription, cluster: str) -> bool:
        """Whether endpoints of a cluster that had none are about to follow; routes come after them."""
        endpoints = self._subscriptions.get(ENDPOINT)
        if endpoints is None or not endpoints.pending:
            return False
        return any(
            kind == ENDPOINT and name in endpoints.pending and endpoints.versions.get(name) is None
            for kind, name in clusters.references.get(cluster, ())
        )

    def _coming(self, clusters: Subscription, name: str) -> bool:
        cluster = self._catalog.get(CLUSTER, name)
        return cluster is not None and not clusters.refused(name, cluster.version)

    def _warm_up(self) -> None:
        ready = [name for name, needs in self._warming.items() if all(map(self._is_answered, needs))]
        for name in ready:
            del self._warming[name]
            self._warm.add(name)

    def _is_answered(self, reference: Reference) -> bool:
        type_url, name = reference
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and subscription.wants(name) and subscription.knows(name)

    def _in_use(self, type_url: str, name: str) -> bool:
        """Whether removing something that the proxy holds could break what it still does."""
        if type_url == CLUSTER:
            return self._resumed or any(self._routes_use(s, name) for s in self._routing())
        if type_url in WARMING:
            users = [*self._routing(), *filter(None, [self._subscriptions.get(CLUSTER)])]
            return not all(user.settled() for user in users)
        return False

    def _routing(self) -> list[Subscription]:
        return [s for t, s in self._subscriptions.items() if t in ROUTING]

    def _routes_use(self, routes: Subscription, cluster: str) -> bool:
        """Whether a resource that is being replaced, or whose replacement was refused, may use it."""
        if any((CLUSTER, cluster) in references for _, references in routes.ghosts.values()):
            return True
        for name in routes.unsettled_names():
            sent = routes.in_flight.sent.get(name) if routes.in_flight else None
            if sent is not None and (CLUSTER, cluster) in sent.references:
                return True
            if routes.versions.get(name) is None:
                continue
            held = routes.references.get(name)
            if held is None or (CLUSTER, cluster) in held:
                return True
        return False

    def _note(self, text: str) -> None:
        self._notes = [*self._notes, text][-_MAX_NOTES:]


def _listed(names: frozenset[str]) -> str:
    shown = ", ".join(sorted(names)[:5])
    return shown if len(names) <= 5 else f"{shown} and {len(names) - 5} more"
