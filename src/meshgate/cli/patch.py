"""`meshgate patch`: changes fields of one object."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Annotated

import typer

from meshgate.cli.apply import print_changes
from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Namespace, State
from meshgate.cli.plain_yaml import read_plain
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import PatchRequest


class PatchType(enum.StrEnum):
    """Kinds of patches."""

    MERGE = "merge"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(patch)


def patch(
    kind: Annotated[str, typer.Argument(metavar="KIND", help="vs, deploy, or KIND/NAME")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="Where KIND does not say it.")] = "",
    content: Annotated[
        str, typer.Option("-p", "--patch", metavar="JSON", help="What to change; null removes.")
    ] = "",
    patch_type: Annotated[PatchType, typer.Option("--type", help="RFC 7386.")] = PatchType.MERGE,
    namespace: Namespace = "default",
    state: State = DEFAULT_STATE,
) -> None:
    """Change fields of an object by a JSON merge patch.

    Example: meshgate patch deploy web -p '{"spec": {"replicas": 2}}'.
    """
    assert patch_type is PatchType.MERGE
    if not name:
        kind, _, name = kind.partition("/")
    if not name or not content:
        raise CliError("name an object and a patch: patch KIND NAME --type merge -p JSON", code=2)
    data = read_plain(content, "--patch")
    if not isinstance(data, Mapping):
        raise CliError('the patch must be an object, such as {"spec": {"replicas": 2}}')
    request = PatchRequest(kind=kind, name=name, namespace=namespace, patch=data)
    with connect(state) as client:
        changes = client.call(wire.PATCH, request)
    print_changes(changes)
