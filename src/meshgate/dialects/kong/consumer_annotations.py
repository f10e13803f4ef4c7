"""Kong's annotations on a KongConsumer: the plugins that hold for it."""

from __future__ import annotations

from collections.abc import Mapping

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import Origin
from meshgate.dialects.annotation_list import KONG
from meshgate.dialects.annotations import (
    PLUGINS,
    annotation_path,
    is_plugin_name,
    split_list,
    without_effect,
)
from meshgate.dialects.document import Document
from meshgate.dialects.schema import problem, show


def read_plugin_names(
    annotations: Mapping[str, str], document: Document, said: list[Diagnostic]
) -> tuple[tuple[str, ...], Origin | None]:
    """The plugins' names, each once, and where they are written (MG2005)."""
    for name in annotations:
        if not name.startswith(KONG) or name == PLUGINS:
            continue
        said.append(without_effect(name, document))
    text = annotations.get(PLUGINS)
    if text is None:
        return (), None
    path = annotation_path(PLUGINS)
    names = tuple(dict.fromkeys(split_list(text)))
    for name in names:
        if not is_plugin_name(name):
            message = f"must be a comma list of KongPlugin names, got {show(name)}"
            said.append(problem(document, "MG2005", path, message))
    return names, document.locate(path)
