"""What tests of the dialects share: text in, lowered objects and diagnostics as printed out."""

from __future__ import annotations

from meshgate.core.diagnostics import ordered
from meshgate.dialects.document import Document
from meshgate.dialects.kind import Lowered
from meshgate.dialects.registry import lower_documents
from meshgate.dialects.yaml_text import read_documents
from meshgate.model.declared import Declared


def documents(text: str) -> tuple[Document, ...]:
    """The documents of a text without mistakes."""
    found, diagnostics = read_documents(text, "f.yaml")
    assert not diagnostics, [str(d) for d in diagnostics]
    return found


def read(text: str) -> Lowered:
    """Everything that a text declares, with the diagnostics of reading and of lowering."""
    found, diagnostics = read_documents(text, "f.yaml")
    lowered = lower_documents(found)
    return Lowered(declared=lowered.declared, diagnostics=(*diagnostics, *lowered.diagnostics))


def said(text: str) -> list[str]:
    """The diagnostics about a text, as printed, in order."""
    return [str(d) for d in ordered(read(text).diagnostics)]


def declared(text: str) -> Declared:
    """What a text declares; it must have no mistakes."""
    lowered = read(text)
    assert not lowered.diagnostics, [str(d) for d in lowered.diagnostics]
    return lowered.declared
