"""Which endpoints a client takes first: by the places of both, as a rule or the mesh says.

Follows Istio 1.27 (`loadbalancer.go`): `distribute` shares out by weight; else, where outlier
detection can tell that endpoints are lost, the nearest are used while they are well.
Priorities depend on the client, so clients of one locality share an assignment.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import ceil

from envoy.config.core.v3 import base_pb2
from envoy.config.endpoint.v3 import endpoint_components_pb2, endpoint_pb2

from meshgate.model.destination import TrafficPolicy
from meshgate.model.locality import NOWHERE, Locality, placed_labels
from meshgate.model.mesh_config import LocalitySetting
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.model.service import EMPTY
from meshgate.policies.packing import uint32
from meshgate.translate.destination import destination_policy, traffic_policy
from meshgate.translate.names import parse_cluster

_RANKS = 5
"""How many priorities distance and regions' failover make; `failoverPriority` goes before them."""


@dataclass(frozen=True, slots=True)
class Spot:
    """An endpoint and what its priority may depend on."""

    endpoint: endpoint_components_pb2.LbEndpoint
    locality: Locality
    labels: Mapping[str, str]

    @property
    def weight(self) -> int:
        """Its share beside others of its locality."""
        return self.endpoint.load_balancing_weight.value or 1


def locality_setting(reader: Reader, policy: TrafficPolicy) -> LocalitySetting | None:
    """What decides by place for a cluster; None where places do not matter."""
    own = policy.balancer.locality if policy.balancer else None
    setting = reader.mesh_config().locality if own is None else own
    if setting.enabled is False:
        return None
    return setting if setting.distribute or policy.outliers is not None else None


def scope(reader: Reader, proxy: Proxy, name: str) -> Hashable:
    """What of a client, beside its namespace, a cluster and its endpoints depend on."""
    parts = parse_cluster(name)
    if parts is None or proxy.plain:
        return None
    service = reader.service(parts.host)
    if service is not None and service.external_name:
        return frozenset(proxy.labels.items())  # the rules of another host hold
    rules = destination_policy(reader, parts.host, proxy.namespace, proxy.labels)
    if rules is None:
        return None
    setting = locality_setting(reader, traffic_policy(rules, parts.port, parts.subset))
    if setting is None:
        return rules.selector
    labels = placed_labels(proxy.labels, proxy.locality)
    wanted = tuple(_wanted(key, labels) for key in setting.failover_priority)
    return rules.selector, proxy.locality, wanted


def arrange(assignment: endpoint_pb2.ClusterLoadAssignment, spots: Iterable[Spot]) -> None:
    """Adds the endpoints, the same for every client: those of one locality together."""
    places = _by_place(spots)
    for locality, group in sorted(places.items()):
        found = assignment.endpoints.add(lb_endpoints=[spot.endpoint for spot in group])
        if locality != NOWHERE:
            found.locality.CopyFrom(_locality(locality))
    if not places:
        assignment.endpoints.add()


def arrange_for(
    proxy: Proxy,
    assignment: endpoint_pb2.ClusterLoadAssignment,
    spots: Iterable[Spot],
    setting: LocalitySetting,
) -> None:
    """Adds the endpoints by locality, with the priorities or weights that they have for this client."""
    found = tuple(spots)
    places = _by_place(found)
    if setting.distribute:
        for locality, weight in sorted(_weights(places, proxy.locality, setting).items()):
            _add(assignment, locality, places[locality], weight, 0)
        return
    ranked: dict[tuple[int, Locality], list[Spot]] = {}
    for spot in found:
        ranked.setdefault((_rank(spot, proxy, setting), spot.locality), []).append(spot)
    priorities = {rank: number for number, rank in enumerate(sorted({rank for rank, _ in ranked}))}
    for (rank, locality), group in sorted(ranked.items(), key=lambda item: item[0]):
        _add(assignment, locality, group, _total(group), priorities[rank])


def rearrange_for(
    proxy: Proxy, assignment: endpoint_pb2.ClusterLoadAssignment, setting: LocalitySetting
) -> None:
    """The same for an assignment that stands; of its endpoints' labels only the place is known."""
    spots = [
        Spot(one, Locality(group.locality.region, group.locality.zone, group.locality.sub_zone), EMPTY)
        for group in assignment.endpoints
        for one in group.lb_endpoints
    ]
    del assignment.endpoints[:]
    arrange_for(proxy, assignment, spots, setting)


def _by_place(spots: Iterable[Spot]) -> dict[Locality, list[Spot]]:
    places: dict[Locality, list[Spot]] = {}
    for spot in spots:
        places.setdefault(spot.locality, []).append(spot)
    return places


def _locality(place: Locality) -> base_pb2.Locality:
    return base_pb2.Locality(region=place.region, zone=place.zone, sub_zone=place.sub_zone)


def _weights(
    places: Mapping[Locality, list[Spot]], client: Locality, setting: LocalitySetting
) -> Mapping[Locality, int]:
    """The weight of each locality that gets requests from this client."""
    shares = next((to for place, to in setting.distribute if client.within(place)), None)
    if shares is None:
        return {locality: _total(group) for locality, group in places.items()}
    weights: dict[Locality, int] = {}
    # The most exact first: `region/zone/*` takes what `region/*` would take too.
    for place, share in sorted(shares, key=lambda s: (-s[0].count("/"), "*" in s[0], s[0])):
        inside = {p: _total(g) for p, g in places.items() if p not in weights and p.within(place)}
        for locality, own in inside.items():
            weights[locality] = ceil(own * share / sum(inside.values()))
    return weights


def _rank(spot: Spot, proxy: Proxy, setting: LocalitySetting) -> int:
    """Lower is taken first; may skip numbers."""
    keys = setting.failover_priority
    if not keys:
        return _region_rank(spot, proxy, setting)
    theirs = placed_labels(spot.labels, spot.locality)
    ours = placed_labels(proxy.labels, proxy.locality)
    missed = (n for n, key in enumerate(keys) if _wanted(key, ours) != theirs.get(key.partition("=")[0], ""))
    first = next(missed, None)
    rank = 0 if first is None else len(keys) - first
    return rank * _RANKS + _region_rank(spot, proxy, setting) if setting.failover else rank


def _region_rank(spot: Spot, proxy: Proxy, setting: LocalitySetting) -> int:
    distance = proxy.locality.distance(spot.locality)
    if distance < _RANKS - 2:
        return distance
    chosen = next((to for place, to in setting.failover if place == proxy.locality.region), None)
    return distance if chosen in (None, spot.locality.region) else distance + 1


def _wanted(key: str, labels: Mapping[str, str]) -> str:
    """The value that endpoints of the best priority have: `key=value`'s own, else the client's."""
    label, given, value = key.partition("=")
    return value if given else labels.get(label, "")


def _total(group: Iterable[Spot]) -> int:
    return sum(spot.weight for spot in group)


def _add(
    assignment: endpoint_pb2.ClusterLoadAssignment,
    locality: Locality,
    group: Iterable[Spot],
    weight: int,
    priority: int,
) -> None:
    assignment.endpoints.add(
        locality=_locality(locality),
        lb_endpoints=[spot.endpoint for spot in group],
        load_balancing_weight=uint32(weight),
        priority=priority,
    )
