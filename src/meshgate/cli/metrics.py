"""`meshgate metrics`: what proxies, applications and Meshgate itself count, for Prometheus."""

from __future__ import annotations

import sys

import typer

from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, State
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(metrics)


def metrics(state: State = DEFAULT_STATE) -> None:
    """Print all metrics in Prometheus' format."""
    with connect(state) as client:
        for chunk in client.stream(wire.METRICS, Nothing()):
            sys.stdout.write(chunk.text)
