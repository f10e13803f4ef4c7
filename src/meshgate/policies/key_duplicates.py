"""Kong's `key-auth` refuses a key that is there several times, with Envoy's `rbac` before `api_key_auth`.

Envoy 1.40 takes the first of several, and a service behind it may take the last. A header that is there
twice is seen as one with a comma in it, so one with a comma is refused too.
"""

from __future__ import annotations

import re

from envoy.config.rbac.v3 import rbac_pb2
from envoy.config.route.v3 import route_components_pb2 as route_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import KeyAuth
from meshgate.policies.denial import both, denial_filter, either, having, neither, present, refusals, strikes
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import challenge_reply

FILTER = "meshgate.key_auth.duplicates"
REASON = "duplicate-api-key"


def listener_filters(policies: tuple[KeyAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route must have a key."""
    return (denial_filter(FILTER),) if any(not p.anonymous for p in policies) else ()


def route_parts(policy: KeyAuth) -> RouteParts:
    """Name by name, as Kong looks for keys: the header, and the query where it has none."""
    if policy.anonymous:
        return RouteParts()
    found: list[rbac_pb2.Permission] = []
    earlier: list[rbac_pb2.Permission] = []
    for name in policy.key_names:
        header, query = having(present(name)), having(query_parameter(name, twice=False))
        if policy.key_in_header:
            found.append(both(*earlier, having(_joined(name))))
            earlier.append(neither(header))
        if policy.key_in_query:
            found.append(both(*earlier, having(query_parameter(name, twice=True))))
            earlier.append(neither(query))
    if not found:
        return RouteParts()
    return RouteParts(filters={FILTER: refusals({REASON: strikes(either(*found))})})


def replies(policies: tuple[KeyAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer."""
    if all(p.anonymous for p in policies):
        return ()
    return (challenge_reply(REASON, "Duplicate API key found", "Key"),)


def _joined(name: str) -> route_pb.HeaderMatcher:
    matcher = route_pb.HeaderMatcher(name=name)
    matcher.string_match.contains = ","
    return matcher


def query_parameter(name: str, *, twice: bool) -> route_pb.HeaderMatcher:
    """A path whose query has the parameter, once or twice; every character may be written as `%XX`."""
    written = "".join(f"(?:{re.escape(c)}|%(?i:{ord(c):02x}))" for c in name)
    one = f"{written}(?:=[^&]*)?"
    pattern = rf"[^?]*\?(?:[^&]*&)*{one}" + (rf"&(?:[^&]*&)*{one}" if twice else "") + r"(?:&.*)?"
    matcher = route_pb.HeaderMatcher(name=":path")
    matcher.string_match.safe_regex.regex = pattern
    return matcher
