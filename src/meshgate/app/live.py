"""What changes while a control plane runs: the newest of everything, in one place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from meshgate.app.wiring import empty_model
from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.document import Document
from meshgate.model.graph import Model
from meshgate.model.workload import Instance
from meshgate.pipeline import Built
from meshgate.runtime.spec import PodKey, PodSpec
from meshgate.runtime.status import PodStatus


@dataclass(slots=True)
class Live:
    """Each task changes its part and calls the next step."""

    documents: tuple[Document, ...] = ()
    in_force: frozenset[Document] = frozenset()
    """The same, to look one up."""
    built: Built | None = None
    model: Model = field(default_factory=empty_model)
    diagnostics: tuple[Diagnostic, ...] = ()
    pods: dict[PodKey, PodSpec] = field(default_factory=dict)
    statuses: dict[PodKey, PodStatus] = field(default_factory=dict)
    instances: Mapping[str, tuple[Instance, ...]] = field(default_factory=dict)
