"""The isolations, and one running shop for each that tests share which do not disturb one another."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.edge_manifests import manifests
from tests.e2e.harness import ISOLATIONS, SHOP, Meshgate, running, why_not


@pytest.fixture(scope="session", params=ISOLATIONS)
def isolation(request: pytest.FixtureRequest) -> str:
    """`ports`, and `netns` where this machine and user may."""
    found = str(request.param)
    if reason := why_not(found):
        pytest.skip(f"isolation {found}: {reason}")
    return found


@pytest.fixture(scope="session")
def shop(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    """The shop with the published examples; a test must leave it as it was."""
    with running(tmp_path_factory.mktemp(f"shop-{isolation}"), [SHOP], isolation) as meshgate:
        yield meshgate


@pytest.fixture(scope="session")
def edge(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    """One service behind many hosts with plugins; see `edge_manifests`."""
    folder = tmp_path_factory.mktemp(f"edge-{isolation}")
    (folder / "edge.yaml").write_text(manifests())
    with running(folder / "state", [folder / "edge.yaml"], isolation) as meshgate:
        yield meshgate
