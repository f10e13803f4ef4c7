"""Istio's kinds, one file each: VirtualService, DestinationRule, Gateway, ServiceEntry, security's three.

Fields and behaviour follow Istio 1.27. Each file checks one object and lowers it to
`model.declared`; none looks at other objects, and hosts stay as written (`link` completes
them). What Istio knows and this does not is named: a warning where it has no effect, an
error where it guards something.
"""

from __future__ import annotations

from meshgate.dialects.istio.authorization_policy import AUTHORIZATION_POLICY
from meshgate.dialects.istio.destination_rule import DESTINATION_RULE
from meshgate.dialects.istio.envoy_filter import ENVOY_FILTER
from meshgate.dialects.istio.gateway import GATEWAY
from meshgate.dialects.istio.not_supported import NOT_SUPPORTED
from meshgate.dialects.istio.peer_authentication import PEER_AUTHENTICATION
from meshgate.dialects.istio.proxy_config import PROXY_CONFIG
from meshgate.dialects.istio.request_authentication import REQUEST_AUTHENTICATION
from meshgate.dialects.istio.service_entry import SERVICE_ENTRY
from meshgate.dialects.istio.sidecar import SIDECAR
from meshgate.dialects.istio.telemetry import TELEMETRY
from meshgate.dialects.istio.virtual_service import VIRTUAL_SERVICE
from meshgate.dialects.istio.workload_entry import WORKLOAD_ENTRY
from meshgate.dialects.istio.workload_group import WORKLOAD_GROUP
from meshgate.dialects.kind import KindParser

KINDS: tuple[KindParser, ...] = (
    VIRTUAL_SERVICE,
    DESTINATION_RULE,
    GATEWAY,
    SERVICE_ENTRY,
    WORKLOAD_ENTRY,
    WORKLOAD_GROUP,
    SIDECAR,
    PROXY_CONFIG,
    ENVOY_FILTER,
    PEER_AUTHENTICATION,
    AUTHORIZATION_POLICY,
    REQUEST_AUTHENTICATION,
    TELEMETRY,
    *NOT_SUPPORTED,
)
