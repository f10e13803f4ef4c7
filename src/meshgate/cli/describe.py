"""`meshgate describe`: objects at length, their conditions as tables."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated

import typer

from meshgate.cli.asked_objects import query_of, tell_missing
from meshgate.cli.client import connect
from meshgate.cli.options import DEFAULT_STATE, AllNamespaces, Kinds, Namespace, Selector, State
from meshgate.cli.printing import as_yaml, columns, list_in, text_in
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetAnswer, GetQuery

_CONDITION = ("type", "status", "reason", "observedGeneration", "lastTransitionTime", "message")


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(describe)


def describe(
    kinds: Kinds = "",
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME", help="Or how it begins; all of the kind without one."),
    ] = None,
    namespace: Namespace = "default",
    all_namespaces: AllNamespaces = False,
    selector: Selector = "",
    state: State = DEFAULT_STATE,
) -> None:
    """Show objects at length, each condition with its reason.

    Example: meshgate describe pod web.
    """
    query = query_of(kinds, names, namespace, all_namespaces=all_namespaces, selector=selector)
    with connect(state) as client:
        answer = client.call(wire.GET, query)
        if answer.missing and (begun := _begun(client.call(wire.GET, replace(query, names=())), query)):
            answer = begun
    sys.stdout.write(render(answer))
    sys.stdout.flush()
    tell_missing(answer)


def _begun(all_of_kind: GetAnswer, query: GetQuery) -> GetAnswer | None:
    """As kubectl does for a name that nothing has: the objects whose names begin with it."""
    if not query.names:
        return None
    lists = []
    for listed in all_of_kind.lists:
        objects = tuple(o for o in listed.objects if text_in(o, "metadata", "name").startswith(query.names))
        lists.append(replace(listed, objects=objects))
    found = [text_in(o, "metadata", "name") for listed in lists for o in listed.objects]
    if all(any(name.startswith(begin) for name in found) for begin in query.names):
        return GetAnswer(lists=tuple(lists))
    return None


def render(answer: GetAnswer) -> str:
    """All objects, an empty line between two."""
    return "\n".join(_object(obj) for listed in answer.lists for obj in listed.objects)


def _object(obj: Mapping[str, object]) -> str:
    lines = [
        ("Name", text_in(obj, "metadata", "name")),
        ("Namespace", text_in(obj, "metadata", "namespace", default="")),
        ("Kind", f"{text_in(obj, 'kind')} ({text_in(obj, 'apiVersion')})"),
        ("Created", text_in(obj, "metadata", "creationTimestamp", default="")),
        ("Generation", text_in(obj, "metadata", "generation", default="")),
    ]
    metadata = obj.get("metadata")
    for title, field in (("Labels", "labels"), ("Annotations", "annotations")):
        found = metadata.get(field) if isinstance(metadata, Mapping) else None
        if isinstance(found, Mapping):
            lines += [(title if i == 0 else "", f"{k}={v}") for i, (k, v) in enumerate(sorted(found.items()))]
    text = "".join(f"{title + ':' if title else '':<13}{value}\n" for title, value in lines if value)
    for name, value in obj.items():
        if name in ("apiVersion", "kind", "metadata", "status"):
            continue
        text += f"{name.capitalize()}:\n{_indented(as_yaml(value))}"
    status = obj.get("status")
    return text + (_status(status) if isinstance(status, Mapping) else "")


def _status(status: Mapping[str, object]) -> str:
    text = "Status:\n"
    for name, value in sorted(status.items()):
        match name:
            case "conditions":
                text += _conditions(list_in(status, "conditions"), 2)
            case "listeners":
                for one in list_in(status, "listeners"):
                    kinds = ", ".join(text_in(k, "kind") for k in list_in(one, "supportedKinds"))
                    attached = text_in(one, "attachedRoutes", default="0")
                    title = f"Listener {text_in(one, 'name')}: {attached} routes attached"
                    text += f"  {title}; takes {kinds or 'none'}\n" + _conditions(
                        list_in(one, "conditions"), 4
                    )
            case "parents" | "ancestors":
                for one in list_in(status, name):
                    reference = "parentRef" if name == "parents" else "ancestorRef"
                    section = text_in(one, reference, "sectionName", default="")
                    title = f"{text_in(one, reference, 'kind')} {text_in(one, reference, 'name')} {section}"
                    text += f"  {title.rstrip()}\n" + _conditions(list_in(one, "conditions"), 4)
            case _:
                text += _indented(as_yaml({name: value}))
    return text


def _conditions(conditions: Sequence[object], indent: int) -> str:
    rows = [[text_in(one, field, default="") for field in _CONDITION] for one in conditions]
    heads = ("TYPE", "STATUS", "REASON", "GENERATION", "SINCE", "MESSAGE")
    return _indented(columns(heads, rows), indent)


def _indented(text: str, indent: int = 2) -> str:
    return "".join(f"{' ' * indent}{line}\n" for line in text.splitlines())
