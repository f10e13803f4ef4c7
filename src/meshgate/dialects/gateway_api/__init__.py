"""The Gateway API's kinds, one file each; fields follow its release 1.5, both channels.

Each file checks one object and lowers it to `model.gateway_api`; none looks at other
objects. What is wrong with an object alone is a diagnostic, as an API server would refuse
it; what is wrong with its references is found by `link` and stands in its status.
"""

from __future__ import annotations

from meshgate.dialects.gateway_api.backend_tls_policy import BACKEND_TLS_POLICY
from meshgate.dialects.gateway_api.backend_traffic_policy import X_BACKEND_TRAFFIC_POLICY
from meshgate.dialects.gateway_api.gateway import GATEWAY
from meshgate.dialects.gateway_api.gateway_class import GATEWAY_CLASS
from meshgate.dialects.gateway_api.grpc_route import GRPC_ROUTE
from meshgate.dialects.gateway_api.http_route import HTTP_ROUTE
from meshgate.dialects.gateway_api.listener_set import LISTENER_SET, X_LISTENER_SET
from meshgate.dialects.gateway_api.reference_grant import REFERENCE_GRANT
from meshgate.dialects.gateway_api.tcp_route import TCP_ROUTE
from meshgate.dialects.gateway_api.tls_route import TLS_ROUTE
from meshgate.dialects.gateway_api.udp_route import UDP_ROUTE
from meshgate.dialects.kind import KindParser

KINDS: tuple[KindParser, ...] = (
    GATEWAY_CLASS,
    GATEWAY,
    LISTENER_SET,
    X_LISTENER_SET,
    HTTP_ROUTE,
    GRPC_ROUTE,
    TLS_ROUTE,
    TCP_ROUTE,
    UDP_ROUTE,
    REFERENCE_GRANT,
    BACKEND_TLS_POLICY,
    X_BACKEND_TRAFFIC_POLICY,
)
