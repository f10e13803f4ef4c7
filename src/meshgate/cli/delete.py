"""`meshgate delete`: takes objects away."""

from __future__ import annotations

from typing import Annotated

import typer

from meshgate.cli.apply import print_changes, read_manifests
from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Namespace, State
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import DeleteRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(delete)


def delete(
    kinds: Annotated[str, typer.Argument(metavar="KIND", help="deploy, vs, or KIND/NAME; not with -f.")] = "",
    names: Annotated[list[str] | None, typer.Argument(metavar="NAME", help="Of the objects.")] = None,
    files: Annotated[
        list[str] | None, typer.Option("-f", "--filename", metavar="FILE", help="Manifests of the objects.")
    ] = None,
    namespace: Namespace = "default",
    ignore_not_found: Annotated[bool, typer.Option("--ignore-not-found", help="That is no error.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Remove objects.

    One that a file holds stays away until the file changes it.

    Examples: meshgate delete vs web; meshgate delete -f canary.yaml.
    """
    if bool(kinds) == bool(files):
        raise CliError("name what to delete: KIND NAME..., or -f FILE", code=2)
    request = DeleteRequest(
        kinds=kinds,
        names=tuple(names or ()),
        namespace=namespace,
        texts=read_manifests(files) if files else {},
        ignore_not_found=ignore_not_found,
    )
    with connect(state) as client:
        changes = client.call(wire.DELETE, request)
    print_changes(changes)
