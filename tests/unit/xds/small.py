"""A small model and translator: facets of ready messages, and endpoints of loopback ports."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from envoy.config.endpoint.v3 import endpoint_pb2 as endpoint
from google.protobuf.message import Message

from meshgate.xds.store import Store, Wiring
from meshgate.xds.types import CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, VIRTUAL_HOST

FACETS = {
    CLUSTER: "clusters",
    LISTENER: "listeners",
    ROUTE: "routes",
    SECRET: "secrets",
    VIRTUAL_HOST: "virtual_hosts",
}
Facet = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class SmallModel:
    """Facet -> key -> message; `instances`: cluster -> ports."""

    facets: Mapping[str, Facet] = field(default_factory=lambda: MappingProxyType({}))

    def put(self, facet: str, key: str, value: object) -> SmallModel:
        return self.with_facet(facet, {**self.facets.get(facet, {}), key: value})

    def drop(self, facet: str, key: str) -> SmallModel:
        return self.with_facet(facet, {k: v for k, v in self.facets[facet].items() if k != key})

    def with_facet(self, facet: str, entries: Facet) -> SmallModel:
        return replace(self, facets={**self.facets, facet: entries})


class SmallReader:
    """Records every question."""

    def __init__(self, model: SmallModel) -> None:
        self._model = model
        self.reads: set[tuple[str, str]] = set()

    def one(self, facet: str, key: str) -> object:
        self.reads.add((facet, key))
        return self._model.facets.get(facet, {}).get(key)

    def names(self, facet: str) -> frozenset[str]:
        self.reads.add((facet, "*"))
        return frozenset(self._model.facets.get(facet, {}))


def diff(old: SmallModel, new: SmallModel) -> frozenset[tuple[str, str]]:
    changed: set[tuple[str, str]] = set()
    for facet in old.facets.keys() | new.facets.keys():
        before, after = old.facets.get(facet, {}), new.facets.get(facet, {})
        if before.keys() != after.keys():
            changed.add((facet, "*"))
        changed |= {(facet, k) for k in before.keys() | after.keys() if before.get(k) != after.get(k)}
    return frozenset(changed)


@dataclass(frozen=True, slots=True)
class SmallTranslated:
    message: Message
    aliases: tuple[str, ...] = ()


class Broken(Exception):
    """What a translator with a bug raises."""


class SmallTranslator:
    """Listeners by wildcard, all else by name; the facet `scopes` gives a name a scope per proxy."""

    def wildcard(self, reader: SmallReader, proxy: str, type_url: str) -> frozenset[str]:
        return reader.names("listeners") if type_url == LISTENER else frozenset()

    def scope(self, reader: SmallReader, proxy: str, type_url: str, name: str) -> Hashable:
        return proxy if reader.one("scopes", name) else None

    def translate(self, reader: SmallReader, proxy: str, type_url: str, name: str) -> SmallTranslated | None:
        if type_url == ENDPOINT:
            ports = reader.one("instances", name)
            return SmallTranslated(assignment(name, ports)) if isinstance(ports, tuple) else None
        found = reader.one(FACETS[type_url], name)
        if isinstance(found, Exception):
            raise found
        return SmallTranslated(found) if isinstance(found, Message) else None


def assignment(name: str, ports: tuple[int, ...]) -> endpoint.ClusterLoadAssignment:
    made = endpoint.ClusterLoadAssignment(cluster_name=name)
    locality = made.endpoints.add()
    for port in ports:
        address = locality.lb_endpoints.add().endpoint.address.socket_address
        address.address, address.port_value = "127.0.0.1", port
    return made


SmallStore = Store[SmallModel, SmallReader, str]


def small_store(model: SmallModel) -> SmallStore:
    wiring = Wiring(
        translator=SmallTranslator(), reader=SmallReader, diff=diff, with_facet=SmallModel.with_facet
    )
    return Store(wiring, model)
