"""What each golden input means: model, Envoy's resources and diagnostics, word for word."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden import cases, rendering

FILES = ("model.yaml", "xds.yaml", "diagnostics.txt")
SUPPORT = frozenset({"__pycache__"})


@pytest.mark.parametrize("name", cases.names())
def test_case(name: str, request: pytest.FixtureRequest) -> None:
    rendered = rendering.render(cases.read(name))
    folder = cases.ROOT / name
    if request.config.getoption("--update-golden"):
        for file, text in rendered.items():
            (folder / file).write_text(text, encoding="utf-8")
    for file, text in rendered.items():
        golden = folder / file
        known = golden.read_text(encoding="utf-8") if golden.exists() else None
        assert text == known, f"{golden} differs; look at it after `pytest tests/golden --update-golden`"


def test_nothing_is_stale(request: pytest.FixtureRequest) -> None:
    """Every file in a case's folder is its input or made of it; every folder is a case."""
    stale = _stale()
    if request.config.getoption("--update-golden"):
        for path in stale:
            path.unlink()
        stale = _stale()
    assert stale == []


def test_no_golden_holds_a_private_key() -> None:
    for path in sorted(cases.ROOT.glob("*/*/*.yaml")):
        if path.name != "in.yaml":
            assert "PRIVATE KEY" not in path.read_text(encoding="utf-8"), path


def _stale() -> list[Path]:
    known = {cases.ROOT / name / file for name in cases.names() for file in (*FILES, "in.yaml")}
    return sorted(p for p in cases.ROOT.glob("*/**/*") if p.is_file() and p not in known and not _support(p))


def _support(path: Path) -> bool:
    return any(part in SUPPORT for part in path.relative_to(cases.ROOT).parts)
