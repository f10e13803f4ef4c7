"""What `request-transformer` and `response-transformer` share: entries, their names and values."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.templates import read_template
from meshgate.dialects.schema import show
from meshgate.model.policies.change import FieldChanges, Pairs, ScriptedChanges, Template

_TOKEN = re.compile(r"[!#$&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110's, without the percent sign, by which Envoy's formats begin."""
_TEMPLATE = re.compile(r"\$\((.*?)\)")
_SIMPLE = re.compile(r"""(headers|query_params)(?:\.([\w-]+)|\[\s*["']([\w-]+)["']\s*\])""", re.ASCII)
_COMMANDS = {"headers": "REQ", "query_params": "QUERY_PARAM"}
Steps = Mapping[str, tuple[str, ...]]
"""`remove`, `rename`, `replace`, `add`, `append` -> the entries."""
IsName = Callable[[str, FieldPath, Report], bool]
_INTERNAL = ("x-meshgate-", "x-envoy-", ":")


def header_names(entries: Iterable[str], at: FieldPath, report: Report) -> tuple[str, ...]:
    """Names alone, as `remove` lists them."""
    return tuple(name for i, name in enumerate(entries) if is_header(name, (*at, i), report))


def header_pairs(entries: Iterable[str], at: FieldPath, report: Report) -> Pairs:
    """`Name: value` entries; values become Envoy's formats."""
    return tuple(
        (name, _value(value, path, report))
        for name, value, path in _split(entries, at, report)
        if is_header(name, path, report)
    )


def is_simple(text: str) -> bool:
    """Whether Envoy's own formats can make the value."""
    return all(_SIMPLE.fullmatch(found.group(1).strip()) for found in _TEMPLATE.finditer(text))


def header_changes(steps: Steps, report: Report) -> FieldChanges:
    """What Envoy's own filter does to headers, step by step."""
    return FieldChanges(
        remove=header_names(steps["remove"], ("remove", "headers"), report),
        rename=header_renames(steps["rename"], ("rename", "headers"), report),
        replace=header_pairs(steps["replace"], ("replace", "headers"), report),
        add=header_pairs(steps["add"], ("add", "headers"), report),
        append=header_pairs(steps["append"], ("append", "headers"), report),
    )


def scripted(steps: Steps, part: str, is_name: IsName, report: Report) -> ScriptedChanges:
    """The same for a program, whatever is changed; values may be templates."""

    def templates(step: str) -> tuple[tuple[str, Template], ...]:
        return tuple(
            (name, _template_of(value, path, report))
            for name, value, path in _split(steps[step], (step, part), report)
            if is_name(name, path, report)
        )

    removed = enumerate(steps["remove"])
    renamed = _split(steps["rename"], ("rename", part), report)
    return ScriptedChanges(
        remove=tuple(name for i, name in removed if is_name(name, ("remove", part, i), report)),
        rename=tuple((o, n) for o, n, p in renamed if is_name(o, p, report) and is_name(n, p, report)),
        replace=templates("replace"),
        add=templates("add"),
        append=templates("append"),
    )


def member_names(entries: Iterable[str], at: FieldPath, report: Report) -> tuple[str, ...]:
    """Names of a body's members alone."""
    return tuple(name for i, name in enumerate(entries) if is_member(name, (*at, i), report))


def member_pairs(
    entries: Iterable[str], at: FieldPath, report: Report
) -> Iterator[tuple[str, str, FieldPath]]:
    """`name:value` entries of a body's members, with where they stand."""
    return ((n, v, p) for n, v, p in _split(entries, at, report) if is_member(n, p, report))


def header_renames(entries: Iterable[str], at: FieldPath, report: Report) -> Pairs:
    """`old:new` entries."""
    return tuple(
        (old, new)
        for old, new, path in _split(entries, at, report)
        if is_header(old, path, report) and is_header(new, path, report)
    )


def _split(entries: Iterable[str], at: FieldPath, report: Report) -> Iterator[tuple[str, str, FieldPath]]:
    for index, entry in enumerate(entries):
        name, colon, value = entry.partition(":")
        if colon:
            yield name.strip(), value.strip(), (*at, index)
        else:
            report.error("MG2103", (*at, index), f"must be name:value, got {show(entry)}")


def is_header(name: str, at: FieldPath, report: Report) -> bool:
    """Whether it names a header that may be changed; reports it where not."""
    lower = name.lower()
    if _TOKEN.fullmatch(name) is None:
        report.error("MG2103", at, f"must name a header, got {show(name)}")
    elif lower == "host" or lower.startswith(_INTERNAL):
        report.error("MG2103", at, f"{show(name)} cannot be changed in this way")
    else:
        return True
    return False


def is_parameter(name: str, at: FieldPath, report: Report) -> bool:
    """The same for a query parameter."""
    if name and name.isprintable() and not set(name) & set(" &=#%?"):
        return True
    report.error("MG2103", at, f"must name a query parameter, got {show(name)}")
    return False


def is_member(name: str, at: FieldPath, report: Report) -> bool:
    """Whether a part of a body can have that name; reports it where not."""
    if name and name.isprintable():
        return True
    report.error("MG2103", at, f"must name a member of the body, got {show(name)}")
    return False


def _template_of(text: str, at: FieldPath, report: Report) -> Template:
    if not text.isprintable():
        report.error("MG2103", at, "must be one line without control characters")
        return ()
    return read_template(text, at, report)


def _value(text: str, at: FieldPath, report: Report) -> str:
    """A format of Envoy's for a value with Kong's templates, which must be simple."""
    if not text.isprintable():
        report.error("MG2103", at, "must be one line without control characters")
        return ""
    parts: list[str] = []
    end = 0
    for found in _TEMPLATE.finditer(text):
        simple = _SIMPLE.fullmatch(found.group(1).strip())
        if simple is None:  # of an answer's headers: there is no request to look into
            read_template(text, at, report)
            report.error("MG1104", at, f"the template {show(found.group())} is not supported here")
            return ""
        source, name = simple.group(1), simple.group(2) or simple.group(3)
        parts += [text[end : found.start()].replace("%", "%%"), f"%{_COMMANDS[source]}({name})%"]
        end = found.end()
    return "".join((*parts, text[end:].replace("%", "%%")))
