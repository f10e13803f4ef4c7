"""The shared cache: lazy, tracked by what was read, and robust against bugs of a translator."""

from __future__ import annotations

import logging

import pytest
from envoy.config.cluster.v3 import cluster_pb2 as cluster
from envoy.config.route.v3 import route_components_pb2 as components

from meshgate.xds import store as store_module
from meshgate.xds.types import CLUSTER, ENDPOINT, LISTENER, VIRTUAL_HOST
from tests.unit.xds.small import Broken, SmallModel, small_store


def _cluster(name: str, seconds: int = 1) -> cluster.Cluster:
    made = cluster.Cluster(name=name)
    made.connect_timeout.FromSeconds(seconds)
    return made


def _model() -> SmallModel:
    model = SmallModel().put("clusters", "a", _cluster("a")).put("clusters", "b", _cluster("b"))
    return model.put("instances", "a", (1,)).put("instances", "b", (2,))


def test_nothing_is_translated_before_it_is_asked_for_and_then_once_for_all() -> None:
    store = small_store(_model())
    one, two = store.open("one"), store.open("two")
    assert store.translations == 0
    first, second = one.get(CLUSTER, "a"), two.get(CLUSTER, "a")
    assert first is not None
    assert first is second
    assert store.translations == 1


def test_scope_separates_proxies() -> None:
    store = small_store(_model().put("scopes", "a", True))
    one, two = store.open("one"), store.open("two")
    first, second = one.get(CLUSTER, "a"), two.get(CLUSTER, "a")
    assert store.translations == 2
    assert first is second, "identical bytes are kept once"


def test_change_touches_only_what_read_it() -> None:
    model = _model()
    store = small_store(model)
    view, other = store.open("one"), store.open("two")
    before = view.get(CLUSTER, "a")
    view.get(CLUSTER, "b")
    other.get(CLUSTER, "b")
    touched = store.update(model.put("clusters", "a", _cluster("a", 9)))
    assert touched == {view}
    assert store.translations == 2, "an update translates nothing by itself"
    assert view.changes() == {CLUSTER: frozenset({"a"})}
    assert store.translations == 3
    after = view.get(CLUSTER, "a")
    assert before is not None
    assert after is not None
    assert before.version != after.version
    assert not view.is_touched()


def test_same_bytes_are_no_change() -> None:
    model = _model().put("scopes", "a", 1)
    store = small_store(model)
    view = store.open("one")
    view.get(CLUSTER, "a")
    store.update(model.put("scopes", "a", 2))
    assert view.is_touched()
    assert view.changes() == {}


def test_change_seen_in_passing_is_still_reported() -> None:
    model = _model()
    store = small_store(model)
    view = store.open("one")
    view.get(CLUSTER, "a")
    store.update(model.put("clusters", "a", _cluster("a", 9)))
    view.get(CLUSTER, "a")
    assert view.changes() == {CLUSTER: frozenset({"a"})}


def test_coming_and_going_is_a_change() -> None:
    model = _model()
    store = small_store(model)
    view = store.open("one")
    assert view.get(CLUSTER, "new") is None
    store.update(model.put("clusters", "new", _cluster("new")))
    assert view.changes() == {CLUSTER: frozenset({"new"})}
    store.update(model)
    assert view.changes() == {CLUSTER: frozenset({"new"})}
    assert view.get(CLUSTER, "new") is None


def test_wildcard_follows_the_keys() -> None:
    store = small_store(_model())
    view = store.open("one")
    assert view.wildcard(LISTENER) == frozenset()
    assert store.update(_model().put("listeners", "l", _cluster("l"))) == {view}
    assert view.changes() == {LISTENER: frozenset()}
    assert view.wildcard(LISTENER) == {"l"}


def test_released_name_is_not_looked_at() -> None:
    model = _model()
    store = small_store(model)
    view = store.open("one")
    view.get(CLUSTER, "a")
    view.release(CLUSTER, "a")
    assert store.update(model.put("clusters", "a", _cluster("a", 9))) == frozenset()
    assert store.translations == 1


def test_entry_outlives_a_reconnect_but_not_a_change(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "IDLE_ENTRIES", 1)
    store = small_store(_model())
    first = store.open("one")
    first.get(CLUSTER, "a")
    store.close(first)
    again = store.open("one")
    again.get(CLUSTER, "a")
    assert store.translations == 1
    again.get(CLUSTER, "b")
    store.close(again)
    last = store.open("one")
    last.get(CLUSTER, "b")
    assert store.translations == 2
    last.get(CLUSTER, "a")
    assert store.translations == 3, "only as many are kept as IDLE_ENTRIES says"


def test_endpoints_take_the_short_lane_and_stay_newer_than_the_model() -> None:
    model = _model()
    store = small_store(model)
    view, other = store.open("one"), store.open("two")
    view.get(ENDPOINT, "a")
    view.get(CLUSTER, "a")
    other.get(ENDPOINT, "b")
    assert store.update_endpoints({"a": (7,), "b": (2,)}) == {view}
    assert view.changes() == {ENDPOINT: frozenset({"a"})}
    newest = view.get(ENDPOINT, "a")
    assert store.update_endpoints({"a": (7,), "b": (2,)}) == frozenset()
    # A configuration worked out before the endpoints came does not bring the old ones back.
    assert store.update(model.put("clusters", "a", _cluster("a", 9))) == {view}
    assert view.changes() == {CLUSTER: frozenset({"a"})}
    assert view.get(ENDPOINT, "a") is newest
    assert store.update_endpoints({"b": (2,)}) == {view}
    assert view.get(ENDPOINT, "a") is None


def test_bug_in_a_translation_keeps_the_last_good_bytes(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    model = _model()
    store = small_store(model)
    view = store.open("one")
    good = view.get(CLUSTER, "a")
    view.get(CLUSTER, "b")
    broken = model.put("clusters", "a", Broken("secret words")).put("clusters", "b", _cluster("b", 5))
    store.update(broken)
    assert view.changes() == {CLUSTER: frozenset({"b"})}
    assert view.get(CLUSTER, "a") is good
    (fault,) = store.faults()
    assert fault.code == "MG9001"
    assert "CDS a" in fault.message
    assert "secret words" not in str(fault)
    store.update(model.put("clusters", "a", _cluster("a", 9)))
    assert view.changes() == {CLUSTER: frozenset({"a", "b"})}
    assert store.faults() == ()


def test_bug_from_the_start_means_no_resource() -> None:
    store = small_store(SmallModel().put("clusters", "a", Broken()))
    view = store.open("one")
    assert view.get(CLUSTER, "a") is None
    assert len(store.faults()) == 1
    store.close(view)
    assert store.faults() == ()


def test_virtual_host_is_its_own_alias_and_names_its_clusters() -> None:
    host = components.VirtualHost(name="out/h")
    rule = host.routes.add()
    rule.route.weighted_clusters.clusters.add(name="v1")
    rule.route.request_mirror_policies.add(cluster="shadow")
    store = small_store(SmallModel().put("virtual_hosts", "out/h", host))
    found = store.open("one").get(VIRTUAL_HOST, "out/h")
    assert found is not None
    assert found.aliases == ("out/h",)
    assert found.references == {(CLUSTER, "v1"), (CLUSTER, "shadow")}
