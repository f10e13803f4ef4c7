"""Kong's `key-auth` with `hide_credentials` where a key may be in the query: a program takes it out.

Envoy's own way to take a parameter out (`api_key_auth`, `header_mutation`; 1.40) unescapes the whole
query and writes it back as it is: `a=%26b=2` would reach the service as two parameters.
"""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import KeyAuth
from meshgate.policies import scripts
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.key_auth.hidden"


def is_needed(policy: KeyAuth) -> bool:
    """Whether the policy's keys are the program's to hide, those in headers too."""
    return policy.hide_credentials and policy.key_in_query


def listener_filters(policies: tuple[KeyAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The program, where any route hides what may be in the query."""
    if not any(map(is_needed, policies)):
        return ()
    return (scripts.script_filter(FILTER, "json", "form", "guard", "key_hidden"),)


def route_parts(policy: KeyAuth) -> RouteParts:
    """What the key is called on this route."""
    if not is_needed(policy):
        return RouteParts()
    data = {"names": list(policy.key_names), "in_header": policy.key_in_header}
    return RouteParts(filters={FILTER: scripts.script_data(data)})


def replies(policies: tuple[KeyAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """What the program answers."""
    return scripts.replies() if any(map(is_needed, policies)) else ()
