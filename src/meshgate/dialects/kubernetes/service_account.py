"""v1 ServiceAccount: the identity of workloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import check
from meshgate.model.declared import Declared, ServiceAccount
from meshgate.model.names import Name


class ServiceAccountSpec(ObjectSpec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "secrets": "no token is mounted",
        "imagePullSecrets": "no image is pulled",
        "automountServiceAccountToken": "no token is mounted",
    }


def lower(document: Document) -> Lowered:
    """A service account by its name."""
    _, diagnostics = check(ServiceAccountSpec, document)
    name = Name(document.namespace, document.ref.name)
    account = ServiceAccount(name=name, origin=document.locate())
    return Lowered(declared=Declared(service_accounts=(account,)), diagnostics=tuple(diagnostics))


KIND = KindParser(
    group="",
    kind="ServiceAccount",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="serviceaccounts",
    short_names=("sa",),
)
