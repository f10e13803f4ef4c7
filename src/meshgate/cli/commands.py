"""All commands, in the order in which `--help` lists them."""

from __future__ import annotations

import importlib
import importlib.util

import typer

MODULES = (
    "up",
    "down",
    "status",
    "get",
    "apply",
    "delete",
    "label",
    "patch",
    "logs",
    "exec",
    "explain",
    "analyze",
    "translate",
    "demo",
    "version",
)
"""Each is `meshgate.cli.<name>` with `register(app)`."""


def build() -> typer.Typer:
    """The application with every command."""
    app = typer.Typer(
        name="meshgate",
        help="An API gateway and a service mesh in one, from the manifests you have.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_meshgate)
    for name in MODULES:
        module = f"{__package__}.{name}"
        if importlib.util.find_spec(module) is not None:
            importlib.import_module(module).register(app)
    return app


def _meshgate() -> None:
    """An API gateway and a service mesh in one, from the manifests you have."""
