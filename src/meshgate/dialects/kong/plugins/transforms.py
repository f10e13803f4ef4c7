"""What `request-transformer` and `response-transformer` share: entries, their names and values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.schema import show
from meshgate.model.policies.change import Pairs

_TOKEN = re.compile(r"[!#$&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110's, without the percent sign, by which Envoy's formats begin."""
_TEMPLATE = re.compile(r"\$\((.*?)\)")
_SIMPLE = re.compile(r"""(headers|query_params)(?:\.([\w-]+)|\[\s*["']([\w-]+)["']\s*\])""", re.ASCII)
_COMMANDS = {"headers": "REQ", "query_params": "QUERY_PARAM"}
_INTERNAL = ("x-meshgate-", "x-envoy-", ":")


def header_names(entries: Iterable[str], at: FieldPath, report: Report) -> tuple[str, ...]:
    """Names alone, as `remove` lists them."""
    return tuple(name for i, name in enumerate(entries) if _is_header(name, (*at, i), report))


def parameter_names(entries: Iterable[str], at: FieldPath, report: Report) -> tuple[str, ...]:
    """The same for query parameters."""
    return tuple(name for i, name in enumerate(entries) if _is_parameter(name, (*at, i), report))


def header_pairs(entries: Iterable[str], at: FieldPath, report: Report) -> Pairs:
    """`Name: value` entries; values become Envoy's formats."""
    return tuple(
        (name, _value(value, path, report))
        for name, value, path in _split(entries, at, report)
        if _is_header(name, path, report)
    )


def parameter_pairs(entries: Iterable[str], at: FieldPath, report: Report) -> Pairs:
    """The same for query parameters."""
    return tuple(
        (name, _value(value, path, report))
        for name, value, path in _split(entries, at, report)
        if _is_parameter(name, path, report)
    )


def header_renames(entries: Iterable[str], at: FieldPath, report: Report) -> Pairs:
    """`old:new` entries."""
    return tuple(
        (old, new)
        for old, new, path in _split(entries, at, report)
        if _is_header(old, path, report) and _is_header(new, path, report)
    )


def _split(entries: Iterable[str], at: FieldPath, report: Report) -> Iterator[tuple[str, str, FieldPath]]:
    for index, entry in enumerate(entries):
        name, colon, value = entry.partition(":")
        if colon:
            yield name.strip(), value.strip(), (*at, index)
        else:
            report.error("MG2103", (*at, index), f"must be name:value, got {show(entry)}")


def _is_header(name: str, at: FieldPath, report: Report) -> bool:
    lower = name.lower()
    if _TOKEN.fullmatch(name) is None:
        report.error("MG2103", at, f"must name a header, got {show(name)}")
    elif lower == "host" or lower.startswith(_INTERNAL):
        report.error("MG2103", at, f"{show(name)} cannot be changed in this way")
    else:
        return True
    return False


def _is_parameter(name: str, at: FieldPath, report: Report) -> bool:
    if name and name.isprintable() and not set(name) & set(" &=#%?"):
        return True
    report.error("MG2103", at, f"must name a query parameter, got {show(name)}")
    return False


def _value(text: str, at: FieldPath, report: Report) -> str:
    """A format of Envoy's for a value with Kong's templates; those that only Lua can tell are refused."""
    if not text.isprintable():
        report.error("MG2103", at, "must be one line without control characters")
        return ""
    parts: list[str] = []
    end = 0
    for found in _TEMPLATE.finditer(text):
        simple = _SIMPLE.fullmatch(found.group(1).strip())
        if simple is None:
            report.error(
                "MG1104",
                at,
                f"the template {show(found.group())} is not supported; the plugin stays closed",
                "$(headers.NAME) and $(query_params.NAME) are",
            )
            return ""
        source, name = simple.group(1), simple.group(2) or simple.group(3)
        parts += [text[end : found.start()].replace("%", "%%"), f"%{_COMMANDS[source]}({name})%"]
        end = found.end()
    return "".join((*parts, text[end:].replace("%", "%%")))
