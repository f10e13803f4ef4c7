"""Which objects `get` and `describe` were asked for, and which of them are not there."""

from __future__ import annotations

from collections.abc import Sequence

import typer

from meshgate.cli.errors import CliError
from meshgate.cli.options import said_kinds
from meshgate.sources.backend import GetAnswer, GetQuery


def query_of(
    kinds: str, names: Sequence[str] | None, namespace: str, *, all_namespaces: bool, selector: str
) -> GetQuery:
    """The question; refuses a name across all namespaces."""
    if all_namespaces and (names or "/" in kinds):
        raise CliError("a name cannot be asked for across all namespaces", "give -n NAMESPACE")
    return GetQuery(
        kinds=said_kinds(kinds),
        names=tuple(names or ()),
        namespace=namespace,
        all_namespaces=all_namespaces,
        selector=selector,
    )


def tell_missing(answer: GetAnswer) -> None:
    """Says what is not there as kubectl does, and ends with 1 where anything is missing."""
    for message in answer.missing:
        typer.echo(f"Error from server (NotFound): {message}", err=True)
    if answer.missing:
        raise typer.Exit(1)
