"""One stream, as playbooks."""

from __future__ import annotations

from envoy.service.discovery.v3 import discovery_pb2 as discovery

from meshgate.xds.session import Session
from meshgate.xds.status import Liveness, TypeStatus
from tests.unit.xds.playbook import (
    CDS,
    EDS,
    LDS,
    RDS,
    SDS,
    VHDS,
    Ack,
    Ask,
    Idle,
    Nack,
    Overdue,
    Playbook,
    Tell,
    World,
    changed,
)


def _status(session: Session[str], type_url: str) -> TypeStatus:
    (status,) = (t for t in session.status().types if t.type_url == type_url)
    return status


def _none(*names: str) -> frozenset[str]:
    return frozenset(names)


def test_wildcard_gets_all_and_then_only_what_changes() -> None:
    world = World()
    world.put(CDS, "a", "1")
    world.put(CDS, "b", "1")
    with Playbook(world) as book:
        book >> Ask(CDS) << Tell(CDS, {"a": "1", "b": "1"})
        assert book.session.liveness() is Liveness.PENDING
        book >> Ack(CDS)
        assert book.session.liveness() is Liveness.LIVE
        world.put(CDS, "b", "2")
        world.put(CDS, "c", "1")
        world.drop(CDS, "a")
        book >> changed(CDS="a b c") << Tell(CDS, {"b": "2", "c": "1"}, _none("a"))
        book >> Ack(CDS)
        assert _status(book.session, CDS).acked == {"b": "2", "c": "1"}


def test_wildcard_with_nothing_is_answered_all_the_same() -> None:
    with Playbook(World()) as book:
        book >> Ask(LDS) << Tell(LDS)
        book >> Ack(LDS)
        assert book.session.liveness() is Liveness.LIVE


def test_explicit_wildcard_can_be_given_up() -> None:
    world = World()
    world.put(CDS, "a", "1")
    world.put(CDS, "b", "1")
    with Playbook(world) as book:
        book >> Ask(CDS, ("*", "b")) << Tell(CDS, {"a": "1", "b": "1"})
        book >> Ack(CDS, drop=("*",))
        world.put(CDS, "a", "2")
        world.put(CDS, "b", "2")
        book >> changed(CDS=None) << Tell(CDS, {"b": "2"})
        book >> Ack(CDS)
        assert world.released == [(CDS, "a")]


def test_legacy_wildcard_goes_on_beside_names() -> None:
    world = World()
    world.put(CDS, "a", "1")
    world.put(CDS, "far", "1", on_demand=True)
    with Playbook(world) as book:
        book >> Ask(CDS) << Tell(CDS, {"a": "1"})
        book >> Ack(CDS, ("far",)) << Tell(CDS, {"far": "1"})
        world.put(CDS, "a", "2")
        book >> Ack(CDS) >> changed(CDS="a") << Tell(CDS, {"a": "2"})


def test_name_given_up_under_a_wildcard_is_answered() -> None:
    world = World()
    world.put(CDS, "a", "1")
    world.put(CDS, "far", "1", on_demand=True)
    with Playbook(world) as book:
        book >> Ask(CDS, ("*", "a", "far")) << Tell(CDS, {"a": "1", "far": "1"})
        book >> Ack(CDS, drop=("a", "far")) << Tell(CDS, {"a": "1"}, _none("far"))
        book >> Ack(CDS)
        assert _status(book.session, CDS).acked == {"a": "1"}


def test_unsubscribed_name_is_not_sent_any_more() -> None:
    world = World()
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS, drop=("a",))
        world.put(EDS, "a", "2")
        book >> changed(EDS="a")
        assert world.released == [(EDS, "a")]


def test_repeated_subscription_is_answered_again() -> None:
    world = World()
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS)


def test_unknown_name_is_removed_so_that_envoy_does_not_wait() -> None:
    world = World()
    with Playbook(world) as book:
        book >> Ask(CDS, ("nowhere",)) << Tell(CDS, removed=_none("nowhere"))
        book >> Ack(CDS) >> changed(CDS=None)
        world.put(CDS, "nowhere", "1")
        book >> changed(CDS="nowhere") << Tell(CDS, {"nowhere": "1"})


def test_odcds_fetches_clusters_one_by_one() -> None:
    world = World()
    world.put(CDS, "a", "1", endpoints="a")
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(CDS, ("a",)) << Tell(CDS, {"a": "1"})
        book >> Ack(CDS) >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS) >> Ask(CDS, ("gone",)) << Tell(CDS, removed=_none("gone"))
        book >> Ack(CDS)
        assert book.session.liveness() is Liveness.LIVE


def test_vhds_answers_with_alias_and_without_resource_for_unknown_hosts() -> None:
    world = World()
    world.put(VHDS, "out/a", "1")
    with Playbook(world) as book:
        book >> Ask(VHDS, ("out",)) << Tell(VHDS, unknown=_none("out/"))
        book >> Ack(VHDS, ("out/a", "out/b")) << Tell(VHDS, {"out/a": "1"}, unknown=_none("out/b"))
        book >> Ack(VHDS)
        book >> Ask(VHDS, ("out/b",)) << Tell(VHDS, unknown=_none("out/b"))
        book >> Ack(VHDS)
        world.put(VHDS, "out/b", "1")
        book >> changed(VHDS="out/b") << Tell(VHDS, {"out/b": "1"})
        book >> Ack(VHDS)
        world.drop(VHDS, "out/b")
        book >> changed(VHDS="out/b") << Tell(VHDS, removed=_none("out/b"))


def test_reconnect_sends_only_what_differs() -> None:
    world = World()
    world.put(EDS, "same", "1")
    world.put(EDS, "new", "2")
    with Playbook(world) as book:
        book >> Ask(EDS, ("same", "new", "gone"), holds={"same": "1", "new": "1", "gone": "1"})
        book << Tell(EDS, {"new": "2"}, _none("gone"))
        book >> Ack(EDS)
        assert book.session.liveness() is Liveness.LIVE


def test_reconnect_with_nothing_new_is_silent_but_for_the_wildcards_answer() -> None:
    world = World()
    world.put(CDS, "a", "1")
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(CDS, holds={"a": "1"}) << Tell(CDS)
        book >> Ask(EDS, ("a",), holds={"a": "1"})
        book >> Ack(CDS) >> Idle()
        assert book.session.liveness() is Liveness.LIVE


def test_reconnect_removes_clusters_after_the_routes_that_may_use_them() -> None:
    world = World()
    world.put(CDS, "new", "1")
    world.put(RDS, "r", "2", uses=["new"])
    with Playbook(world) as book:
        book >> Ask(CDS, holds={"old": "1"}) << Tell(CDS, {"new": "1"})
        book >> Ask(RDS, ("r",), holds={"r": "1"})
        book >> Ack(CDS) << Tell(RDS, {"r": "2"})
        book >> Idle() >> Ack(RDS) << Tell(CDS, removed=_none("old"))
        book >> Ack(CDS)
        assert book.session.liveness() is Liveness.LIVE


def test_stale_nonce_is_neither_ack_nor_nack() -> None:
    world = World()
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS, nonce="something else")
        assert book.session.liveness() is Liveness.PENDING
        book >> Ack(EDS)
        assert book.session.liveness() is Liveness.LIVE


def test_nack_is_remembered_and_its_version_not_sent_again() -> None:
    world = World()
    world.put(LDS, "l", "1")
    with Playbook(world) as book:
        book >> Ask(LDS) << Tell(LDS, {"l": "1"})
        book >> Nack(LDS, "bad filter")
        (rejection,) = _status(book.session, LDS).rejected
        assert (rejection.name, rejection.version, rejection.message) == ("l", "1", "bad filter")
        assert book.session.liveness() is Liveness.REJECTED
        book >> changed(LDS=None)
        world.put(LDS, "l", "2")
        book >> changed(LDS="l") << Tell(LDS, {"l": "2"})
        book >> Ack(LDS)
        assert _status(book.session, LDS).rejected == ()
        assert book.session.liveness() is Liveness.LIVE


def test_nack_then_back_to_what_the_proxy_holds_needs_nothing() -> None:
    world = World()
    world.put(LDS, "l", "1")
    with Playbook(world) as book:
        book >> Ask(LDS) << Tell(LDS, {"l": "1"})
        book >> Ack(LDS)
        world.put(LDS, "l", "2")
        book >> changed(LDS="l") << Tell(LDS, {"l": "2"})
        book >> Nack(LDS)
        world.put(LDS, "l", "1")
        book >> changed(LDS="l")
        assert book.session.liveness() is Liveness.LIVE


def test_nack_of_many_finds_the_one_at_fault() -> None:
    world = World()
    for name in "abcd":
        world.put(CDS, name, "1")
    with Playbook(world) as book:
        book >> Ask(CDS) << Tell(CDS, dict.fromkeys("abcd", "1"))
        book >> Nack(CDS) << Tell(CDS, {"a": "1", "b": "1"})
        book >> Ack(CDS) << Tell(CDS, {"c": "1", "d": "1"})
        book >> Nack(CDS) << Tell(CDS, {"c": "1"})
        book >> Nack(CDS, "c is bad") << Tell(CDS, {"d": "1"})
        book >> Ack(CDS)
        status = _status(book.session, CDS)
        assert set(status.acked) == set("abd")
        assert [(r.name, r.message) for r in status.rejected] == [("c", "c is bad")]


def test_one_response_in_flight_and_the_newest_state_wins() -> None:
    world = World()
    world.put(EDS, "a", "1")
    with Playbook(world) as book:
        book >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        for version in ("2", "3", "4"):
            world.put(EDS, "a", version)
            book >> changed(EDS="a")
        book >> Ack(EDS) << Tell(EDS, {"a": "4"})


def _split() -> World:
    """A proxy whose route uses cluster `old`."""
    world = World()
    world.put(CDS, "old", "1", endpoints="old")
    world.put(EDS, "old", "1")
    world.put(RDS, "r", "1", uses=["old"])
    return world


def _connected(world: World) -> Playbook:
    book = Playbook(world)
    book >> Ask(CDS) << Tell(CDS, {"old": "1"})
    book >> Ack(CDS) >> Ask(EDS, ("old",)) << Tell(EDS, {"old": "1"})
    book >> Ack(EDS) >> Ask(RDS, ("r",)) << Tell(RDS, {"r": "1"})
    return book >> Ack(RDS)


def _move(world: World) -> None:
    world.drop(CDS, "old")
    world.drop(EDS, "old")
    world.put(CDS, "new", "1", endpoints="new", secret="s")
    world.put(EDS, "new", "1")
    world.put(SDS, "s", "1")
    world.put(RDS, "r", "2", uses=["new"])


def test_make_before_break() -> None:
    world = _split()
    with _connected(world) as book:
        _move(world)
        book >> changed(RDS="r", EDS="old new", CDS="old new") << Tell(CDS, {"new": "1"})
        assert _status(book.session, RDS).held == {"r": frozenset({"new"})}
        assert book.session.holding
        book >> Ack(CDS)
        book >> Ask(EDS, ("new",)) << Tell(EDS, {"new": "1"})
        book >> Ack(EDS)
        book >> Ask(SDS, ("s",)) << Tell(SDS, {"s": "1"}) << Tell(RDS, {"r": "2"})
        book >> Ack(SDS) >> Ack(RDS) << Tell(CDS, removed=_none("old"))
        book >> Ack(CDS) << Tell(EDS, removed=_none("old"))
        book >> Ack(EDS, drop=("old",))
        assert book.session.liveness() is Liveness.LIVE


def test_nack_of_the_new_cluster_releases_the_route() -> None:
    world = _split()
    with _connected(world) as book:
        world.put(CDS, "new", "1", endpoints="new")
        world.put(RDS, "r", "2", uses=["old", "new"])
        book >> changed(CDS="new", RDS="r") << Tell(CDS, {"new": "1"})
        book >> Nack(CDS, "bad lb policy") << Tell(RDS, {"r": "2"})
        book >> Ack(RDS)
        assert book.session.liveness() is Liveness.REJECTED
        assert book.session.status().notes == ("CDS refused: bad lb policy",)


def test_refused_route_keeps_the_cluster_that_the_proxy_still_uses() -> None:
    world = _split()
    with _connected(world) as book:
        world.put(CDS, "new", "1")
        world.put(RDS, "r", "2", uses=["new"])
        world.drop(CDS, "old")
        book >> changed(CDS="old new", RDS="r") << Tell(CDS, {"new": "1"})
        book >> Ack(CDS) << Tell(RDS, {"r": "2"})
        book >> Nack(RDS)
        assert "old" in _status(book.session, CDS).acked
        world.put(RDS, "r", "3", uses=["new"])
        book >> changed(RDS="r") << Tell(RDS, {"r": "3"})
        book >> Ack(RDS) << Tell(CDS, removed=_none("old"))


def test_route_held_for_too_long_is_sent_with_a_note() -> None:
    world = _split()
    with _connected(world) as book:
        world.put(CDS, "new", "1", endpoints="new")
        world.put(RDS, "r", "2", uses=["new"])
        book >> changed(CDS="new", RDS="r") << Tell(CDS, {"new": "1"})
        book >> Ack(CDS) >> Overdue() << Tell(RDS, {"r": "2"})
        assert "new" in book.session.status().notes[0]
        assert not book.session.holding


def test_route_to_a_cluster_fetched_on_demand_is_not_held() -> None:
    world = World()
    world.put(CDS, "a", "1", on_demand=True)
    world.put(CDS, "b", "1", on_demand=True)
    world.put(VHDS, "out/h", "1", uses=["a"])
    with Playbook(world) as book:
        book >> Ask(VHDS, ("out/h",)) << Tell(VHDS, {"out/h": "1"})
        book >> Ack(VHDS) >> Ask(CDS, ("a",)) << Tell(CDS, {"a": "1"})
        book >> Ack(CDS)
        world.put(VHDS, "out/h", "2", uses=["b"])
        world.drop(CDS, "a")
        book >> changed(CDS="a", VHDS="out/h") << Tell(VHDS, {"out/h": "2"})
        book >> Ack(VHDS) << Tell(CDS, removed=_none("a"))


def test_changed_cluster_gets_its_endpoints_again() -> None:
    world = _split()
    with _connected(world) as book:
        world.put(CDS, "old", "2", endpoints="old")
        # Envoy acknowledges the cluster only when it is warm, and it warms when it hears of its endpoints.
        book >> changed(CDS="old") << Tell(CDS, {"old": "2"}) << Tell(EDS, {"old": "1"})
        book >> Ack(EDS)
        book >> Ack(CDS)
        assert book.session.liveness() is Liveness.LIVE


def test_change_that_never_was_one_does_not_keep_a_removal_back() -> None:
    world = _split()
    with _connected(world) as book:
        world.drop(CDS, "old")
        book >> changed(CDS="old", RDS=None, EDS=None) << Tell(CDS, removed=_none("old"))


def test_subscriptions_are_bounded() -> None:
    world = World()
    world.put(EDS, "a", "1")
    world.put(EDS, "b", "1")
    with Playbook(world, max_names=1) as book:
        book >> Ask(EDS, ("a",)) << Tell(EDS, {"a": "1"})
        book >> Ack(EDS, ("b",)) << Tell(EDS, removed=_none("b"))
        book >> Ack(EDS)
        assert _status(book.session, EDS).subscribed == 1
        assert book.session.liveness() is Liveness.LIVE


def test_types_are_bounded_and_unknown_ones_answered() -> None:
    with Playbook(World()) as book:
        book >> Ask("type.googleapis.com/x.Y", ("n",)) << Tell("type.googleapis.com/x.Y", removed=_none("n"))
        for number in range(100):
            book.session.receive(discovery.DeltaDiscoveryRequest(type_url=f"t/{number}"))
        assert len(book.session.status().types) == 32


def test_vhds_without_names_is_answered_under_each_route_configuration() -> None:
    """As Envoy 1.40 asks: an empty first request once it has read a route configuration with VHDS."""
    world = World()
    world.put(RDS, "in", "1")
    world.put(RDS, "out", "1")
    with Playbook(world) as book:
        book >> Ask(RDS, ("out",)) << Tell(RDS, {"out": "1"})
        book >> Ask(VHDS) << Tell(VHDS, unknown=_none("out/"))
        book >> Ack(RDS) >> Ack(VHDS)
        book >> Ask(RDS, ("in",)) << Tell(RDS, {"in": "1"})
        book >> Ack(RDS) << Tell(VHDS, unknown=_none("in/"))
        book >> Ack(VHDS)
        assert book.session.liveness() is Liveness.LIVE


def test_hosts_that_came_before_their_route_configuration_are_sent_again() -> None:
    """A new listener's virtual hosts are given at once, and Envoy drops what it cannot place yet."""
    world = World()
    world.put(RDS, "new", "1", on_demand=True)
    world.put(VHDS, "out/a", "1")
    with Playbook(world) as book:
        book >> Ask(VHDS) << Tell(VHDS, {"out/a": "1"})
        book >> Ack(VHDS)
        world.put(VHDS, "new/h", "1")
        book >> changed(VHDS="new/h") << Tell(VHDS, {"new/h": "1"})
        book >> Ack(VHDS)
        book >> Ask(RDS, ("new",)) << Tell(RDS, {"new": "1"})
        book >> Ack(RDS) << Tell(VHDS, {"new/h": "1"})
        book >> Ack(VHDS) << Tell(VHDS, unknown=_none("new/"))
        book >> Ack(VHDS)
        assert book.session.liveness() is Liveness.LIVE


def test_cluster_wanted_back_while_its_removal_is_on_its_way_is_waited_for_anew() -> None:
    world = _split()
    with _connected(world) as book:
        world.drop(CDS, "old")
        world.put(RDS, "r", "2")
        book >> changed(CDS="old", RDS="r") << Tell(RDS, {"r": "2"})
        book >> Ack(RDS) << Tell(CDS, removed=_none("old"))
        world.put(CDS, "old", "1", endpoints="old")
        world.put(RDS, "r", "1", uses=["old"])
        book >> changed(CDS="old", RDS="r")
        book >> Ack(CDS) << Tell(CDS, {"old": "1"}) << Tell(EDS, {"old": "1"})
        book >> Ack(CDS) << Tell(RDS, {"r": "1"})


def test_refused_version_that_nobody_wants_any_more_is_forgotten() -> None:
    world = World()
    world.put(LDS, "l", "1")
    with Playbook(world) as book:
        book >> Ask(LDS) << Tell(LDS, {"l": "1"})
        book >> Nack(LDS)
        world.drop(LDS, "l")
        book >> changed(LDS="l")
        assert book.session.liveness() is Liveness.LIVE
