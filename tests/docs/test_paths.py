"""Paths that the guides to the code name are there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
CODE = ROOT / "src" / "meshgate"
_SPAN = re.compile(r"`([\w.<>/-]+(?:/|\.py|\.md|\.toml))`")


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_path_is_there(page: str) -> None:
    named = _SPAN.findall((ROOT / page).read_text())
    assert len(named) > 5, "nothing was looked at"
    patterns = [re.sub(r"<[\w' ]+>", "*", path) for path in named]
    assert [p for p in patterns if not any((*ROOT.glob(p), *(ROOT / "docs").glob(p), *CODE.rglob(p)))] == []
