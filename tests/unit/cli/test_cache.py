"""`meshgate cache`, against a control plane whose cache is made up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Meshgate


def test_stats(meshgate: Meshgate, state: Path) -> None:
    table = meshgate("cache", "stats", "--state", state)
    assert (table.code, table.out) == (0, "WHAT        COUNT\nentries     3\nmax bytes   100\n")
    found = meshgate("cache", "stats", "-o", "json", "--state", state)
    assert json.loads(found.out) == {"entries": 3, "max_bytes": 100}


def test_purge(meshgate: Meshgate, state: Path) -> None:
    done = meshgate("cache", "purge", "--route", "default/shop", "--path", "/a*", "--state", state)
    assert (done.code, done.out) == (0, "3 answers are forgotten\n")
    found = json.loads(meshgate("cache", "purge", "--key", "k", "-o", "json", "--state", state).out)
    assert found["selector"] == {"route": "", "service": "", "host": "", "path": "", "key": "k"}
    assert meshgate("cache", "purge", "--all", "--state", state).code == 0


@pytest.mark.parametrize("options", [(), ("--all", "--path", "/a")])
def test_purge_wants_to_know_what(meshgate: Meshgate, state: Path, options: tuple[str, ...]) -> None:
    done = meshgate("cache", "purge", *options, "--state", state)
    assert (done.code, done.out) == (2, "")
    assert "say what to forget" in done.err


def test_without_a_cache(meshgate: Meshgate, state: Path) -> None:
    done = meshgate("cache", "purge", "--host", "nobody", "--state", state)
    assert done.code == 1
    assert "no route here keeps answers" in done.err
