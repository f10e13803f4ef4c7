"""`meshgate status`: the gateway, the pods, the proxies and what is wrong."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, OnlyJson, State
from meshgate.cli.printing import columns
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import DiagnosticLine, StatusReport


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(status)


def status(
    state: State = DEFAULT_STATE,
    output: Annotated[OnlyJson | None, typer.Option("-o", "--output", help="For programs.")] = None,
) -> None:
    """Show what runs, and what is wrong with it."""
    with connect(state) as client:
        report = client.call(wire.STATUS, Nothing())
    if output is not None:
        typer.echo(wire.encode(report).decode())
        return
    _print(report, Console(highlight=False, soft_wrap=True))


def _print(report: StatusReport, console: Console) -> None:
    ready = "ready" if report.gateway_ready else "not ready"
    times = "once" if report.restarts == 1 else f"{report.restarts} times"
    restarts = f", restarted {times}" if report.restarts else ""
    console.print(f"meshgate {report.version} (pid {report.pid}{restarts}), isolation {report.isolation}")
    console.print(f"gateway  {ready}  {'  '.join(report.gateway_addresses)}", markup=False)
    if report.pods:
        rows = [
            (
                pod.namespace,
                pod.name,
                "yes" if pod.ready else "no",
                pod.phase,
                str(pod.restarts),
                pod.ip or "-",
                "mesh" if pod.meshed else "-",
                pod.message,
            )
            for pod in report.pods
        ]
        head = ("NAMESPACE", "POD", "READY", "STATUS", "RESTARTS", "IP", "SIDECAR", "")
        typer.echo("\n" + columns(head, rows), nl=False)
    behind = [proxy for proxy in report.proxies if not proxy.synced]
    console.print(f"\nproxies  {len(report.proxies)} connected, {len(behind)} behind")
    for proxy in behind:
        console.print(f"  {proxy.id}  {proxy.detail}", markup=False)
    notes = 0
    for line in report.diagnostics:
        if line.severity == "info":
            notes += 1
        else:
            console.print(diagnostic_text(line), markup=False)
    if notes:
        console.print(f"{notes} notes; `meshgate status -o json` and `meshgate analyze` show them")


def diagnostic_text(line: DiagnosticLine) -> str:
    """A diagnostic as `core.diagnostics.Diagnostic` prints it."""
    place = f"{line.file}:{line.line}:{line.column}" if line.line else line.file
    subject = "".join(f" {part}" for part in (line.object, line.field) if part)
    remedy = f"; {line.remedy}" if line.remedy else ""
    return f"{place}: {line.severity} {line.code}{subject}: {line.message}{remedy}"
