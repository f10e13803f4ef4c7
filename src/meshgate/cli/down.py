"""`meshgate down`: ends the control plane and all that it started."""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path

import typer

from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, State
from meshgate.runtime.commands import CommandFailed
from meshgate.runtime.guard import noted_guard
from meshgate.runtime.paths import RuntimePaths, UnsafeRunDirectory, left_behind
from meshgate.runtime.process_id import identify, is_alive
from meshgate.runtime.records import StateInUse
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing

_LONGEST_S = 90.0
"""Pods have up to 30 s to drain, and end at the same time."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(down)


def down(state: State = DEFAULT_STATE) -> None:
    """Stop all that `up` started, and leave nothing behind."""
    stop(state)
    typer.echo("meshgate has stopped")


def stop(state: Path) -> None:
    """Ends the meshgate on `state`, or what a killed one left running; returns once all has gone.

    Raises `CliError` where there is neither, or where it does not end.
    """
    try:
        _stop(state)
    except CliError:
        if answers(socket_of(state)) or not left_behind(state):
            raise
        _clear(state)


def _clear(state: Path) -> None:
    # Seldom needed, and slow to load.
    import structlog

    from meshgate.runtime.clear import clear

    warnings_only = structlog.make_filtering_bound_logger(logging.WARNING)
    structlog.configure(wrapper_class=warnings_only, logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    try:
        asyncio.run(clear(state))
        socket_of(state).unlink(missing_ok=True)
    except (StateInUse, CommandFailed, UnsafeRunDirectory, OSError) as error:
        raise CliError(
            f"what a killed meshgate left on {state} cannot be ended: {error}",
            "run `meshgate down` as the user that ran `meshgate up`",
        ) from error


def _stop(state: Path) -> None:
    with connect(state) as client:
        process = identify(client.call(wire.STATUS, Nothing()).pid)
        guard = noted_guard(RuntimePaths.of(state).run)
        client.call(wire.DOWN, Nothing())
    until = time.monotonic() + _LONGEST_S
    while answers(socket_of(state)) or any(p is not None and is_alive(p) for p in (process, guard)):
        if time.monotonic() > until:
            raise CliError(f"meshgate has not ended within {_LONGEST_S:.0f} s", "see `meshgate status`")
        time.sleep(0.05)
