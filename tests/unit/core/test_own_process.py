from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from meshgate.core.own_process import own_module

MODULES = [
    "meshgate.app",
    "meshgate.bridge",
    "meshgate.ratelimit",
    "meshgate.runtime.dns",
    "grpc_tools.protoc",
]


@pytest.mark.parametrize("module", MODULES)
def test_files_of_the_directory_where_it_is_started_are_not_taken_for_libraries(
    module: str, tmp_path: Path
) -> None:
    for name in ("dns", "grpc", "redis", "structlog", "meshgate", "grpc_tools"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the file of a user')\n")
    done = subprocess.run(
        own_module(module, "--help"), cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "the file of a user" not in done.stderr
    assert "ModuleNotFoundError" not in done.stderr
