"""`meshgate apply`: sends manifests to the running control plane."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Files, State
from meshgate.cli.status import diagnostic_text
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import ApplyRequest, Changes
from meshgate.sources.manifests import STANDARD_INPUT, read_paths


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(apply)


def apply(
    files: Files,
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="For objects that name none.")] = "",
    state: State = DEFAULT_STATE,
) -> None:
    """Create or change objects by manifests.

    Example: meshgate apply -f canary.yaml.
    """
    texts = read_manifests(files)
    with connect(state) as client:
        changes = client.call(wire.APPLY, ApplyRequest(texts=texts, namespace=namespace))
    print_changes(changes)


def read_manifests(files: list[str]) -> dict[str, str]:
    """The texts of files, folders and `-`, by absolute name; raises `CliError`."""
    texts: dict[str, str] = {}
    for file in files:
        # Absolute: commands of a Deployment run in the folder of its manifest.
        found, diagnostics = read_paths([file if file == STANDARD_INPUT else str(Path(file).absolute())])
        if diagnostics:
            raise CliError(str(diagnostics[0]))
        texts.update(found)
    return texts


def print_changes(changes: Changes) -> None:
    """What became of each object, as kubectl says it; exits with 1 where something failed."""
    failed = bool(changes.errors) or any(c.verb == "invalid" for c in changes.changes)
    for change in changes.changes:
        if change.verb != "invalid":
            typer.echo(f"{change.resource} {change.verb}")
    for line in changes.diagnostics:
        failed = failed or line.severity == "error"
        typer.echo(diagnostic_text(line), err=True)
    for error in changes.errors:
        typer.echo(f"Error from server: {error}", err=True)
    if failed:
        raise typer.Exit(1)
