"""The live summary below `meshgate up`: one line for each thing that happens."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from rich.console import Console
from rich.text import Text

from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.errors import CliError
from meshgate.cli.status import STYLES, diagnostic_text, print_hosts, print_stand_ins
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import Event, StatusReport

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


def announce(state: Path, over: threading.Event) -> None:
    """Prints what is wrong with the manifests and, once it is ready, where the gateway is."""
    console = Console(highlight=False, soft_wrap=True)
    told: set[str] = set()
    while not over.is_set():
        try:
            report = _report(state)
        except CliError:
            report = None
        if report is not None:
            for line in report.diagnostics:
                text = diagnostic_text(line)
                if line.severity != "info" and text not in told:
                    console.print(Text(text, STYLES.get(line.severity, "")))
                    told.add(text)
            if report.gateway_refused and report.gateway_refused not in told:
                console.print(Text(f"the gateway cannot listen: {report.gateway_refused}", STYLES["error"]))
                told.add(report.gateway_refused)
            if report.gateway_ready:
                for address in report.gateway_addresses:
                    console.print(Text.assemble(("gateway is ready: ", "bold"), (address, "bold green")))
                print_hosts(console, report)
                print_stand_ins(console, report)
                console.print("Ctrl-C ends it all; `meshgate status` and `explain` tell more", style="dim")
                return
        over.wait(_POLL_S)


def _report(state: Path) -> StatusReport | None:
    if not answers(socket_of(state)):
        return None
    with connect(state) as client:
        return client.call(wire.STATUS, Nothing())


def _line(event: Event) -> Text:
    try:
        when = datetime.fromisoformat(event.time).astimezone().strftime("%H:%M:%S")
    except ValueError:
        when = event.time
    style = STYLES.get(event.severity, "")
    return Text.assemble((when, "dim"), "  ", (f"{event.kind:<11}", "cyan"), " ", (event.message, style))
