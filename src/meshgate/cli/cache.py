"""`meshgate cache`: what is kept of services' answers, and how to be rid of it."""

from __future__ import annotations

import enum
import json
from typing import Annotated, assert_never

import typer

from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, State
from meshgate.cli.printing import columns
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Free, Nothing


class Action(enum.StrEnum):
    """What to do."""

    STATS = "stats"
    PURGE = "purge"


class Output(enum.StrEnum):
    """How to print."""

    TABLE = "table"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(cache)


def cache(
    action: Annotated[Action, typer.Argument(metavar="stats|purge", help="What is kept, or forget it.")],
    route: Annotated[str, typer.Option(metavar="NS/NAME", help="purge: of this Ingress or route.")] = "",
    service: Annotated[str, typer.Option(metavar="NS/NAME", help="purge: of this Service.")] = "",
    host: Annotated[str, typer.Option(help="purge: of this host.")] = "",
    path: Annotated[str, typer.Option(help="purge: of this path; a * at its end stands for anything.")] = "",
    key: Annotated[str, typer.Option(help="purge: the answer with this X-Cache-Key.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="purge: all that is kept.")] = False,
    output: Annotated[Output, typer.Option("-o", "--output")] = Output.TABLE,
    state: State = DEFAULT_STATE,
) -> None:
    """Show or forget the answers that proxy-cache has kept.

    `purge` forgets what meets all options.

    Example: meshgate cache purge --host shop.example.com --path "/news/*".
    """
    selector = {"route": route, "service": service, "host": host, "path": path, "key": key}
    if action is Action.PURGE and everything == any(selector.values()):
        raise CliError("say what to forget", "give --path, --route, another option, or --all alone", code=2)
    with connect(state) as client:
        match action:
            case Action.STATS:
                found = client.call(wire.CACHE_STATS, Nothing()).value
            case Action.PURGE:
                found = client.call(wire.CACHE_PURGE, Free(selector)).value
            case _:
                assert_never(action)
    if output is Output.JSON:
        typer.echo(json.dumps(found))
    elif action is Action.PURGE:
        typer.echo(f"{found['purged']} answers are forgotten")
    else:
        rows = [(name.replace("_", " "), str(value)) for name, value in found.items()]
        typer.echo(columns(("WHAT", "COUNT"), rows), nl=False)
