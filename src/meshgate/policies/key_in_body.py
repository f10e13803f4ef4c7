"""Kong's `key_in_body`: a program of ours finds the key and hands it on to the filters behind.

It looks into a body only where header and query have no key, and holds back no more of it than
`KEY_BODY_LIMIT_BYTES`: whoever sends it is not known yet.
"""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import KeyAuth
from meshgate.policies import scripts
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.key_auth.body"
KEY_HEADER = "x-meshgate-body-key"
"""Carries the key; a client's own is removed by the program, ours before the service."""
KEY_BODY_LIMIT_BYTES = 1 << 20
"""Beyond: 413, where nothing else on the route holds back longer bodies."""


def listener_filters(policies: tuple[KeyAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The program, where any route looks for keys in bodies."""
    if not any(p.key_in_body for p in policies):
        return ()
    return (scripts.script_filter(FILTER, "json", "form", "multipart", "body", "guard", "key_in_body"),)


def route_parts(policy: KeyAuth) -> RouteParts:
    """What the key is called on this route."""
    if not policy.key_in_body:
        return RouteParts()
    data = {
        "names": list(policy.key_names),
        "in_header": policy.key_in_header,
        "in_query": policy.key_in_query,
        "hide": policy.hide_credentials,
        "optional": bool(policy.anonymous),
        "challenge": f'Key realm="{policy.realm}"' if policy.realm else "Key",
    }
    return RouteParts(
        filters={FILTER: scripts.script_data(data)},
        remove_request_headers=(KEY_HEADER,),
        body_limit=KEY_BODY_LIMIT_BYTES,
    )


def replies(policies: tuple[KeyAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """What the program answers."""
    return scripts.replies() if any(p.key_in_body for p in policies) else ()
