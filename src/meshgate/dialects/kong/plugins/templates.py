"""Kong's templates in the values of `request-transformer`: texts with `$(...)` inside.

Kong runs any Lua there. Here `$(...)` is a lookup in headers, query_params, uri_captures or
shared, or several choices joined by `or`, of which texts in quotes may be some: what its
documentation shows. Nothing of it is run as a program.
"""

from __future__ import annotations

import re

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.schema import show
from meshgate.model.policies.change import Alternatives, Lookup, Template

SOURCES = ("headers", "query_params", "uri_captures", "shared")

_TEMPLATE = re.compile(r"\$\((.*?)\)")
_CHOICE = re.compile(
    r"""\s*(?:
        (?P<source>headers|query_params|uri_captures|shared)
        (?:\.(?P<name>[A-Za-z_]\w*(?:-\w+)*)|\[\s*(?:"(?P<quoted>[^"\\]+)"|'(?P<single>[^'\\]+)'|(?P<number>\d+))\s*\])
        | "(?P<text>[^"\\]*)" | '(?P<other>[^'\\]*)'
    )\s*""",
    re.VERBOSE | re.ASCII,
)


def is_template(text: str) -> bool:
    """Whether the text has anything to look up."""
    return _TEMPLATE.search(text) is not None


def read_template(text: str, at: FieldPath, report: Report) -> Template:
    """The template in a text (MG1104 where it asks for more than lookups)."""
    parts: list[str | Alternatives] = []
    end = 0
    for found in _TEMPLATE.finditer(text):
        if text[end : found.start()]:
            parts.append(text[end : found.start()])
        choices = _choices(found.group(1))
        if choices is None:
            report.error(
                "MG1104",
                at,
                f"the template {show(found.group())} is not supported; the plugin stays closed",
                "name a header, query parameter, capture or shared value, with others behind `or`",
            )
            return ()
        parts.append(Alternatives(choices))
        end = found.end()
    if text[end:]:
        parts.append(text[end:])
    return tuple(parts)


def _choices(expression: str) -> tuple[Lookup | str, ...] | None:
    choices: list[Lookup | str] = []
    at = 0
    while True:
        found = _CHOICE.match(expression, at)
        if found is None:
            return None
        if source := found["source"]:
            name = found["name"] or found["quoted"] or found["single"] or found["number"]
            if found["number"] and source != "uri_captures":
                return None
            choices.append(Lookup(source, name))
        else:
            choices.append(found["text"] if found["text"] is not None else found["other"])
        if found.end() == len(expression):
            return tuple(choices)
        joined = re.compile(r"or\b").match(expression, found.end())
        if joined is None:
            return None
        at = joined.end()
