"""Options that several commands have, and what they accept."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from meshgate.cli.errors import CliError
from meshgate.dialects.document import is_dns_label

DEFAULT_STATE = Path(".meshgate")

State = Annotated[Path, typer.Option("--state", metavar="DIR", help="Where meshgate keeps its state.")]
Namespace = Annotated[str, typer.Option("-n", "--namespace", metavar="NAME", help="Namespace.")]
AllowLua = Annotated[
    bool, typer.Option("--allow-lua", help="Let plugins run Lua from the manifests (pre-function, ...).")
]
Files = Annotated[
    list[str], typer.Option("-f", "--filename", metavar="FILE", help="File, folder, or - for standard input.")
]

Kinds = Annotated[
    str,
    typer.Argument(metavar="KIND", help="pods, svc, ingress, vs,dr, all, or KIND/NAME.", show_default=False),
]

AllNamespaces = Annotated[bool, typer.Option("-A", "--all-namespaces", help="Of every namespace.")]
Selector = Annotated[str, typer.Option("-l", "--selector", help="Labels, such as app=web.")]


class Structured(enum.StrEnum):
    """Formats for programs."""

    YAML = "yaml"
    JSON = "json"


class OnlyJson(enum.StrEnum):
    """Where a table for people is the alternative."""

    JSON = "json"


def said_kinds(kinds: str) -> str:
    """What was typed for `KIND`; where nothing was, an error that names some."""
    if not kinds:
        raise CliError(
            "say of which kind", "such as pods, svc, ingress, vs, httproutes, kongplugins, or all", code=2
        )
    return kinds


def split_target(text: str, namespace: str) -> tuple[str, str]:
    """`web.shop` -> (`web`, `shop`); a name without one, or `deploy/web`, is in `namespace`."""
    name = text.rpartition("/")[2]
    name, dot, own = name.partition(".")
    found = own if dot else namespace
    if not is_dns_label(name) or not is_dns_label(found):
        raise CliError(f"{text!r} is not a DEPLOYMENT or DEPLOYMENT.NAMESPACE")
    return name, found
