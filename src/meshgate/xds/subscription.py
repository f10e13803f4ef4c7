"""One xDS type of one stream: what is subscribed, what the proxy holds, what is on its way.

The rules are those of the delta protocol (Envoy 1.40, api-docs/xds_protocol); what concerns
several types at once is in `session.py`.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from meshgate.xds.resource import Resource
from meshgate.xds.status import Rejection, TypeStatus
from meshgate.xds.types import ALL, Names, Reference

WILDCARD = "*"
_MESSAGE_CHARACTERS = 1000


@dataclass(slots=True, kw_only=True)
class InFlight:
    """The one response of a type that the proxy has not answered yet."""

    nonce: str
    sent: dict[str, Resource | None]
    """None where the proxy was told that the name does not exist."""
    given_up: bool = False
    """Something of it is not wanted any more; if it is refused, that may be why."""


@dataclass(slots=True, kw_only=True)
class Subscription:
    """Mutable state of one type; owned by one `Session`."""

    type_url: str
    wildcard: bool = False
    names: set[str] = field(default_factory=set)
    """Subscribed one by one."""
    given: frozenset[str] = frozenset()
    """What the wildcard gives this proxy at present; empty without one."""
    versions: dict[str, str | None] = field(default_factory=dict)
    """What the proxy holds; None where it knows that the name does not exist."""
    references: dict[str, frozenset[Reference]] = field(default_factory=dict)
    """What the versions it holds refer to; a name is missing where that is not known."""
    pending: set[str] = field(default_factory=set)
    """Names to look at; most turn out to need something sent."""
    forced: set[str] = field(default_factory=set)
    """Pending names to be answered even if the proxy holds the newest version."""
    owed: bool = False
    """An answer is due even if it is empty: Envoy waits for the first one of a wildcard."""
    in_flight: InFlight | None = None
    ghosts: dict[str, tuple[str, frozenset[Reference]]] = field(default_factory=dict)
    """(nonce, references) of what was given up while it was on its way: who asks for it again
    before it comes takes it."""
    suspects: deque[frozenset[str]] = field(default_factory=deque)
    """Parts of a refused response, sent one after the other to find what is at fault."""
    rejected: dict[str, Rejection] = field(default_factory=dict)
    held: dict[str, frozenset[str]] = field(default_factory=dict)
    last_nack: str = ""

    def wants(self, name: str) -> bool:
        """Whether the proxy asked for this name, one by one or by wildcard."""
        return name in self.names or name in self.given

    def knows(self, name: str) -> bool:
        """Whether the proxy was answered about this name, or the answer is on its way."""
        return name in self.versions or (self.in_flight is not None and name in self.in_flight.sent)

    def settled(self) -> bool:
        """Whether nothing is on its way, waits or was refused."""
        return not (self.pending or self.in_flight or self.rejected or self.owed)

    def unsettled_names(self) -> set[str]:
        """Names of which the proxy may hold something else than the newest."""
        sent = self.in_flight.sent if self.in_flight else ()
        return self.pending.union(self.rejected, sent)

    def open(self, request: discovery.DeltaDiscoveryRequest, *, limit: int) -> None:
        """Take in the first request of the type on this stream: a fresh start or a reconnect."""
        asked = request.resource_names_subscribe
        self.wildcard = self.owed = not asked or WILDCARD in asked
        # An empty version is that of a name told absent: nothing is held under it.
        self.versions = {n: v or None for n, v in request.initial_resource_versions.items()}
        for name in set(asked) - {WILDCARD}:
            self._subscribe(name, limit)
        self.forced.clear()
        for name in self.versions.keys() - self.names if not self.wildcard else ():
            del self.versions[name]
        self.pending |= self.names | self.versions.keys()

    def change(self, request: discovery.DeltaDiscoveryRequest, *, limit: int) -> list[str]:
        """Take in a later request's (un)subscriptions; gives the names nobody wants any more."""
        for name in request.resource_names_subscribe:
            if name != WILDCARD:
                self._subscribe(name, limit)
            else:
                self.wildcard = self.owed = True
        if WILDCARD in request.resource_names_unsubscribe:
            self.wildcard = False
            dropped, self.given = self.given - self.names, frozenset()
        else:
            dropped = frozenset()
        gone = list(dropped)
        for name in request.resource_names_unsubscribe:
            if name in self.names:
                self.names.discard(name)
                if self.wildcard:
                    # It may still be given by the wildcard; only our answer tells the proxy.
                    self.pending.add(name)
                    self.forced.add(name)
                else:
                    gone.append(name)
        for name in gone:
            self._forget(name)
        return gone

    def mark(self, changed: Names) -> None:
        """Look again at what changed, as far as the proxy asked for it or holds it."""
        known = self.names | self.given | self.versions.keys()
        self.pending |= known if changed is ALL else known & changed

    def give(self, given: frozenset[str]) -> None:
        """Take a new answer to the wildcard; what came or went becomes pending."""
        self.pending |= given ^ self.given
        self.given = given

    def candidates(self) -> list[str]:
        """The names to build the next response of, sorted."""
        while self.suspects:
            if part := self.suspects.popleft() & self.pending:
                return sorted(part)
        return sorted(self.pending)

    def skip(self, name: str) -> None:
        """Nothing needs to be sent for this name."""
        self.pending.discard(name)
        self.forced.discard(name)
        self.held.pop(name, None)

    def acked(self) -> InFlight:
        """The proxy took the response in flight."""
        assert self.in_flight is not None
        done, self.in_flight = self.in_flight, None
        self._lay_ghosts(done.sent)
        for name, resource in done.sent.items():
            self.rejected.pop(name, None)
            if resource is not None:
                self.versions[name] = resource.version
                self.references[name] = resource.references
                continue
            self.references.pop(name, None)
            if name in self.names:
                self.versions[name] = None
            else:
                self.versions.pop(name, None)
        return done

    def nacked(self, message: str) -> InFlight:
        """The proxy refused the response in flight.

        A refusal says of a response of many resources only that one of them is at fault, so its halves
        are sent again until the one is found; what was refused alone is not sent until it changes.
        """
        assert self.in_flight is not None
        done, self.in_flight = self.in_flight, None
        self._lay_ghosts(())
        self.last_nack = message[:_MESSAGE_CHARACTERS]
        names = sorted(done.sent)
        if done.given_up:
            self.pending.update(names)
        elif len(names) == 1:
            (resource,) = done.sent.values()
            version = resource.version if resource else None
            self.rejected[names[0]] = Rejection(name=names[0], version=version, message=self.last_nack)
        elif names:
            middle = len(names) // 2
            self.suspects.extendleft([frozenset(names[middle:]), frozenset(names[:middle])])
            self.pending.update(names)
        return done

    def refused(self, name: str, version: str | None) -> bool:
        """Whether the proxy refused just this version of the name."""
        rejection = self.rejected.get(name)
        return rejection is not None and rejection.version == version

    def status(self) -> TypeStatus:
        """A snapshot for people."""
        return TypeStatus(
            type_url=self.type_url,
            wildcard=self.wildcard,
            subscribed=len(self.names),
            acked={name: version for name, version in self.versions.items() if version},
            in_flight=len(self.in_flight.sent) if self.in_flight else 0,
            pending=frozenset(self.pending),
            held=dict(self.held),
            rejected=tuple(self.rejected[name] for name in sorted(self.rejected)),
            last_nack=self.last_nack,
        )

    def _subscribe(self, name: str, limit: int) -> None:
        # A repeated subscription must be answered again: the client may have forgotten its copy.
        self.pending.add(name)
        self.forced.add(name)
        if len(self.names) < limit:
            self.names.add(name)

    def _forget(self, name: str) -> None:
        self.skip(name)
        self.rejected.pop(name, None)
        self.versions.pop(name, None)
        self.references.pop(name, None)
        flight = self.in_flight
        if flight and name in flight.sent:
            flight.given_up = True
        sent = flight.sent.pop(name, None) if flight else None
        if flight and sent is not None:
            self.ghosts[name] = flight.nonce, sent.references
        elif name in self.ghosts and (flight is None or self.ghosts[name][0] != flight.nonce):
            del self.ghosts[name]

    def _lay_ghosts(self, taken: Iterable[str]) -> None:
        """Forgets what was replaced, and what nobody asked for again."""
        replaced = frozenset(taken)
        for name in [n for n in self.ghosts if n in replaced or n not in self.names]:
            del self.ghosts[name]


def clusters_of(references: Iterable[Reference], type_url: str) -> frozenset[str]:
    """The names of one type among references."""
    return frozenset(name for kind, name in references if kind == type_url)


Changes = Mapping[str, Names]
"""Type URL -> names that changed."""
