"""`--update-golden` is refused where nobody looks at the difference."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.golden import cases


@pytest.mark.parametrize(("ci", "code"), [("true", 4), ("", 0)])
def test_ci_never_updates(ci: str, code: int) -> None:
    command = [sys.executable, "-m", "pytest", "--update-golden", "--collect-only", "-q", str(cases.ROOT)]
    environment = os.environ | {"CI": ci}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert ("CI never updates" in done.stderr) is bool(ci)


def test_seed_cases_hold_the_published_examples() -> None:
    published = sorted((cases.ROOT.parents[1] / "examples/shop/manifests/seed").glob("*.yaml"))
    assert len(published) == 5
    for seed in published:
        text = seed.read_text(encoding="utf-8")
        alone = cases.ROOT / "seed" / seed.stem / "in.yaml"
        assert alone.read_text(encoding="utf-8") == text
        assert text in (cases.ROOT / "seed" / f"{seed.stem}-with-services" / "in.yaml").read_text(
            encoding="utf-8"
        )
