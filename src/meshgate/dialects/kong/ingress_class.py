"""Whether a Kong object is meant for Kong: the annotation `kubernetes.io/ingress.class`."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.dialects.annotation_list import CLASS
from meshgate.dialects.annotations import annotation_path
from meshgate.dialects.document import Document
from meshgate.dialects.schema import problem, show

KONG_CLASS = "kong"


def is_ours(annotations: Mapping[str, str], document: Document, said: list[Diagnostic]) -> bool:
    """Whether the object's class is Kong's, or none (MG2005 where it is none or another's).

    Kong's controller leaves out what has no class; here it is taken, with a warning.
    """
    found = annotations.get(CLASS)
    if found == KONG_CLASS:
        return True
    missing = found is None
    said.append(
        problem(
            document,
            "MG2005",
            ("metadata", "annotations") if missing else annotation_path(CLASS),
            f"has no annotation {CLASS}, without which Kong leaves it out; it is taken all the same"
            if missing
            else f"belongs to class {show(found)}, not to {KONG_CLASS}; it is left out",
            severity=Severity.WARNING,
            remedy=f"add {CLASS}: {KONG_CLASS}" if missing else "",
        )
    )
    return missing
