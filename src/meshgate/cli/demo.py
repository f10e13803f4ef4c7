"""`meshgate demo`: the shop of examples/shop with traffic, live, or as a tour that ends."""

from __future__ import annotations

import contextlib
import io
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_tour import tour
from meshgate.cli.errors import CliError
from meshgate.cli.up import IsolationChoice
from meshgate.model.proxy import Isolation

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(demo)


def demo(
    once: Annotated[bool, typer.Option("--once", help="A tour that ends: 0 only if all held.")] = False,
    state: Annotated[
        Path | None, typer.Option("--state", metavar="DIR", help="Keep state and logs here; else they go.")
    ] = None,
    isolation: Annotated[
        IsolationChoice, typer.Option(help="A network of its own for each pod (root), or ports.")
    ] = IsolationChoice.AUTO,
    http_port: Annotated[
        int, typer.Option(min=0, max=65535, help="The gateway's port; 0 for any that is free.")
    ] = 0,
) -> None:
    """Run the example shop with traffic, live or as a tour (--once)."""
    chosen = None if isolation is IsolationChoice.AUTO else Isolation(isolation.value)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal without arrows gets question marks
    console = Console(highlight=False, soft_wrap=True)
    with _interruptible():
        shop = Shop(state, chosen, http_port or None)
        try:
            held = tour(shop, console) if once else _live(shop, console)
        finally:
            _close(shop, console)
    if not held:
        raise typer.Exit(1)


def _live(shop: Shop, console: Console) -> bool:
    from meshgate.cli.demo_live import show

    console.print("Starting the shop: five services, a gateway, a sidecar each ...")
    shop.start()
    shop.wait_until_ready()
    with contextlib.suppress(KeyboardInterrupt):
        show(shop, console)
    console.print("Stopping ...")
    left = shop.close()
    if left:
        raise CliError(f"something stayed behind: {left}", "it was removed by force")
    return True


@contextlib.contextmanager
def _interruptible() -> Iterator[None]:
    """Makes the signals that end a program a KeyboardInterrupt, so that all is cleaned up."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _ENDING}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _close(shop: Shop, console: Console) -> None:
    """The end after which nothing is left, whatever happened; a second Ctrl-C does not cut it short."""
    for number in _ENDING:
        signal.signal(number, signal.SIG_IGN)
    if shop.closed:
        return
    with contextlib.suppress(OSError, SystemExit):  # nobody may be reading any more
        console.print("\nCleaning up ...")
    left = shop.close()
    if left:
        console.print(f"removed by force: {left}", markup=False)
