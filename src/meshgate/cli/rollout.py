"""`meshgate rollout`: replaces a Deployment's pods step by step, and follows how far that is."""

from __future__ import annotations

import enum
import math
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, assert_never

import typer

from meshgate.cli.apply import print_changes
from meshgate.cli.client import Client, connect
from meshgate.cli.errors import CliError
from meshgate.cli.options import DEFAULT_STATE, Namespace, State
from meshgate.core.units import parse_duration_ms
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetQuery, PatchRequest

RESTARTED_AT = "kubectl.kubernetes.io/restartedAt"
_POLL_S = 0.1
Target = Annotated[list[str], typer.Argument(metavar="deploy/NAME", help="Which.")]


class Action(enum.StrEnum):
    """What to do."""

    RESTART = "restart"
    STATUS = "status"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(rollout)


def rollout(
    action: Annotated[
        Action, typer.Argument(metavar="restart|status", help="Replace them, or tell how far that is.")
    ],
    target: Target,
    namespace: Namespace = "default",
    watch: Annotated[bool, typer.Option("--watch/--no-watch", "-w", help="status: wait for the end.")] = True,
    timeout: Annotated[str, typer.Option(metavar="30s", help="status: how long; 0s waits on.")] = "0s",
    state: State = DEFAULT_STATE,
) -> None:
    """Replace a Deployment's pods step by step, or wait for that.

    Example: meshgate rollout restart deploy/web.
    """
    name = deployment_name(target)
    limit_ms = parse_duration_ms(timeout)
    if limit_ms is None:
        raise CliError(f"--timeout {timeout!r} is not a duration", "write it like 30s or 5m", code=2)
    with connect(state) as client:
        match action:
            case Action.RESTART:
                _restart(client, name, namespace)
            case Action.STATUS:
                _follow(client, name, namespace, watch=watch, limit_s=limit_ms / 1000)
            case _:
                assert_never(action)


def deployment_name(target: list[str]) -> str:
    """The name in `deploy/web`, `deployment web` or `deployments.apps/web`."""
    kind, _, name = "/".join(target).partition("/")
    if kind not in ("deploy", "deployment", "deployments", "deployment.apps", "deployments.apps"):
        raise CliError(f"{kind!r} is not a kind that is rolled out", "name a Deployment: deploy/NAME", code=2)
    if not name or "/" in name:
        raise CliError("name one Deployment: deploy/NAME", code=2)
    return name


def _restart(client: Client, name: str, namespace: str) -> None:
    now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    template = {"metadata": {"annotations": {RESTARTED_AT: now}}}
    patch = {"spec": {"template": template}}
    changes = client.call(
        wire.PATCH, PatchRequest(kind="deploy", name=name, namespace=namespace, patch=patch)
    )
    print_changes(replace(changes, changes=tuple(replace(c, verb="restarted") for c in changes.changes)))


def _follow(client: Client, name: str, namespace: str, *, watch: bool, limit_s: float) -> None:
    end = time.monotonic() + limit_s if limit_s else math.inf
    told = ""
    while True:
        waiting = _waiting_for(_get(client, name, namespace), name)
        if waiting != told or not waiting:
            typer.echo(waiting or f'deployment "{name}" successfully rolled out')
        if not waiting or not watch:
            return
        if time.monotonic() > end:
            raise CliError("timed out waiting for the condition")
        told = waiting
        time.sleep(_POLL_S)


def _get(client: Client, name: str, namespace: str) -> Mapping[str, object]:
    answer = client.call(wire.GET, GetQuery(kinds="deploy", names=(name,), namespace=namespace))
    if answer.missing:
        raise CliError(f"Error from server: {answer.missing[0]}")
    return answer.lists[0].objects[0]


def _waiting_for(deployment: Mapping[str, object], name: str) -> str:
    """What the rollout still waits for, in kubectl's words; empty where it is over."""
    generation = _number(deployment, "metadata", "generation")
    observed = _number(deployment, "status", "observedGeneration")
    if observed < generation:
        return "Waiting for deployment spec update to be observed..."
    wanted = _number(deployment, "spec", "replicas", default=1)
    updated = _number(deployment, "status", "updatedReplicas")
    total = _number(deployment, "status", "replicas")
    available = _number(deployment, "status", "availableReplicas")
    start = f'Waiting for deployment "{name}" rollout to finish: '
    if updated < wanted:
        return f"{start}{updated} out of {wanted} new replicas have been updated..."
    if total > updated:
        return f"{start}{total - updated} old replicas are pending termination..."
    if available < updated:
        return f"{start}{available} of {updated} updated replicas are available..."
    return ""


def _number(data: object, *path: str, default: int = 0) -> int:
    for part in path:
        data = data.get(part) if isinstance(data, Mapping) else None
    return data if isinstance(data, int) else default
