"""`meshgate demo --once`: asks for each thing that the shop's manifests promise, and says what came back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape

from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_steps import Finding, Findings, Step
from meshgate.cli.demo_steps_edge import forged_headers, local_limit, shared_limit, tokens
from meshgate.cli.demo_steps_faults import edit_weight, kill_control_plane, kill_workloads
from meshgate.cli.demo_steps_traffic import canary, identities, pods_ready, split_at_edge, split_inside
from meshgate.cli.errors import CliError

_ASKED_WIDTH = 60


def start(shop: Shop) -> Findings:
    """`meshgate up` on the shop's folder."""
    took = shop.start()
    yield Finding(asked="meshgate up examples/shop/manifests", came=f"gateway ready after {took:.1f} s")


def end(shop: Shop) -> Findings:
    """`meshgate down`, and a look at the machine."""
    began = time.monotonic()
    left = shop.close()
    took = time.monotonic() - began
    yield Finding(asked="meshgate down", came=f"ended after {took:.1f} s; left behind: {left}", held=not left)


STEPS: Sequence[Step] = (
    Step(title="Five services start, each with a sidecar, behind a gateway", run=start),
    Step(title="Everything is ready", run=pods_ready),
    Step(title="90/10 at the edge: an Ingress follows the VirtualService (seed/04)", run=split_at_edge),
    Step(title="90/10 inside the mesh (seed/01)", run=split_inside),
    Step(title="x-canary: true reaches v2, and nothing else does (seed/03)", run=canary),
    Step(title="Mutual TLS: identities are certificates, plaintext is refused", run=identities),
    Step(title="Tokens (seed/02)", run=tokens),
    Step(title="X-Consumer-* are the gateway's to set", run=forged_headers),
    Step(title="A hundred a minute, shared through Redis (seed/02)", run=shared_limit),
    Step(title="A key, and ten a minute in Envoy itself", run=local_limit),
    Step(title="A weight is edited under load", run=edit_weight),
    Step(title="kill -9 of an application and of a sidecar", run=kill_workloads),
    Step(title="kill -9 of the control plane", run=kill_control_plane),
    Step(title="Nothing stays behind", run=end),
)


def tour(shop: Shop, console: Console, steps: Sequence[Step] = STEPS) -> bool:
    """Runs the steps, one after the other, and prints them; whether all held.

    A step that cannot be finished counts as failed, and the others go on; only if the shop
    does not start, nothing else is asked.
    """
    began = time.monotonic()
    failed: list[str] = []
    for number, step in enumerate(steps, 1):
        if not run_step(number, step, shop, console):
            failed.append(step.title)
            if step.run is start:
                break
    took = time.monotonic() - began
    if failed:
        console.print(f"\n[bold red]{len(failed)} of {len(steps)} steps did not hold[/] ({took:.0f} s):")
        for title in failed:
            console.print(f"  {escape(title)}")
    else:
        console.print(f"\n[bold green]All {len(steps)} steps held[/] ({took:.0f} s).")
    return not failed


def run_step(number: int, step: Step, shop: Shop, console: Console) -> bool:
    """Prints a step's title, its findings as they come, and the verdict; whether it held."""
    console.print(f"\n[bold]{number:>2}  {escape(step.title)}[/]")
    began = time.monotonic()
    held = True
    try:
        for finding in step.run(shop):
            _print(finding, console)
            held = held and finding.held
    except (CliError, OSError, KeyError) as error:
        held = False
        said = error.message if isinstance(error, CliError) else f"{type(error).__name__}: {error}"
        _print(Finding(asked="the step was not finished", came=said, held=False), console)
    verdict = "[bold green]PASS[/]" if held else "[bold red]FAIL[/]"
    console.print(f"    {verdict} [dim]{time.monotonic() - began:.1f} s[/]")
    return held


def _print(finding: Finding, console: Console) -> None:
    colour = "default" if finding.held else "red"
    gap = " " * max(_ASKED_WIDTH - len(finding.asked), 0)
    console.print(f"    {escape(finding.asked)}{gap} [dim]→[/] [{colour}]{escape(finding.came)}[/]")
