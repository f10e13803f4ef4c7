"""`meshgate status`: the gateway, the pods, the proxies and what is wrong."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, OnlyJson, State
from meshgate.cli.printing import columns
from meshgate.core.origin import Origin
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import DiagnosticLine, StatusReport

STYLES = {"warning": "yellow", "error": "bold red"}
"""Of diagnostics and events that somebody should see, by severity."""
_HOSTS = 8
"""How many are named; the others are counted."""


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
    print_hosts(console, report)
    print_stand_ins(console, report)
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
                "; ".join(filter(None, (pod.stand_in and f"stand-in for {pod.stand_in}", pod.message))),
            )
            for pod in report.pods
        ]
        head = ("NAMESPACE", "POD", "READY", "STATUS", "RESTARTS", "IP", "SIDECAR", "")
        typer.echo("\n" + columns(head, rows), nl=False)
    behind = [proxy for proxy in report.proxies if not proxy.synced]
    console.print(f"\nproxies  {len(report.proxies)} connected, {len(behind)} behind")
    for proxy in behind:
        console.print(f"  {proxy.id}  {proxy.detail}", markup=False)
    print_problems(console, report)
    notes = sum(line.severity == "info" for line in report.diagnostics)
    if notes:
        console.print(f"{notes} notes; `meshgate status -o json` and `meshgate analyze` show them")


def print_stand_ins(console: Console, report: StatusReport) -> None:
    """Says which workloads' pods are none of their own programs."""
    found = sorted({pod.workload for pod in report.pods if pod.stand_in})
    if found:
        more = f", and {len(found) - _HOSTS} more" if len(found) > _HOSTS else ""
        console.print(
            f"stand-ins  {', '.join(found[:_HOSTS])}{more}: these answer with what arrived, "
            "in place of their images",
            markup=False,
        )


def print_hosts(console: Console, report: StatusReport) -> None:
    """Says which hosts the gateway answers for, so that the first request names one of them."""
    shown, more = report.hosts[:_HOSTS], len(report.hosts) - _HOSTS
    if shown:
        rest = f", and {more} more" if more > 0 else ""
        console.print(f"hosts    {', '.join(shown)}{rest}", markup=False)
    else:
        console.print("hosts    none: no Ingress and no Gateway with a route is there yet")


def print_problems(console: Console, report: StatusReport) -> None:
    """Prints errors and warnings, each on a line of its own."""
    for line in report.diagnostics:
        if style := STYLES.get(line.severity):
            console.print(Text(diagnostic_text(line), style))


def diagnostic_text(line: DiagnosticLine) -> str:
    """A diagnostic as `core.diagnostics.Diagnostic` prints it."""
    place = Origin(line.file, line.line, line.column)
    subject = "".join(f" {part}" for part in (line.object, line.field) if part)
    remedy = f"; {line.remedy}" if line.remedy else ""
    return f"{place}: {line.severity} {line.code}{subject}: {line.message}{remedy}"
