"""Kubernetes' own kinds: the core group, apps, discovery.k8s.io and networking.k8s.io, one file per kind.

Each file checks one object and lowers it to `model.declared`; none looks at other objects.
"""

from __future__ import annotations

from meshgate.dialects.kind import KindParser
from meshgate.dialects.kubernetes import (
    config_map,
    daemon_set,
    deployment,
    endpoints,
    ingress,
    ingress_class,
    namespace,
    secret,
    service,
    service_account,
    stateful_set,
)

KINDS: tuple[KindParser, ...] = (
    namespace.KIND,
    service.KIND,
    service_account.KIND,
    secret.KIND,
    config_map.KIND,
    deployment.KIND,
    stateful_set.KIND,
    daemon_set.KIND,
    endpoints.ENDPOINTS,
    endpoints.ENDPOINT_SLICE,
    ingress.KIND,
    ingress_class.KIND,
)
