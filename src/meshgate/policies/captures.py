"""Kong's `uri_captures`: what the groups of a route's regular expression took of the path.

Lua has no such expressions, so Envoy's `header_to_metadata` puts each group into the
request's metadata, for programs further down to read.
"""

from __future__ import annotations

import re

from envoy.extensions.filters.http.header_to_metadata.v3 import header_to_metadata_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.change import Alternatives, Lookup, RequestScript, ScriptedChanges
from meshgate.model.policy import Opa, Policy, RequestTransformer
from meshgate.model.route import PathKind, Rule
from meshgate.policies.packing import http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.uri_captures"
NAMESPACE = "meshgate.captures"
"""Where programs find them: `1`, `2`, ... and the names of groups that have one."""

_UNNAMED_P = re.compile(r"\(\?<([A-Za-z_])")


def listener_filters(policies: tuple[Policy, ...]) -> tuple[hcm.HttpFilter, ...]:
    """The filter, where any route asks for groups."""
    if not any(map(_wanted, policies)):
        return ()
    nothing = pb.Config()
    rule = nothing.request_rules.add(header="x-meshgate-captures")
    rule.on_header_present.metadata_namespace, rule.on_header_present.key = NAMESPACE, "0"
    return (http_filter(FILTER, nothing, disabled=True),)


def route_parts(rule: Rule) -> RouteParts:
    """The groups of the rule's first path that has any."""
    # Nobody knows the consumer yet, so what one of them needs is there for all.
    if not any(map(_wanted, rule.every_policy)):
        return RouteParts()
    patterns = (p.value for m in rule.matches for p in m.paths if p.kind is PathKind.REGEX)
    for pattern in patterns:
        names = _groups(pattern)
        if names:
            return RouteParts(filters={FILTER: pack(_config(pattern, names))})
    return RouteParts()


def _config(pattern: str, names: dict[str, int]) -> pb.Config:
    config = pb.Config()
    for name, index in names.items():
        rule = config.request_rules.add(header=":path")
        found = rule.on_header_present
        found.metadata_namespace, found.key = NAMESPACE, name
        found.regex_value_rewrite.pattern.regex = _whole(pattern)
        found.regex_value_rewrite.substitution = rf"\{index}"
    return config


def captured(pattern: str, name: str) -> tuple[str, str] | None:
    """(regex for a path with its query, what takes the place of all): a group alone; None: no such group."""
    index = _groups(pattern).get(name)
    return None if index is None else (_whole(pattern), rf"\{index}")


def _whole(pattern: str) -> str:
    return rf"^(?:{pattern})(?:\?(?s:.*))?$"


def _groups(pattern: str) -> dict[str, int]:
    """Number and, where it has one, name of each group -> its number; RE2 knows nine of them."""
    try:
        compiled = re.compile(_UNNAMED_P.sub(r"(?P<\1", pattern))
    except (re.error, OverflowError, RecursionError):
        return {}
    numbers = {str(n): n for n in range(1, min(compiled.groups, 9) + 1)}
    return numbers | {name: n for name, n in compiled.groupindex.items() if n <= 9}


def _wanted(policy: Policy) -> bool:
    match policy:
        case Opa():
            return policy.include_uri_captures
        case RequestTransformer(script=RequestScript() as script):
            return any(found.source == "uri_captures" for found in _lookups(script))
        case _:
            return False


def _lookups(script: RequestScript) -> list[Lookup]:
    changes: tuple[ScriptedChanges, ...] = (script.headers, script.query, script.body)
    values = [v for c in changes for pairs in (c.replace, c.add, c.append) for _, v in pairs]
    parts = [part for value in (script.uri, *values) for part in value]
    return [c for p in parts if isinstance(p, Alternatives) for c in p.choices if isinstance(c, Lookup)]
