"""The whole way on one screen: read -> parse -> link -> translate. Pure.

`sources` bring the texts and `xds` takes the resources to Envoy; everything between is
here, and is a function of its input alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, MutableMapping
from dataclasses import dataclass

from meshgate.core.diagnostics import Diagnostic, ordered
from meshgate.dialects.document import Document
from meshgate.dialects.kind import Lowered
from meshgate.dialects.registry import lower_documents
from meshgate.dialects.yaml_text import read_documents
from meshgate.model.declared import Declared
from meshgate.model.graph import Model
from meshgate.model.link import link
from meshgate.translate.translator import EnvoyTranslator

TRANSLATOR = EnvoyTranslator()
"""The last step: asked by the xDS store for one resource at a time, when a proxy wants it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Built:
    """What all documents mean together."""

    declared: Declared
    """Object by object, references as written."""
    model: Model
    """Linked; its live facets (instances, certificates) are empty."""
    diagnostics: tuple[Diagnostic, ...]
    """Everything a user should know, by position."""


def read_texts(texts: Mapping[str, str]) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """The documents of all files, by file name and place, and what could not be read."""
    documents: list[Document] = []
    diagnostics: list[Diagnostic] = []
    for file in sorted(texts):
        found, problems = read_documents(texts[file], file)
        documents.extend(found)
        diagnostics.extend(problems)
    return tuple(documents), tuple(diagnostics)


def build(
    documents: Iterable[Document],
    memo: MutableMapping[Document, Lowered] | None = None,
    *,
    allow_lua: bool = False,
) -> Built:
    """Parses every document by its kind, then links them. `memo` spares unchanged documents.

    `allow_lua`: plugins may run Lua that stands in them.
    """
    lowered = lower_documents(documents, memo)
    model, problems = link(lowered.declared, allow_lua=allow_lua)
    return Built(
        declared=lowered.declared,
        model=model,
        diagnostics=ordered((*lowered.diagnostics, *problems)),
    )
