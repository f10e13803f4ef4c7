"""`meshgate exec`: runs a command inside a workload's place in the mesh."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from meshgate.cli.client import connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Namespace, State, split_target
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import ExecRequest

_CANNOT_RUN = 126
_NOT_FOUND = 127


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command(name="exec")(execute)


def execute(
    target: Annotated[str, typer.Argument(metavar="DEPLOYMENT[.NS]", help="Whose first pod.")],
    command: Annotated[list[str], typer.Argument(metavar="-- COMMAND...", help="With its arguments.")],
    namespace: Namespace = "default",
    state: State = DEFAULT_STATE,
) -> None:
    """Run a command in a pod's network, environment and identity.

    Example: meshgate exec web -- curl -s http://payment/.
    """
    name, found = split_target(target, namespace)
    argv = tuple(command)
    with connect(state) as client:
        answer = client.call(wire.EXEC, ExecRequest(target=name, namespace=found, argv=argv))
    try:
        if answer.cwd:
            os.chdir(answer.cwd)
        os.execvpe(answer.argv[0], list(answer.argv), dict(answer.env))
    except FileNotFoundError as error:
        raise CliError(f"{error.filename or argv[0]}: not found", code=_NOT_FOUND) from error
    except (OSError, ValueError) as error:
        raise CliError(f"{argv[0]} cannot run: {error}", code=_CANNOT_RUN) from error
