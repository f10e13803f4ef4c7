"""Kong's `mtls-auth`: hands the certificates that a client has shown to the bridge, which decides.

The bridge's protocol has the client's own certificate only (Envoy 1.40), so a line of Lua notes the whole
chain where the bridge is told of it, and no header carries it.
"""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.client_certificate import MtlsAuth
from meshgate.policies.parts import RouteParts
from meshgate.policies.scripts import script_data, script_filter

FILTER = "meshgate.client_certificate"
NAMESPACE, CHAIN = "meshgate.client_certificate", "chain"
"""Where the program notes the chain: URL-encoded PEM."""
DN_HEADER, SAN_HEADER = "x-client-cert-dn", "x-client-cert-san"
"""Tell the service of a certificate that is good and no consumer's."""


def listener_filters(policies: tuple[MtlsAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route has the plugin."""
    return (script_filter(FILTER, "client_certificate"),) if policies else ()


def route_parts(policy: MtlsAuth) -> RouteParts:
    """Switches it on."""
    return RouteParts(filters={FILTER: script_data({})})


def removed_headers(policies: tuple[MtlsAuth, ...]) -> tuple[str, ...]:
    """Headers that no client may send: what they say is for the bridge to say."""
    return (DN_HEADER, SAN_HEADER) if policies else ()
