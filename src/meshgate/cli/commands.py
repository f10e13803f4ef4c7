"""All commands, in the order in which `--help` lists them."""

from __future__ import annotations

import importlib
from collections.abc import Sequence

import typer

from meshgate.core.loading import without_collections

MODULES = (
    "up",
    "down",
    "status",
    "get",
    "describe",
    "apply",
    "delete",
    "label",
    "patch",
    "scale",
    "rollout",
    "logs",
    "metrics",
    "cache",
    "exec",
    "explain",
    "analyze",
    "translate",
    "import_",
    "demo",
    "version",
)
"""Each is `meshgate.cli.<name>` with `register(app)`."""
_FILES = {"import": "import_"}
"""Commands that Python has another use for."""


def build(arguments: Sequence[str]) -> typer.Typer:
    """The application for these arguments: with the command that they name, else with all of them.

    What one command imports is not paid by the others; `up` stays small as the guard.
    """
    asked = [name for word in arguments[:1] if (name := _FILES.get(word, word)) in MODULES]
    app = typer.Typer(
        name="meshgate",
        help="An API gateway and a service mesh in one, from the manifests you have.",
        epilog="Begin with: meshgate demo, or meshgate up PATH. Each command's --help has an example.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_meshgate)
    with without_collections():
        for name in asked or MODULES:
            importlib.import_module(f"{__package__}.{name}").register(app)
    return app


def _meshgate() -> None:
    """An API gateway and a service mesh in one, from the manifests you have."""
