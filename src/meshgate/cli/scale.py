"""`meshgate scale`: sets how many pods a Deployment has."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import typer

from meshgate.cli.apply import print_changes
from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, Namespace, State
from meshgate.cli.rollout import Target, deployment_name
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import PatchRequest


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(scale)


def scale(
    target: Target,
    replicas: Annotated[int, typer.Option("--replicas", min=0, metavar="N", help="How many pods.")],
    namespace: Namespace = "default",
    state: State = DEFAULT_STATE,
) -> None:
    """Set how many pods a Deployment has.

    Example: meshgate scale deploy/web --replicas 3.
    """
    name = deployment_name(target)
    request = PatchRequest(
        kind="deploy", name=name, namespace=namespace, patch={"spec": {"replicas": replicas}}
    )
    with connect(state) as client:
        changes = client.call(wire.PATCH, request)
    print_changes(replace(changes, changes=tuple(replace(c, verb="scaled") for c in changes.changes)))
