from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.schedule import ALONE, APART, SECONDS, TOGETHER, Room, runs_alone, scope_of, weight

TESTS = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("nodeid", "scope"),
    [
        ("tests/unit/core/test_units.py::test_bytes", "unit/core/test_units.py"),
        ("tests/e2e/test_sidecar.py::test_a[ports]", "e2e/test_sidecar.py[ports]"),
        ("tests/e2e/test_sidecar.py::test_b[netns-1-x]", "e2e/test_sidecar.py[netns]"),
        ("tests/e2e/test_shop_jwt.py::test_a[ports-expired]", "e2e/edge[ports]"),
        ("tests/e2e/test_shop_limits.py::test_b[ports]", "e2e/edge[ports]"),
        ("tests/e2e/gateway_api/test_mesh.py::test_a", "e2e/gateway_api"),
        ("tests/docs/test_shell.py::test_a[docs/x.md]", "docs/test_shell.py::test_a[docs/x.md]"),
    ],
)
def test_what_stays_together(nodeid: str, scope: str) -> None:
    assert scope_of(nodeid) == scope


def test_what_takes_long_is_known_and_the_rest_goes_by_numbers() -> None:
    assert weight("e2e/test_rollouts.py[netns]", 3) > weight("e2e/test_start.py", 1)
    assert weight("unit/a.py", 100) > weight("unit/b.py", 10) > 0


def test_the_names_in_the_lists_are_there() -> None:
    """A file that is renamed must not begin to share the machine by that."""
    named = [*ALONE, *APART, *TOGETHER, *(name for name in SECONDS if not name.endswith("gateway_api"))]
    for name in named:
        path, _, test = name.partition("::")
        assert (TESTS / path).exists(), name
        assert f"def {test.partition('[')[0]}" in (TESTS / path).read_text() if test else True, name
    assert runs_alone("tests/envoy/test_edge_floods.py::test_any")
    assert not runs_alone("tests/e2e/test_shop_changes.py::test_apply_patch_and_delete_change_traffic[ports]")


def test_who_is_alone_waits_for_the_others_and_they_for_him() -> None:
    first, second, third = (Room("unit-test") for _ in range(3))
    try:
        inside: list[str] = []
        with first.inside(alone=False), second.inside(alone=False):
            waiting = threading.Thread(target=lambda: _enter(third, inside, "alone", alone=True))
            waiting.start()
            waiting.join(timeout=0.1)
            assert waiting.is_alive()
        waiting.join(timeout=30)
        assert inside == ["alone"]
        with third.inside(alone=True):
            other = threading.Thread(target=lambda: _enter(first, inside, "other", alone=False))
            other.start()
            other.join(timeout=0.1)
            assert other.is_alive()
        other.join(timeout=30)
        assert inside == ["alone", "other"]
    finally:
        for room in (first, second, third):
            room.close()


def _enter(room: Room, inside: list[str], name: str, *, alone: bool) -> None:
    with room.inside(alone=alone):
        inside.append(name)
