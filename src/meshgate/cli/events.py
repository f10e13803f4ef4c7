"""The live summary below `meshgate up`: one line for each thing that happens."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.errors import CliError
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import Event

_STYLES = {"info": "", "warning": "yellow", "error": "bold red"}
_POLL_S = 0.1


def show_events(state: Path, over: threading.Event) -> None:
    """Prints events of the control plane on `state`, through its restarts, until `over` is set."""
    console = Console(highlight=False, soft_wrap=True)
    while not over.is_set():
        if not answers(socket_of(state)):
            over.wait(_POLL_S)
            continue
        try:
            with connect(state) as client:
                for event in client.stream(wire.EVENTS, Nothing()):
                    console.print(_line(event))
        except CliError:
            # It ended or was killed. The guard says so and starts it again, or ends too.
            over.wait(_POLL_S)


def _line(event: Event) -> Text:
    try:
        when = datetime.fromisoformat(event.time).astimezone().strftime("%H:%M:%S")
    except ValueError:
        when = event.time
    style = _STYLES.get(event.severity, "")
    return Text.assemble((when, "dim"), "  ", (f"{event.kind:<11}", "cyan"), " ", (event.message, style))
