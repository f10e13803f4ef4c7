"""`meshgate label`: sets and removes labels."""

from __future__ import annotations

from typing import Annotated

import typer

from meshgate.cli.apply import print_changes
from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Namespace, State
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import LabelRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(label)


def label(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="ns, svc, or KIND/NAME")],
    rest: Annotated[
        list[str], typer.Argument(metavar="[NAME...] KEY=VALUE... | KEY-...", help="Whose, and what.")
    ],
    namespace: Namespace = "default",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Change a label that is there.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Set labels (KEY=VALUE) and remove them (KEY-).

    Example: meshgate label namespace default istio-injection=enabled.
    """
    labels: dict[str, str | None] = {}
    names: list[str] = []
    for part in rest:
        key, equals, value = part.partition("=")
        if equals:
            labels[key] = value
        elif part.endswith("-"):
            labels[part[:-1]] = None
        else:
            names.append(part)
    kind, slash, name = kind.partition("/")
    if slash:
        names.insert(0, name)
    if not names or not labels:
        raise CliError("name objects and labels: label KIND NAME KEY=VALUE", code=2)
    request = LabelRequest(
        kind=kind, names=tuple(names), namespace=namespace, labels=labels, overwrite=overwrite
    )
    with connect(state) as client:
        changes = client.call(wire.LABEL, request)
    print_changes(changes)
