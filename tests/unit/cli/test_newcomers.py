"""What somebody meets who types a command for the first time."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import Any

import pytest
import typer.main
from rich.console import Console

from meshgate.cli.commands import build
from meshgate.cli.status import print_hosts
from meshgate.sources.backend import StatusReport
from tests.docs.cli_page import explained
from tests.unit.cli.conftest import Meshgate
from tests.unit.sources.control import service


def test_help_says_whole_sentences(meshgate: Meshgate) -> None:
    ran = meshgate("--help")
    assert ran.code == 0
    assert "..." not in ran.out.replace("[ARGS]...", "")


def test_the_examples_of_each_command_are_commands() -> None:
    root: Any = typer.main.get_command(build(()))
    examples = [one for command in root.commands.values() for one in explained(command.help)[1]]
    assert len(examples) > len(root.commands)
    for example in examples:
        program, name, *arguments = shlex.split(example)
        assert program == "meshgate"
        root.commands[name].make_context(name, arguments)


@pytest.mark.parametrize("command", ["get", "describe"])
def test_without_a_kind_some_are_named(meshgate: Meshgate, command: str) -> None:
    ran = meshgate(command)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith("error: say of which kind\n  such as pods, svc, ")


def test_a_url_alone_is_a_get(meshgate: Meshgate, tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(service())
    ran = meshgate("explain", "http://a.example/x", "-f", path)
    assert ran.code == 0
    assert ran.out.startswith("GET http://a.example/x  from outside\n")


@pytest.mark.parametrize(
    ("typed", "said"),
    [((), "say which request"), (("GET",), "say which request"), (("/x",), "'/x' names no host")],
)
def test_what_is_no_request_is_told(meshgate: Meshgate, typed: tuple[str, ...], said: str) -> None:
    ran = meshgate("explain", *typed)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err == f"error: {said}\n  write it like http://api.example.com/path\n"


def test_describe_takes_the_beginning_of_a_name(meshgate: Meshgate, state: Path, tmp_path: Path) -> None:
    path = tmp_path / "web.yaml"
    path.write_text(service())
    meshgate("apply", "-f", path, "--state", state)
    assert meshgate("describe", "pod", "web", "--state", state).out.count("Name:  ") == 2
    assert meshgate("describe", "pod", "web-2", "--state", state).out.count("Name:  ") == 1
    missing = meshgate("describe", "pod", "web", "nope", "--state", state)
    assert missing.code == 1
    assert missing.err.splitlines()[-1] == 'Error from server (NotFound): pods "nope" not found'


def test_status_says_which_hosts_there_are(meshgate: Meshgate, state: Path) -> None:
    assert "\nhosts    shop.example.com, *\n" in meshgate("status", "--state", state).out


def test_what_others_print_is_analyzed(meshgate: Meshgate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", TextIOWrapper(BytesIO(service(port=70000).encode())))
    ran = meshgate("analyze", "-")
    assert ran.code == 1
    assert ran.out.startswith("<stdin>:9:11: error MG2002 Service default/web spec.ports[0].port")
    assert ran.out.endswith("\n1 object in 1 file: 1 error\n")


def test_what_cannot_be_watched_is_told(meshgate: Meshgate, tmp_path: Path) -> None:
    ran = meshgate("up", "-", "--state", tmp_path / "state")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("error: the standard input cannot be watched\n")


def test_without_hosts_it_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    report = StatusReport(version="1", pid=1, isolation="ports", started="", gateway_ready=True)
    print_hosts(Console(), report)
    many = replace(report, hosts=tuple(f"{n}.example" for n in range(10)))
    print_hosts(Console(width=200), many)
    assert capsys.readouterr().out.splitlines() == [
        "hosts    none: no Ingress and no Gateway with a route is there yet",
        f"hosts    {', '.join(f'{n}.example' for n in range(8))}, and 2 more",
    ]


def test_a_folder_without_manifests_is_told(meshgate: Meshgate, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    ran = meshgate("up", tmp_path / "empty", "--http-port", 8443, "--state", tmp_path / "state")
    assert ran.err.splitlines() == [
        f"note: {tmp_path}/empty: no file with the ending .yaml, .yml or .json yet",
        "error: HTTP and HTTPS need ports of their own",
        "  choose another --https-port",
    ]
