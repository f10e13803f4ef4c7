"""ReferenceGrants: who may refer to objects of other namespaces. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable

from meshgate.model.gateway_api import GATEWAY_GROUP, ParentRef, Reference, ReferenceGrantObject


def permits(
    grants: Iterable[ReferenceGrantObject], kind: str, namespace: str, target: Reference | ParentRef
) -> bool:
    """Whether an object of that kind (of the Gateway API) in a namespace may refer to `target`."""
    if namespace == target.name.namespace:
        return True
    wanted = (GATEWAY_GROUP, kind, namespace)
    targets = {(target.group, target.kind, ""), (target.group, target.kind, target.name.name)}
    return any(
        grant.namespace == target.name.namespace
        and wanted in grant.sources
        and not targets.isdisjoint(grant.targets)
        for grant in grants
    )
