"""Whatever a file holds: each command names its place, rule and code, and nothing of its own insides."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.cli.conftest import Meshgate

_LINE = re.compile(r"\S+?(:\d+:\d+)?: (error|warning|info) MG\d{4}\b.*: .+")
_NAMED = "apiVersion: v1\nkind: Service\nmetadata: {name: a}\n"
BROKEN: dict[str, bytes] = {
    "tab.yaml": b"apiVersion: v1\nkind: Service\nmetadata:\n\tname: a\n",
    "indent.yaml": b"apiVersion: v1\nmetadata:\n  name: a\n   labels: {}\n",
    "quote.yaml": b'apiVersion: v1\nkind: "Service\n',
    "bracket.yaml": b"apiVersion: v1\nkind: Service\nmetadata: {name: a\n",
    "types.yaml": f"{_NAMED}spec: {{ports: 80, selector: [a]}}\n".encode(),
    "misspelt.yaml": f"{_NAMED}spec: {{selektor: {{a: b}}}}\n".encode(),
    "kind.yaml": b"apiVersion: v1\nkind: Servise\nmetadata: {name: a}\n",
    "version.yaml": b"apiVersion: apps/v9\nkind: Deployment\nmetadata: {name: a}\n",
    "nameless.yaml": b"apiVersion: v1\nkind: Service\n",
    "twice.yaml": f"{_NAMED}spec: {{}}\nspec: {{}}\n".encode(),
    "alias.yaml": b"apiVersion: v1\nkind: Service\nmetadata: *nobody\n",
    "crlf.yaml": f"{_NAMED}spek: {{}}\n".replace("\n", "\r\n").encode(),
    "bom.yaml": b"\xef\xbb\xbf" + f"{_NAMED}spek: {{}}\n".encode(),
    "utf16.yaml": _NAMED.encode("utf-16"),
    "binary.yaml": bytes(range(256)),
    "list.yaml": b"apiVersion: v1\nkind: List\nitems: [5, null, {}]\n",
    "text.yaml": b"hello\n",
    "deep.yaml": b"[" * 5000,
    "bad.json": b'{"apiVersion": "v1"',
    "terminal\x1b[31m.yaml": b"a: [",
}

OTHERS = ("link.yaml", "self.yaml", "pipe.yaml")


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    """A folder with all of them, and with what is no file."""
    folder = tmp_path / "broken"
    folder.mkdir()
    for name, content in BROKEN.items():
        (folder / name).write_bytes(content)
    (folder / "link.yaml").symlink_to("/nowhere")
    (folder / "self.yaml").symlink_to("self.yaml")
    os.mkfifo(folder / "pipe.yaml")
    return folder


def _check(said: str, code: int, names: set[str]) -> None:
    assert "Traceback" not in said
    assert "\x1b" not in said
    assert code in (0, 1), said
    errors = [line for line in said.splitlines() if ": error " in line]
    assert [line for line in errors if _LINE.fullmatch(line) is None] == []
    told = {
        Path(line.split(".yaml")[0].split(".json")[0]).name.encode().decode("unicode_escape")
        for line in errors
    }
    assert told == {name.rpartition(".")[0] for name in names}


@pytest.mark.parametrize(
    "command",
    [("analyze",), ("translate", "--proxy", "gateway"), ("explain", "http://a/", "-f")],
    ids=lambda command: command[0],
)
def test_every_broken_file_of_a_folder_is_told(
    meshgate: Meshgate, broken: Path, command: tuple[str, ...]
) -> None:
    ran = meshgate(*command, broken)
    _check(ran.out + ran.err, ran.code, {*BROKEN, *OTHERS})


@pytest.mark.parametrize("name", [*BROKEN, *OTHERS])
def test_import_tells_of_each(meshgate: Meshgate, broken: Path, name: str) -> None:
    ran = meshgate("import", broken / name)
    assert (ran.code, ran.out) == (1, "")
    _check(ran.err, ran.code, {name})


def test_import_of_a_folder(meshgate: Meshgate, broken: Path) -> None:
    ran = meshgate("import", broken)
    assert ran.err == f"error: {broken} is a folder\n  name the file, such as kong.yaml\n"


def test_import_into_what_cannot_be_written(meshgate: Meshgate, tmp_path: Path) -> None:
    (tmp_path / "kong.yaml").write_text('_format_version: "3.0"\n')
    ran = meshgate("import", tmp_path / "kong.yaml", "-o", tmp_path)
    assert ran.err == f"error: {tmp_path} cannot be written: Is a directory\n  name another with -o\n"


def test_what_a_terminal_cannot_show_is_told_by_number(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text('apiVersion: v1\nkind: Service\nmetadata: {name: "\u00fc"}\n')
    command = [sys.executable, "-m", "meshgate", "analyze", "a.yaml"]
    env = {**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (1, "")
    assert "got '\\xfc'" in done.stdout


def test_a_full_disk_is_no_bug_of_ours() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "meshgate", "version"],
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert (done.returncode, done.stderr) == (
        1,
        "error: what must be written cannot be: No space left on device\n  make room, and try again\n",
    )
