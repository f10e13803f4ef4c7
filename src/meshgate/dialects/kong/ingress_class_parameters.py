"""IngressClassParameters (v1alpha1): settings of a class of Kong's."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check


class ParametersSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "enableLegacyRegexDetection": "a regular expression is one that begins with /~"
    }
    IGNORED: ClassVar[Mapping[str, str]] = {
        "serviceUpstream": "the gateway has no way to pods but the mesh's own"
    }


class IngressClassParameters(ObjectSpec):
    spec: ParametersSpec = ParametersSpec()


def lower_ingress_class_parameters(document: Document) -> Lowered:
    """Nothing: neither of its settings has a meaning here (MG1103)."""
    _, said = check(IngressClassParameters, document)
    return Lowered(diagnostics=tuple(said))


INGRESS_CLASS_PARAMETERS = KindParser(
    group="configuration.konghq.com",
    kind="IngressClassParameters",
    versions=frozenset({"v1alpha1"}),
    namespaced=True,
    lower=lower_ingress_class_parameters,
    plural="ingressclassparameterses",
    short_names=("icp",),
)
