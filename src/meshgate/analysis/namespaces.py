"""Which namespaces are in the mesh, and whether their labels say so clearly."""

from __future__ import annotations

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import BUILT_IN
from meshgate.model.declared import Declared
from meshgate.model.graph import Model

_INJECTION = "istio-injection"
_REVISION = "istio.io/rev"


def analyze(declared: Declared, model: Model, advice: Findings) -> None:
    """MG3101 for namespaces without a sidecar anywhere and no word about it, MG3102 for two words."""
    labels = {n.name: n.labels for n in declared.namespaces}
    origins = {n.name: n.origin for n in declared.namespaces}
    for name in sorted({w.name.namespace for w in model.workloads.values()}):
        pods = [w for w in model.workloads.values() if w.name.namespace == name]
        said = labels.get(name, {})
        if _INJECTION not in said and _REVISION not in said and not any(w.meshed for w in pods):
            advice.note(
                "MG3101",
                origins.get(name, BUILT_IN) if name in origins else min(w.origin for w in pods),
                ObjectRef("Namespace", "", name),
                "its pods get no sidecar: mTLS, policies and routes inside the mesh pass them by",
                f"label it {_INJECTION}=enabled, or disabled if that is meant",
            )
    for namespace in declared.namespaces:
        if _INJECTION in namespace.labels and _REVISION in namespace.labels:
            advice.warn(
                "MG3102",
                namespace.origin,
                ObjectRef("Namespace", "", namespace.name),
                f"has both {_INJECTION} and {_REVISION}; {_INJECTION} decides",
                "keep one of the two labels",
                ("metadata", "labels"),
            )
