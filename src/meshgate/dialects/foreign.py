"""What a text is likely to be that is no manifest, and what to do with it.

Folders of manifests hold charts, kustomizations and other programs' files too; who names such
a folder should hear what to do, not only which field is missing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from meshgate.core.diagnostics import Diagnostic

RENDER = "this is a template: render it first, such as by `helm template CHART > FILE`"
_TEMPLATE = re.compile(r"\{\{-?\s*[.$\w(/]")
_OF_READING = ("MG1001", "MG1003", "MG1004", "MG2001")
_KUSTOMIZE = "kustomize.config.k8s.io/"
_BY_KEY = (
    ("_format_version", "this is Kong's declarative file: `meshgate import FILE` makes manifests of it"),
    ("services", "this looks like a Compose file: write a Deployment and a Service for each of its services"),
)


def is_kustomization(data: Mapping[str, object]) -> bool:
    """Whether it is the file of kustomize, which has no name and is no object."""
    version, kind = data.get("apiVersion"), data.get("kind")
    if isinstance(version, str) and version.startswith(_KUSTOMIZE):
        return True
    return version is None and kind is None and isinstance(data.get("resources"), list)


def advice(data: Mapping[str, object], file: str) -> str:
    """What to do with something without apiVersion, kind or name."""
    if "apiVersion" not in data and "kind" not in data:
        for key, said in _BY_KEY:
            if key in data:
                return said
    if file.rpartition("/")[2] in ("Chart.yaml", "values.yaml"):
        return "this belongs to a chart: name what `helm template CHART > FILE` makes of it"
    return "write them, or name only what holds manifests" if "kind" not in data else "add it"


def told_of_templates(text: str, diagnostics: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Where reading failed for a template's brackets: the first error alone, with what to do.

    Brackets inside of quoted text and blocks are text like any other, and no error comes of them.
    """
    unread = [d for d in diagnostics if d.code in _OF_READING and d.object is None]
    if not unread or _TEMPLATE.search(text) is None:
        return diagnostics
    first = min(unread, key=lambda d: (d.origin.line, d.origin.column))
    others = [d for d in diagnostics if d not in unread]
    return (replace(first, remedy=RENDER), *others)
