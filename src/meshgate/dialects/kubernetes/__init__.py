"""Kubernetes' own kinds: the core group, apps and networking.k8s.io, one file per kind.

Each file checks one object and lowers it to `model.declared`; none looks at other objects.
"""

from __future__ import annotations

from meshgate.dialects.kind import KindParser
from meshgate.dialects.kubernetes import (
    config_map,
    deployment,
    ingress,
    ingress_class,
    namespace,
    secret,
    service,
    service_account,
)

KINDS: tuple[KindParser, ...] = (
    namespace.KIND,
    service.KIND,
    service_account.KIND,
    secret.KIND,
    config_map.KIND,
    deployment.KIND,
    ingress.KIND,
    ingress_class.KIND,
)
