"""`meshgate get`: objects as kubectl shows them, those that Meshgate makes included."""

from __future__ import annotations

import enum
import sys
from collections.abc import Sequence
from typing import Annotated

import typer

from meshgate.cli.asked_objects import query_of, tell_missing
from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, AllNamespaces, Kinds, Namespace, Selector, State
from meshgate.cli.printing import age, as_json, as_yaml, columns, text_in, utc_now
from meshgate.cli.tables import columns_of
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetAnswer, GetQuery, Listed


class Output(enum.StrEnum):
    """Formats of `get`."""

    YAML = "yaml"
    JSON = "json"
    WIDE = "wide"
    NAME = "name"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(get)


def get(
    kinds: Kinds = "",
    names: Annotated[
        list[str] | None, typer.Argument(metavar="NAME", help="All of the kind without one.")
    ] = None,
    namespace: Namespace = "default",
    all_namespaces: AllNamespaces = False,
    selector: Selector = "",
    output: Annotated[Output | None, typer.Option("-o", "--output", help="Format.")] = None,
    no_headers: Annotated[bool, typer.Option("--no-headers", help="Rows only.")] = False,
    state: State = DEFAULT_STATE,
) -> None:
    """Show objects: what was written, and what has come of it.

    Examples: meshgate get pods -A; meshgate get vs,dr; meshgate get ingress web -o yaml.
    """
    query = query_of(kinds, names, namespace, all_namespaces=all_namespaces, selector=selector)
    with connect(state) as client:
        answer = client.call(wire.GET, query)
    sys.stdout.write(render(answer, query, output, headers=not no_headers))
    sys.stdout.flush()
    tell_missing(answer)
    if not any(listed.objects for listed in answer.lists) and output not in (Output.YAML, Output.JSON):
        where = "" if all_namespaces or not answer.lists[0].namespaced else f" in {namespace} namespace"
        typer.echo(f"No resources found{where}.", err=True)


def render(answer: GetAnswer, query: GetQuery, output: Output | None, *, headers: bool = True) -> str:
    """The objects in the format asked for."""
    match output:
        case Output.YAML | Output.JSON:
            objects = [obj for listed in answer.lists for obj in listed.objects]
            dump = as_yaml if output is Output.YAML else as_json
            single = len(query.names) == 1 or ("/" in query.kinds and not query.names)
            one_asked = single and len(answer.lists) == 1
            if one_asked:
                return dump(objects[0]) if objects else ""
            return dump({"apiVersion": "v1", "kind": "List", "items": objects, "metadata": {}})
        case Output.NAME:
            named = (_prefixed(listed, obj) for listed in answer.lists for obj in listed.objects)
            return "".join(f"{name}\n" for name in named)
        case Output.WIDE | None:
            filled = [listed for listed in answer.lists if listed.objects]
            several = len(answer.lists) > 1
            wide = output is Output.WIDE
            return "\n".join(
                _table(listed, query, wide=wide, prefixed=several, headers=headers) for listed in filled
            )


def _table(listed: Listed, query: GetQuery, *, wide: bool, prefixed: bool, headers: bool) -> str:
    before, after = columns_of(listed.kind, listed.resource, listed.objects, wide=wide)
    show_namespace = query.all_namespaces and listed.namespaced
    head = ["NAMESPACE"] if show_namespace else []
    head += ["NAME", *(c.title for c in before), "AGE", *(c.title for c in after)]
    now = utc_now()
    rows: list[Sequence[str]] = []
    for obj in listed.objects:
        row = [text_in(obj, "metadata", "namespace", default="")] if show_namespace else []
        row.append(_prefixed(listed, obj) if prefixed else text_in(obj, "metadata", "name"))
        row += [column.cell(obj) for column in before]
        row.append(age(text_in(obj, "metadata", "creationTimestamp"), now))
        row += [column.cell(obj) for column in after]
        rows.append(row)
    text = columns(head, rows)
    return text if headers else text.partition("\n")[2]


def _prefixed(listed: Listed, obj: object) -> str:
    group = listed.resource.partition(".")[2]
    singular = listed.kind.lower()
    name = text_in(obj, "metadata", "name")
    return f"{singular}.{group}/{name}" if group else f"{singular}/{name}"
