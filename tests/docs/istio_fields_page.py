"""docs/istio-fields.md: each field of Istio's kinds, its state in the code and the golden case that shows it.

The list of fields is istio_fields.txt; states come from the schemas, and a field is shown only
by a case that sets it and in which nothing is said against it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from meshgate.core.diagnostics import Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.schema import Spec
from meshgate.dialects.shape import shape_of
from meshgate.pipeline import read_texts
from tests.golden import cases

WORKS, TAKEN, WARNED, REFUSED, UNKNOWN = "works", "taken, not shown", "warned", "refused", "unknown"
_SAID = frozenset({"MG1101", "MG1103", "MG1104"})
"""What is said about a field that is not honoured."""

HEAD = """
# Istio's fields, one by one

GENERATED

Every field under `spec` of Istio's kinds in sidecar mode, with its state in the code and the golden
cases that set it. A golden case (`tests/golden`) fixes the model, Envoy's resources and the
diagnostics of one input word for word, and Envoy itself has to accept them; what a field does to
traffic is on the page of its capability.

- **works**: taken, and Envoy does what Istio's reference says, but for values that are named in
  [kinds.md](kinds.md#values-that-are-not-honoured).
- **taken, not shown**: the schema takes it, but no golden case sets it and has nothing said against it.
- **warned**: known and without effect; a warning names it.
- **refused**: known, not supported, and it guards something: an error, and what it guards stays closed.

*Much used* are the fields that public repositories set often, and those of documented tasks.
"""


GATEWAY_API_HEAD = """
# The Gateway API's fields, one by one

GENERATED

Every field under `spec` of the Gateway API's kinds, of the standard and of the experimental channel, with its
state in the code and the golden cases that set it; the words are those of [Istio's fields](istio-fields.md).
What a field does to traffic is asked by the tests of [the conformance table](gateway-api-conformance.md).
"""


@dataclass(frozen=True, slots=True)
class Source:
    """One list of fields."""

    file: str
    group: str
    """Part of the groups of its kinds."""
    words: tuple[str, str]
    """What `+` and `-` before a field mean."""


ISTIO = Source("istio_fields.txt", "istio.io", ("much used", "seldom used"))
GATEWAY_API = Source("gateway_api_fields.txt", "gateway.networking.", ("standard", "experimental"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One field of one kind."""

    kind: str
    path: str
    """Under `spec`, as Istio's reference writes it; `*` is a map's key."""
    common: bool
    """Much used, or of the standard channel."""
    state: str
    note: str
    """What the code says where it does not work."""
    shown_by: tuple[str, ...]
    """Golden cases, the ones with the fewest fields first."""


def rows(specs: Mapping[tuple[str, str], type[Spec]], source: Source = ISTIO) -> tuple[Row, ...]:
    """All fields, in the order of the list."""
    by_kind = {kind: spec for (group, kind), spec in specs.items() if source.group in group}
    return tuple(
        _row(by_kind.get(kind), kind, path, common, source) for kind, path, common in _fields(source)
    )


def _row(spec: type[Spec] | None, kind: str, path: str, common: bool, source: Source) -> Row:
    state, note = _state(spec, path)
    shown = _shown(source).get((kind, path), ())
    if state == WORKS and not shown:
        state = TAKEN
    return Row(kind=kind, path=path, common=common, state=state, note=note, shown_by=shown)


def lines(specs: Mapping[tuple[str, str], type[Spec]], source: Source = ISTIO) -> Iterator[str]:
    """The page below its head."""
    found = rows(specs, source)
    often, seldom = source.words
    kinds = tuple(dict.fromkeys(row.kind for row in found))
    yield from (f"| kind | {often}, works | {often} | all, works | all |", "|---|---|---|---|---|")
    for kind in kinds:
        of_kind = [row for row in found if row.kind == kind]
        common = [row for row in of_kind if row.common]
        yield (
            f"| [{kind}](#{kind.lower()}) | {_working(common)} | {len(common)} "
            f"| {_working(of_kind)} | {len(of_kind)} |"
        )
    for kind in kinds:
        yield from (
            "",
            f"## {kind}",
            "",
            f"| field | {'used' if source is ISTIO else 'channel'} | state | shown by |",
            "|---|---|---|---|",
        )
        for row in (row for row in found if row.kind == kind):
            cases_ = ", ".join(
                f"[{c.partition('/')[2]}](../tests/golden/{c}/in.yaml)" for c in row.shown_by[:2]
            )
            state = f"**{row.state}**: {row.note}" if row.note else row.state
            word = (often if row.common else seldom).removesuffix(" used")
            yield f"| `{row.path}` | {word} | {state} | {cases_} |"


def _working(found: list[Row]) -> int:
    return sum(row.state == WORKS for row in found)


def _fields(source: Source) -> Iterator[tuple[str, str, bool]]:
    kind = ""
    for line in Path(__file__).with_name(source.file).read_text().splitlines():
        if line.startswith("["):
            kind = line.strip("[]")
        elif line.startswith(("+ ", "- ")):
            yield kind, line[2:], line.startswith("+")


def _state(spec: type[Spec] | None, path: str) -> tuple[str, str]:
    """What the schema does with the field, and what it says about it."""
    if spec is None:
        return WARNED, "the kind is not supported"
    level: Any = spec
    parts = ["spec", *path.split(".")]
    while parts:
        part = parts.pop(0)
        for state, names in ((WARNED, level.UNSUPPORTED), (REFUSED, level.UNSUPPORTED_SECURITY)):
            if part in names:
                return state, names[part] or "no effect"
        if part in level.IGNORED:
            return WORKS, level.IGNORED[part]
        shape = shape_of(level)
        if part not in shape:
            return UNKNOWN, f"`{part}` is not taken"
        child = shape[part]
        if child is None:
            return WORKS, ""
        level = child.model
        if child.many == "map" and parts and parts[0] == "*":
            parts.pop(0)
    return WORKS, ""


@cache
def _shown(source: Source) -> Mapping[tuple[str, str], tuple[str, ...]]:
    """(kind, field) -> the cases that set it without anything being said against it."""
    listed = {(kind, path) for kind, path, _ in _fields(source)}
    found: dict[tuple[str, str], list[tuple[int, str]]] = {}
    for name in cases.names():
        if name.endswith("/refused"):
            continue  # what its objects do not have wrong shows nothing either
        documents, _ = read_texts({"in.yaml": cases.text_of(name)})
        for document in documents:
            if source.group not in document.ref.group:
                continue
            paths = tuple(_paths(document.data.get("spec")))
            against = _against(name, document)
            for path in paths:
                key = document.ref.kind, _pattern(document.ref.kind, path, listed)
                if key in listed and not any(path[: len(bad)] == bad for bad in against):
                    found.setdefault(key, []).append((len(paths), name))
    return {key: tuple(dict.fromkeys(name for _, name in sorted(value))) for key, value in found.items()}


def _against(name: str, document: Document) -> tuple[FieldPath, ...]:
    """Fields under `spec` about which a warning or error says that they do nothing."""
    return tuple(
        d.field[1:]
        for d in cases.read(name).diagnostics
        if d.object == document.ref and (d.severity is Severity.ERROR or d.code in _SAID)
    )


def _paths(value: Any, path: FieldPath = ()) -> Iterator[FieldPath]:
    """Every field that is set, at any depth."""
    if path:
        yield path
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _paths(inner, (*path, str(key)))
    elif isinstance(value, list | tuple):
        for i, inner in enumerate(value):
            yield from _paths(inner, (*path, i))


def _pattern(kind: str, path: FieldPath, listed: set[tuple[str, str]]) -> str:
    """The path as the list writes it: no indexes, `*` for the key of a map."""
    names: list[str] = []
    for part in path:
        if isinstance(part, int):
            continue
        plain = ".".join((*names, part))
        starred = ".".join((*names, "*"))
        is_key = (kind, plain) not in listed and any(
            k == kind and p.startswith(f"{starred}.") for k, p in listed
        )
        names.append("*" if is_key else part)
    return ".".join(names)
