"""What the pages tell a reader to type works, and prints what they show.

Each page's commands run one after the other in a folder of their own, where `examples` is a
copy and `.meshgate` the state. The gateway's ports are replaced by free ones, so that pages
can be run beside one another. Root gets network namespaces where a reader does not choose, so
the first pages are run in these too.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshgate.runtime.netns import unavailable_reason
from tests.docs.pages import ROOT, blocks, followed, name
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy, pytest.mark.slow]

RUN = (
    "README.md",
    "docs/getting-started.md",
    "docs/routing.md",
    "docs/bookinfo.md",
    "docs/ingress.md",
    "docs/mtls.md",
    "docs/authorization.md",
    "docs/telemetry.md",
    "docs/jwt.md",
    "docs/key-auth.md",
    "docs/openid-connect.md",
    "docs/rate-limiting.md",
    "docs/caching.md",
    "docs/lua.md",
    "docs/load-balancing.md",
    "docs/grpc.md",
    "docs/explain.md",
    "docs/analyze.md",
    "docs/import.md",
    "docs/local-runtime.md",
    "docs/stand-ins.md",
    "docs/discovery.md",
)
FIRST = ("README.md", "docs/getting-started.md", "docs/mtls.md", "docs/authorization.md")
COMMAND_S = 120.0
AGREE_S = 30.0
"""How long an answer may take to become what the page shows: pods start, rules reach the proxies."""
_INSTALLS = re.compile(r"^\s*(make |git |sudo |apt )", re.MULTILINE)
"""Commands that the tests themselves stand on, or that need the network."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A clone as it is after `make install`; what runs in it is ended at the end."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / ".venv").symlink_to(ROOT / ".venv")
    yield tmp_path
    if (tmp_path / ".meshgate" / "run").exists():
        _run(tmp_path, "meshgate down || true")


def _run(folder: Path, script: str) -> str:
    environment = {**os.environ, "PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder, env=environment, text=True, timeout=COMMAND_S,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    return done.stdout if done.returncode == 0 else f"{done.stdout}exit code {done.returncode}\n"


def _free_ports() -> tuple[int, int]:
    """For HTTP and HTTPS."""
    return free_port(), free_port()


def _matches(shown: str, printed: str) -> bool:
    """Whether each shown line is printed, in order; `...` stands for anything, also for lines."""
    pattern = ""
    for line in shown.splitlines():
        if line.strip() == "...":
            pattern += r"(?:.*\n)*?"
        else:
            pattern += r"[^\n]*".join(re.escape(part) for part in line.split("...")) + r"\s*?\n"
    return re.fullmatch(pattern, printed if printed.endswith("\n") else printed + "\n") is not None


@pytest.mark.parametrize("page", RUN)
def test_the_commands_of_a_page(page: str, folder: Path) -> None:
    _type(page, folder, "ports")


@pytest.mark.root
@pytest.mark.parametrize("page", FIRST)
def test_the_commands_of_the_first_pages_as_root(page: str, folder: Path) -> None:
    if reason := unavailable_reason():
        pytest.skip(reason)
    _type(page, folder, "netns")


def _type(page: str, folder: Path, isolation: str) -> None:
    http, https = _free_ports()
    for file in (folder / "examples").rglob("*.yaml"):
        if "http://localhost:8080" in (text := file.read_text()):
            file.write_text(text.replace("localhost:8080", f"127.0.0.1:{http}"))
    for block, after in followed(ROOT / page):
        if block.language != "sh" or _INSTALLS.search(block.text):
            continue
        script = block.text.replace("localhost:8080", f"127.0.0.1:{http}").replace(":8443", f":{https}")
        ports = f"--isolation {isolation} --http-port {http} --https-port {https}"
        script = re.sub(r"meshgate up ", f"meshgate up {ports} ", script)
        shown = after.text if after is not None and after.language == "output" else ""
        shown = shown.replace(":8080", f":{http}").replace(":8443", f":{https}")
        until = time.monotonic() + AGREE_S
        printed = _run(folder, script)
        while shown and not _matches(shown, printed) and time.monotonic() < until:
            printed = _run(folder, script)
        where = f"{page}:{block.line}"
        if shown:
            assert _matches(shown, printed), f"{where} prints\n{printed}\nand not\n{shown}"
        else:
            assert "exit code" not in printed, f"{where} fails\n{printed}"


def test_the_list_holds_every_page_with_commands() -> None:
    shown = {name(p) for p in (ROOT / "docs").glob("*.md") if any(b.language == "sh" for b in blocks(p))}
    assert shown - set(RUN) == set()


@pytest.mark.parametrize(
    ("shown", "printed", "agrees"),
    [
        ("a\n", "a\n", True),
        ("a\n", "b\n", False),
        ("a\n", "a\nb\n", False),
        ("a\n...\n", "a\nb\nc\n", True),
        ("a ... c\n", "a b c\n", True),
        ("a ... c\n", "a b\nc\n", False),
        ("...\nb\n", "a\nexit code 1\n", False),
    ],
)
def test_what_is_shown_is_compared(shown: str, printed: str, agrees: bool) -> None:
    assert _matches(shown, printed) is agrees
