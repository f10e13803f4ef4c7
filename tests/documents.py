"""Documents for tests, of objects that stand in no text."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.document import Document, Json
from meshgate.dialects.unfolding import unfold


def from_object(obj: Mapping[str, Json]) -> tuple[Document | None, tuple[Diagnostic, ...]]:
    """The document of an object; None, and why, where it is none."""
    documents, diagnostics = unfold(obj, "<api>")
    return (documents[0] if documents else None), diagnostics
