"""Whatever happens in whatever order, the proxy ends with what the catalog says."""

from __future__ import annotations

from collections import defaultdict, deque
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2 as discovery
from hypothesis import example, given, settings
from hypothesis import strategies as st

from meshgate.xds.resource import Resource, Response
from meshgate.xds.session import Session
from meshgate.xds.status import Liveness
from tests.unit.xds.playbook import CDS, EDS, LDS, RDS, VHDS, World

CLUSTERS = ("c1", "c2", "c3")
ROUTES = ("r1", "r2")
HOSTS = ("r1/h1", "r1/h2")
BAD = "bad"


@dataclass(slots=True)
class Sent:
    """A response on its way, with what the catalog said when it was made."""

    response: Response
    catalog: dict[tuple[str, str], Resource]


@dataclass(slots=True)
class Proxy:
    """A client as Envoy behaves; it refuses every resource whose version begins with `bad`."""

    world: World
    session: Session[str] = field(init=False)
    wire: deque[Sent] = field(default_factory=deque)
    held: dict[str, dict[str, Resource]] = field(default_factory=lambda: defaultdict(dict))
    wanted: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    empty: set[str] = field(default_factory=set)
    """Clusters that were told that they have no endpoints, and so wait for none."""

    def __post_init__(self) -> None:
        self.wanted[RDS] = set(ROUTES)
        self.wanted[VHDS] = {"r1"}
        self.connect()

    def connect(self) -> None:
        """A new stream: everything is said again, with the versions held."""
        self.session = Session("proxy", self.world)
        self.wire.clear()
        for type_url in (CDS, EDS, LDS, RDS, VHDS):
            versions = {name: resource.version for name, resource in self.held[type_url].items()}
            if type_url not in (CDS, LDS) and not self.wanted[type_url]:
                continue
            self.say(type_url, names=sorted(self.wanted[type_url]), holds=versions, wildcard=type_url == CDS)

    def say(
        self,
        type_url: str,
        *,
        names: list[str] | None = None,
        drop: list[str] | None = None,
        holds: dict[str, str] | None = None,
        nonce: str = "",
        error: str = "",
        wildcard: bool = False,
    ) -> None:
        request = discovery.DeltaDiscoveryRequest(
            type_url=type_url,
            resource_names_subscribe=[*(["*"] if wildcard and names else []), *(names or [])],
            resource_names_unsubscribe=drop or [],
            initial_resource_versions=holds or {},
            response_nonce=nonce,
        )
        if error:
            request.error_detail.message = error
        self.take(self.session.receive(request))

    def take(self, responses: list[Response]) -> None:
        self.wire.extend(Sent(r, dict(self.world.resources)) for r in responses)
        types = [sent.response.type_url for sent in self.wire]
        assert len(types) == len(set(types)), "two responses of one type in flight"

    def read(self) -> None:
        """Take in the oldest response on the wire and answer it."""
        if not self.wire:
            return
        sent = self.wire.popleft()
        response, held = sent.response, self.held[sent.response.type_url]
        if any(r.version.startswith(BAD) for r in response.resources):
            self.say(response.type_url, nonce=response.nonce, error="bad")
            return
        self.check(sent)
        for resource in response.resources:
            if response.type_url not in (CDS, LDS) and resource.name not in self.wanted[response.type_url]:
                continue
            if resource.body:
                held[resource.name] = resource
            else:
                held.pop(resource.name, None)
        for name in response.removed:
            held.pop(name, None)
            if response.type_url == EDS:
                self.empty.add(name)
        if response.type_url == CDS:
            self.follow_clusters()
        self.say(response.type_url, nonce=response.nonce)

    def follow_clusters(self) -> None:
        """Subscribe to the endpoints of the clusters held, and to no others."""
        needed = {n for c in self.held[CDS].values() for t, n in c.references if t == EDS}
        added, dropped = needed - self.wanted[EDS], self.wanted[EDS] - needed
        self.wanted[EDS] = needed
        for name in dropped:
            self.held[EDS].pop(name, None)
            self.empty.discard(name)
        if added or dropped:
            self.say(EDS, names=sorted(added), drop=sorted(dropped))

    def check(self, sent: Sent) -> None:
        """Make before break, seen from the proxy."""
        response, catalog = sent.response, sent.catalog
        if response.type_url in (RDS, VHDS, LDS):
            for resource in response.resources:
                for _, cluster in resource.references:
                    known = catalog.get((CDS, cluster))
                    if known is not None and not known.version.startswith(BAD):
                        assert cluster in self.held[CDS], f"{resource.name} came before {cluster}"
                        if (EDS, cluster) in catalog and cluster not in self.empty:
                            assert cluster in self.held[EDS], f"{cluster} is still warming"
        if response.type_url == CDS:
            for type_url in (RDS, VHDS, LDS):
                for name, resource in self.held[type_url].items():
                    newest = catalog.get((type_url, name))
                    if newest is not None and newest.version == resource.version:
                        continue
                    uses = {n for _, n in resource.references}
                    assert not uses & set(response.removed), f"{name} still uses a removed cluster"


names = {CDS: CLUSTERS, EDS: CLUSTERS, LDS: ("l",), RDS: ROUTES, VHDS: HOSTS}
versions = st.sampled_from(["1", "2", "3", "bad1", "bad2"])
puts = st.sampled_from(list(names)).flatmap(
    lambda t: st.tuples(
        st.just("put"),
        st.just(t),
        st.sampled_from(names[t]),
        versions if t != EDS else st.sampled_from(["1", "2", "3"]),
        st.sets(st.sampled_from(CLUSTERS)) if t not in (CDS, EDS) else st.just(set[str]()),
    )
)
drops = st.sampled_from(list(names)).flatmap(
    lambda t: st.tuples(st.just("drop"), st.just(t), st.sampled_from(names[t]))
)
hosts = st.tuples(st.sampled_from(["ask", "leave"]), st.sampled_from(HOSTS))
moves = st.tuples(st.just("move"), st.sampled_from(CLUSTERS), st.sampled_from(["1", "2"]))
others = st.sampled_from([("read",), ("read",), ("read",), ("connect",), ("idle",), ("refresh",)])
Step = tuple[object, ...]

START: tuple[Step, ...] = (("move", "c1", "1"), ("ask", "r1/h1"), *[("read",)] * 20)


def _play(proxy: Proxy, step: Step, changed: dict[str, set[str]]) -> None:
    world = proxy.world
    match step:
        case ("put", str(type_url), str(name), str(version), set(uses)):
            # A version stands for bytes, so it must say what the bytes name.
            full = f"{version}:{','.join(sorted(uses))}"
            world.put(type_url, name, full, uses=sorted(uses), endpoints=name if type_url == CDS else "")
            changed[type_url].add(name)
        case ("drop", str(type_url), str(name)):
            if world.resources.pop((type_url, name), None):
                changed[type_url].add(name)
        case ("move", str(cluster), str(version)):
            # All traffic to one cluster, which is the only one left.
            for name in CLUSTERS:
                _play(proxy, ("drop", CDS, name), changed)
            _play(proxy, ("put", CDS, cluster, version, set[str]()), changed)
            _play(proxy, ("put", EDS, cluster, "1", set[str]()), changed)
            for type_url, name in ((RDS, "r1"), (VHDS, "r1/h1"), (LDS, "l")):
                _play(proxy, ("put", type_url, name, version, {cluster}), changed)
            _play(proxy, ("refresh",), changed)
        case ("ask", str(name)):
            proxy.wanted[VHDS].add(name)
            proxy.say(VHDS, names=[name])
        case ("leave", str(name)) if name in proxy.wanted[VHDS]:
            proxy.wanted[VHDS].discard(name)
            proxy.held[VHDS].pop(name, None)
            proxy.say(VHDS, drop=[name])
        case ("read",):
            proxy.read()
        case ("connect",):
            changed.clear()
            proxy.connect()
        case ("idle",):
            proxy.take(proxy.session.idle())
        case ("refresh",):
            proxy.take(proxy.session.refresh({t: frozenset(n) for t, n in changed.items()}))
            changed.clear()
        case _:
            pass


NEWER_THAN_TOLD: list[Step] = [
    ("ask", "r1/h1"),
    ("ask", "r1/h1"),
    ("put", CDS, "c2", "1", set()),
    ("put", VHDS, "r1/h1", "1", {"c2"}),
    ("read",),
]
"""A virtual host is answered before anybody said that the catalog has changed."""
ENDPOINTS_AT_LAST: list[Step] = [
    ("put", CDS, "c2", "1", set()),
    ("ask", "r1/h1"),
    ("read",),
    ("move", "c2", "1"),
]
"""A cluster without endpoints gets them together with all traffic."""

GONE_BEFORE_TOLD: list[Step] = [
    ("put", LDS, "l", "1", set()),
    ("drop", CDS, "c1"),
    ("ask", "r1/h2"),
]
"""A cluster goes with the listener that used it, before anybody said so."""

GIVEN_UP_AND_ASKED_FOR_AGAIN: list[Step] = [
    ("drop", CDS, "c1"),
    ("ask", "r1/h1"),
    ("leave", "r1/h1"),
    ("ask", "r1/h1"),
    ("put", VHDS, "r1/h1", "1", set()),
]
"""What was on its way is taken after all, and uses a cluster that is about to go."""

REFUSED_FOR_WHAT_WAS_GIVEN_UP: list[Step] = [
    ("put", CDS, "c3", "1", set()),
    ("put", VHDS, "r1/h1", "bad1", set()),
    ("put", RDS, "r2", "1", {"c1", "c3"}),
    ("connect",),
    ("leave", "r1/h1"),
]
"""A response is refused for a host that nobody wants any more; what came with it is not to blame."""


@settings(max_examples=150, deadline=None)
@example(REFUSED_FOR_WHAT_WAS_GIVEN_UP)
@example(GIVEN_UP_AND_ASKED_FOR_AGAIN)
@example(GONE_BEFORE_TOLD)
@example(NEWER_THAN_TOLD)
@example(ENDPOINTS_AT_LAST)
@given(st.lists(st.one_of(puts, puts, drops, hosts, moves, others, others), max_size=60))
def test_any_interleaving_converges(steps: list[Step]) -> None:
    proxy = Proxy(World())
    changed: dict[str, set[str]] = defaultdict(set)
    for step in START:
        _play(proxy, step, changed)
    for step in steps:
        _play(proxy, step, changed)
    _play(proxy, ("refresh",), changed)
    for _ in range(300):
        while proxy.wire:
            proxy.read()
        proxy.take(proxy.session.idle())
        if not proxy.wire:
            break
    assert not proxy.wire
    catalog = proxy.world.resources
    wanted = {t: proxy.wanted[t] if t not in (CDS, LDS) else proxy.world.wildcard(t) for t in names}
    bad = {key for key, r in catalog.items() if r.version.startswith(BAD) and key[1] in wanted[key[0]]}
    for type_url in names:
        for name in wanted[type_url] | proxy.held[type_url].keys():
            target = catalog.get((type_url, name))
            held = proxy.held[type_url].get(name)
            if (type_url, name) in bad:
                assert held is None or not held.version.startswith(BAD)
            elif not bad or target is not None:
                # With something refused, what it replaces may keep what is gone from the catalog.
                assert (held and held.version) == (target and target.version), (type_url, name)
    assert (proxy.session.liveness() is Liveness.LIVE) == (not bad)
