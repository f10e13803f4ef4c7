"""Which plugin an object means: the one that it names, or the only one that its fields fit."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.dialects.document import Document
from meshgate.dialects.kong.catalog import CATALOG, candidates, nearest
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.dialects.schema import did_you_mean, problem, show

_MANY = 6
"""More candidates than these are not listed."""


def find_plugin(named: str, document: Document, said: list[Diagnostic], *, off: bool) -> str:
    """The plugin's name; empty where it cannot be told (MG2101, MG2102).

    `off` (the object is disabled) makes a warning of what would be an error.
    """
    name = named or _inferred(document, said, off=off)
    known = CATALOG.get(name)
    if not name or name in SUPPORTED:
        return name
    severity = Severity.WARNING if off else Severity.ERROR
    path = ("plugin",)
    if known is None:
        hint = did_you_mean(name, CATALOG)
        message = f"{show(name)} is not a plugin of Kong's open edition; what refers to it is closed"
        said.append(problem(document, "MG2102", path, message, severity=severity, remedy=hint))
        return ""
    said.append(
        problem(
            document,
            "MG2102",
            path,
            f"plugin {name} is not supported yet; what refers to it is closed, because {known.purpose.value}",
            severity=severity,
            remedy="take it out of konghq.com/plugins to serve without it",
        )
    )
    return name


def _inferred(document: Document, said: list[Diagnostic], *, off: bool) -> str:
    """The one plugin whose schema all given fields fit and whose required fields are there."""
    config = document.data.get("config")
    given = tuple(k for k, v in config.items() if v is not None) if isinstance(config, Mapping) else ()
    found = candidates(given)
    if len(found) == 1:
        said.append(
            problem(
                document,
                "MG2101",
                (),
                f"names no plugin; its fields fit {found[0]} alone",
                severity=Severity.WARNING,
                remedy=f"add plugin: {found[0]}",
            )
        )
        return found[0]
    said.append(
        problem(
            document,
            "MG2102",
            (),
            f"names no plugin, and {_why_not(given, found)}; what refers to it is closed",
            severity=Severity.WARNING if off else Severity.ERROR,
            remedy="add plugin: NAME",
        )
    )
    return ""


def _why_not(given: tuple[str, ...], found: tuple[str, ...]) -> str:
    if not given:
        return "no field of config tells which is meant"
    if found:
        shown = ", ".join(found[:_MANY]) + (" and others" if len(found) > _MANY else "")
        return f"its fields fit several: {shown}"
    near = nearest(given)
    if not near:
        return "no plugin has any of its fields"
    shown = ", ".join(near[:_MANY])
    lacking = next((sorted(r) for r in CATALOG[near[0]].required if r.isdisjoint(given)), None)
    strange = sorted(set(given) - CATALOG[near[0]].fields)
    if len(near) == 1 and strange:
        return f"its fields fit none; nearest is {shown}, which has no {strange[0][:80]}"
    if len(near) == 1 and lacking:
        return f"its fields fit none; nearest is {shown}, which also needs one of {', '.join(lacking)}"
    return f"its fields fit none; nearest are {shown}"
