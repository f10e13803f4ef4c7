"""docs/cli.md: every command with its help, arguments and options."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Iterator
from typing import Any, get_args, get_type_hints

import typer.main

from meshgate.cli.commands import build
from tests.docs.page_text import cell, flat

HEAD = """
# The command line

GENERATED

`.venv/bin/meshgate` after `make install`. Commands that speak to a running meshgate find it by
its state directory, so give all of them the same `--state`. Exit codes: 0, 1 for errors, 2 for
wrong usage, 70 for a bug of Meshgate's own. Names of kinds are those of `kubectl`:
`deploy`, `svc`, `vs`, `dr`, ... ([kinds.md](kinds.md)).
"""


def lines() -> Iterator[str]:
    """The page's lines after its head."""
    root: Any = typer.main.get_command(build(()))
    for name, command in root.commands.items():
        said, shown_by = explained(command.help)
        yield from (f"## {name}", "", said, "")
        hints = get_type_hints(inspect.unwrap(command.callback))
        shown = [p for p in command.params if p.name != "help"]
        arguments = " ".join(_usage(p) for p in shown if p.param_type_name == "argument")
        yield from (f"    meshgate {name} {'[OPTIONS] ' if _options(shown) else ''}{arguments}".rstrip(), "")
        if shown:
            yield from ("| | |", "|---|---|", *(_parameter(p, hints.get(p.name)) for p in shown), "")
        if shown_by:
            yield from ("Such as:", "", *(f"    {example}" for example in shown_by), "")


def explained(text: str | None) -> tuple[str, tuple[str, ...]]:
    """What a command's help says, and its examples."""
    said, _, examples = flat(text).partition(" Example")
    return said, tuple(examples.partition(": ")[2].removesuffix(".").split("; ")) if examples else ()


def _options(parameters: list[Any]) -> bool:
    return any(p.param_type_name == "option" for p in parameters)


def _usage(argument: Any) -> str:
    """`PATH...`, in brackets where it may be left out."""
    name = str(argument.metavar or argument.name.upper())
    more = "..." if argument.nargs == -1 and not name.endswith("...") and "." not in name else ""
    return f"{name}{more}" if argument.required else f"[{name}{more}]"


def _parameter(parameter: Any, hint: object) -> str:
    if parameter.param_type_name == "argument":
        return f"| `{_usage(parameter)}` | {cell(parameter.help)} |"
    value = "" if parameter.is_flag else f" `{parameter.metavar or _value_of(hint)}`"
    names = ", ".join(f"`{name}`" for name in sorted(parameter.opts, key=len))
    default = getattr(parameter.default, "value", parameter.default)
    said = (
        ""
        if parameter.is_flag or default in (None, "", ()) or callable(default)
        else f" Default `{default}`."
    )
    return f"| {names}{value} | {cell(parameter.help)}{said} |"


def _value_of(hint: object) -> str:
    """The choices of an enumeration, `NUMBER`, or `TEXT`."""
    for one in (hint, *get_args(hint)):
        if isinstance(one, type) and issubclass(one, enum.Enum):
            return "/".join(str(choice.value) for choice in one)
        if one is int:
            return "NUMBER"
    return "TEXT"
