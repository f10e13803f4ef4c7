"""`meshgate down`: ends the control plane and all that it started."""

from __future__ import annotations

import time
from pathlib import Path

import typer

from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, State
from meshgate.runtime.process_id import identify, is_alive
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing

_LONGEST_S = 90.0
"""Pods have up to 30 s to drain, and end at the same time."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(down)


def down(state: State = DEFAULT_STATE) -> None:
    """Drain, stop everything that `up` started, and leave nothing behind."""
    stop(state)
    typer.echo("meshgate has stopped")


def stop(state: Path) -> None:
    """Ends the meshgate on `state`; returns once it has, raises `CliError` where none runs or it does not."""
    with connect(state) as client:
        process = identify(client.call(wire.STATUS, Nothing()).pid)
        client.call(wire.DOWN, Nothing())
    until = time.monotonic() + _LONGEST_S
    while answers(socket_of(state)) or (process is not None and is_alive(process)):
        if time.monotonic() > until:
            raise CliError(f"meshgate has not ended within {_LONGEST_S:.0f} s", "see `meshgate status`")
        time.sleep(0.05)
