"""`meshgate logs`: what a workload or the gateway has written."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, Namespace, State, split_target
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import LogsRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(logs)


def logs(
    target: Annotated[str, typer.Argument(metavar="DEPLOYMENT[.NS]|POD|gateway", help="Whose.")],
    container: Annotated[
        str,
        typer.Option(
            "-c", "--container", metavar="NAME", help="Only this one; `istio-proxy` is the sidecar."
        ),
    ] = "",
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as it grows.")] = False,
    tail: Annotated[int, typer.Option(min=-1, help="Lines from the end of each file; -1 for all.")] = -1,
    namespace: Namespace = "default",
    state: State = DEFAULT_STATE,
) -> None:
    """Print logs.

    Examples: meshgate logs web -f; meshgate logs gateway --tail 20.
    """
    name, found = split_target(target, namespace)
    request = LogsRequest(target=name, namespace=found, follow=follow, tail=tail, container=container)
    with connect(state) as client:
        for chunk in client.stream(wire.LOGS, request):
            sys.stdout.write(chunk.text)
            sys.stdout.flush()
