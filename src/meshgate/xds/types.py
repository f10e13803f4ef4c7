"""The type URLs of xDS, and the order in which one change is told."""

from __future__ import annotations

import enum
from typing import Final

CLUSTER: Final = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
ENDPOINT: Final = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment"
SECRET: Final = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
LISTENER: Final = "type.googleapis.com/envoy.config.listener.v3.Listener"
ROUTE: Final = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration"
VIRTUAL_HOST: Final = "type.googleapis.com/envoy.config.route.v3.VirtualHost"

ORDER: Final = (CLUSTER, ENDPOINT, SECRET, LISTENER, ROUTE, VIRTUAL_HOST)
"""Make before break: where traffic can go before the rules that send it there. Secrets stand
with the endpoints because a new cluster warms until it has both."""

ROUTING: Final = frozenset({LISTENER, ROUTE, VIRTUAL_HOST})
"""Types whose resources name clusters."""

WARMING: Final = frozenset({ENDPOINT, SECRET})
"""Types that a cluster waits for before Envoy uses it."""

SHORT: Final = {
    CLUSTER: "CDS",
    ENDPOINT: "EDS",
    SECRET: "SDS",
    LISTENER: "LDS",
    ROUTE: "RDS",
    VIRTUAL_HOST: "VHDS",
}
"""What people call the service of a type; for status and logs."""

Reference = tuple[str, str]
"""(type URL, resource name) of another resource."""


class All(enum.Enum):
    """The set of all names."""

    ALL = "all"


ALL: Final = All.ALL

Names = frozenset[str] | All
"""Which resources of a type changed."""


def short(type_url: str) -> str:
    """`CDS` for clusters and so on; the type's own name for what has no short one."""
    return SHORT.get(type_url, type_url.rpartition(".")[2][:80])
