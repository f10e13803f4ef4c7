"""What must be at the proxy before what: a cluster before its routes, and no cluster away from under one.

One stream's; no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from meshgate.xds.resource import Resource
from meshgate.xds.subscription import InFlight, Subscription, clusters_of
from meshgate.xds.types import CLUSTER, ENDPOINT, ROUTING, WARMING, Reference


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


class MakeBeforeBreak:
    """Which clusters a proxy can use by now, and which resources it may still use."""

    def __init__(self, subscriptions: Mapping[str, Subscription], catalog: Catalog) -> None:
        self._subscriptions, self._catalog = subscriptions, catalog
        self._warming: dict[str, frozenset[Reference]] = {}
        """Clusters that were acknowledged and wait for these answers."""
        self._warm: set[str] = set()
        """Clusters that routes may name."""
        self.resumed = False
        """The proxy came with clusters and has not yet told all that it holds."""

    def has(self, clusters: Iterable[str]) -> None:
        """The proxy holds these clusters, or must do without them: nothing waits for them any more."""
        self._warm |= set(clusters)

    def acked(self, done: InFlight) -> None:
        """The proxy has taken these clusters."""
        for name, resource in done.sent.items():
            if resource is not None and name not in self._warm:
                self._warming[name] = frozenset(r for r in resource.references if r[0] in WARMING)

    def cool(self, name: str) -> None:
        """The proxy has a cluster no longer."""
        self._warm.discard(name)
        self._warming.pop(name, None)

    def lacking(self, resource: Resource) -> frozenset[str]:
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

    def warm_up(self) -> None:
        """Opens the clusters to routes whose endpoints and secrets were answered meanwhile."""
        ready = [name for name, needs in self._warming.items() if all(map(self._is_answered, needs))]
        for name in ready:
            del self._warming[name]
            self._warm.add(name)

    def _is_answered(self, reference: Reference) -> bool:
        type_url, name = reference
        subscription = self._subscriptions.get(type_url)
        return subscription is not None and subscription.wants(name) and subscription.knows(name)

    def in_use(self, type_url: str, name: str) -> bool:
        """Whether removing something that the proxy holds could break what it still does."""
        if type_url == CLUSTER:
            return self.resumed or any(self._routes_use(s, name) for s in self._routing())
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
