"""Playbooks: `book >> event << response` says what the proxy does and what it must be told.

Every response that an event brings about must be named by a `<<` before the next `>>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from meshgate.xds.resource import Resource, Response, assemble
from meshgate.xds.session import Session
from meshgate.xds.types import ALL, CLUSTER, ENDPOINT, LISTENER, ROUTE, SECRET, VIRTUAL_HOST, Names, short

CDS, EDS, SDS, LDS, RDS, VHDS = CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE, VIRTUAL_HOST


class World:
    """A catalog to edit: what a wildcard gives is every name that was put without `on_demand`."""

    def __init__(self) -> None:
        self.resources: dict[tuple[str, str], Resource] = {}
        self.hidden: set[tuple[str, str]] = set()
        self.released: list[tuple[str, str]] = []

    def put(
        self,
        type_url: str,
        name: str,
        version: str,
        *,
        uses: Iterable[str] = (),
        endpoints: str = "",
        secret: str = "",
        on_demand: bool = False,
    ) -> None:
        refers = {(CDS, cluster) for cluster in uses}
        if endpoints:
            refers.add((EDS, endpoints))
        if secret:
            refers.add((SDS, secret))
        self.resources[type_url, name] = assemble(
            type_url, name, version.encode(), version, (), frozenset(refers)
        )
        if on_demand:
            self.hidden.add((type_url, name))

    def drop(self, type_url: str, name: str) -> None:
        del self.resources[type_url, name]

    def wildcard(self, type_url: str) -> frozenset[str]:
        return frozenset(n for t, n in self.resources.keys() - self.hidden if t == type_url)

    def get(self, type_url: str, name: str) -> Resource | None:
        return self.resources.get((type_url, name))

    def release(self, type_url: str, name: str) -> None:
        self.released.append((type_url, name))


@dataclass(frozen=True, slots=True)
class Ask:
    """A request that answers nothing: the first one, or a change of subscriptions."""

    type_url: str
    names: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    holds: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ack:
    type_url: str
    names: tuple[str, ...] = ()
    drop: tuple[str, ...] = ()
    nonce: str = ""
    """Of the newest response of the type if empty."""


@dataclass(frozen=True, slots=True)
class Nack:
    type_url: str
    message: str = "no"


@dataclass(frozen=True, slots=True)
class Changed:
    changes: Mapping[str, Names]


@dataclass(frozen=True, slots=True)
class Idle:
    """The proxy was silent for a moment."""


@dataclass(frozen=True, slots=True)
class Overdue:
    """What is held was held for too long."""


Event = Ask | Ack | Nack | Changed | Idle | Overdue


@dataclass(frozen=True, slots=True)
class Tell:
    """One response: name -> version, names removed, names said to be unknown (VHDS)."""

    type_url: str
    resources: Mapping[str, str] = field(default_factory=dict)
    removed: frozenset[str] = frozenset()
    unknown: frozenset[str] = frozenset()


def changed(**types: str | None) -> Changed:
    """`changed(CDS="a b", RDS=None)`: names by blank, None for all."""
    urls = {short(t): t for t in (CDS, EDS, SDS, LDS, RDS, VHDS)}
    return Changed(
        {urls[key]: ALL if names is None else frozenset(names.split()) for key, names in types.items()}
    )


def seen(response: Response) -> Tell:
    """What a proxy reads out of a response's bytes."""
    message = response.message()
    full = {r.name: r.version for r in message.resources if r.HasField("resource")}
    for resource in message.resources:
        if resource.HasField("resource"):
            assert resource.resource.type_url == message.type_url
            assert resource.resource.value
        else:
            assert list(resource.aliases) == [resource.name]
    return Tell(
        message.type_url,
        full,
        frozenset(message.removed_resources),
        frozenset(r.name for r in message.resources if not r.HasField("resource")),
    )


class Playbook:
    """Plays events to a session and checks every response."""

    def __init__(self, world: World, **settings: int) -> None:
        self.session = Session("proxy", world, **settings)
        self._nonces: dict[str, str] = {}
        self._due: list[Tell] = []

    def __rshift__(self, event: Event) -> Playbook:
        self._nothing_due()
        for response in self._play(event):
            self._nonces[response.type_url] = response.nonce
            self._due.append(seen(response))
        return self

    def __lshift__(self, expected: Tell) -> Playbook:
        assert self._due, f"expected {expected}, got nothing"
        assert self._due.pop(0) == expected
        return self

    def __enter__(self) -> Playbook:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self._nothing_due()

    def _nothing_due(self) -> None:
        assert not self._due, f"not expected: {self._due}"

    def _play(self, event: Event) -> list[Response]:
        match event:
            case Ask():
                return self.session.receive(
                    discovery.DeltaDiscoveryRequest(
                        type_url=event.type_url,
                        resource_names_subscribe=event.names,
                        resource_names_unsubscribe=event.drop,
                        initial_resource_versions=event.holds,
                    )
                )
            case Ack():
                return self.session.receive(
                    discovery.DeltaDiscoveryRequest(
                        type_url=event.type_url,
                        response_nonce=event.nonce or self._nonces[event.type_url],
                        resource_names_subscribe=event.names,
                        resource_names_unsubscribe=event.drop,
                    )
                )
            case Nack():
                request = discovery.DeltaDiscoveryRequest(
                    type_url=event.type_url, response_nonce=self._nonces[event.type_url]
                )
                request.error_detail.code = 13
                request.error_detail.message = event.message
                return self.session.receive(request)
            case Changed():
                return self.session.refresh(event.changes)
            case Idle():
                return self.session.idle()
            case Overdue():
                return self.session.release_holds()
