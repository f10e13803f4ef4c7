"""Every decision of the table, taken by a real Envoy on what the policies are translated to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest

from tests.envoy.decision_cases import CASES
from tests.envoy.decisions import Case, Echo, Mesh, Request, running

pytestmark = [pytest.mark.envoy, pytest.mark.slow]


@pytest.fixture(scope="module")
def app() -> Iterator[Echo]:
    echo = Echo()
    yield echo
    echo.close()


@pytest.fixture(scope="module")
def mesh(app: Echo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mesh]:
    with running(CASES, tmp_path_factory.mktemp("envoy"), app) as started:
        yield started


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_decisions(mesh: Mesh, case: Case) -> None:
    wrong_allows = [str(r) for r in case.refused if mesh.ask(case, r).reached]
    wrong_denies = [f"{r}: {reply.status}" for r in case.allowed if not (reply := mesh.ask(case, r)).reached]
    assert (wrong_allows, wrong_denies) == ([], [])


def test_the_table_is_large_and_its_names_are_unique() -> None:
    assert [n for n, count in Counter(c.name for c in CASES).items() if count > 1] == []
    assert sum(len(c.allowed) + len(c.refused) for c in CASES) >= 400


def test_what_is_authorized_is_what_the_service_sees(mesh: Mesh) -> None:
    case = next(c for c in CASES if c.name == "deny-traps")
    for target, seen in {
        "/a//b": "/a/b",
        "/a%2Fb": "/a/b",
        "/a/../b": "/b",
        "/%61": "/a",
        "/a?b=//c": "/a?b=//c",
        "/a//../admin": "/a/admin",
        "http://h/x//y": "/x/y",
    }.items():
        assert mesh.ask(case, Request(target=target)).path == seen
