"""Parts of a mesh rule's match that are known at the gateway before any request comes.

The gateway is a client of the service with a namespace, labels and a port; what a match
says about these holds always or never. Internal to `link`.
"""

from __future__ import annotations

import re
from typing import assert_never

from meshgate.model.linking.paths import try_regex
from meshgate.model.linking.workloads import selects
from meshgate.model.names import GATEWAY_LABELS, GATEWAY_NAMESPACE, short_hosts
from meshgate.model.route import MatchKind, RequestMatch, StringMatch
from meshgate.model.service import Service


def gateway_meets(match: RequestMatch, service: Service, port: int) -> bool:
    """Whether the gateway, as a client of the service, meets what is known before any request."""
    names = short_hosts(service.name, service.name.namespace)
    authorities = [*names, *(f"{n}:{port}" for n in names)]
    return (
        match.port in (0, port)
        and match.source_namespace in ("", GATEWAY_NAMESPACE)
        and selects(match.source_labels, GATEWAY_LABELS)
        and (match.authority is None or any(_holds(match.authority, a) for a in authorities))
        and (match.scheme is None or _holds(match.scheme, "http"))
    )


def undecided(match: RequestMatch) -> bool:
    """Whether its authority is a regex too involved to be tried here; it then counts as unmet."""
    authority = match.authority
    return (
        authority is not None
        and authority.kind is MatchKind.REGEX
        and try_regex(authority.value, "a.b", ignore_case=authority.ignore_case) is None
    )


def _holds(match: StringMatch, text: str) -> bool:
    wanted, given = match.value, text
    if match.ignore_case:
        wanted, given = wanted.lower(), given.lower()
    match match.kind:
        case MatchKind.EXACT:
            return given == wanted
        case MatchKind.PREFIX:
            return given.startswith(wanted)
        case MatchKind.PRESENT:
            return True
        case MatchKind.REGEX:
            return bool(try_regex(match.value, text, ignore_case=match.ignore_case))
        case _:
            assert_never(match.kind)


def common_methods(edge: tuple[str, ...], mesh: tuple[StringMatch, ...]) -> tuple[StringMatch, ...] | None:
    """What both allow; empty for all, None for nothing."""
    if not edge:
        return mesh
    allowed = [m for m in edge if not mesh or any(_holds(wanted, m) for wanted in mesh)]
    return tuple(StringMatch(kind=MatchKind.EXACT, value=m) for m in allowed) or None


def any_of(values: tuple[StringMatch, ...]) -> StringMatch:
    """One match for several allowed values of a header."""
    if len(values) == 1:
        return values[0]
    return StringMatch(kind=MatchKind.REGEX, value="|".join(_as_regex(v) for v in values))


def _as_regex(match: StringMatch) -> str:
    flag = "?i:" if match.ignore_case else "?:"
    match match.kind:
        case MatchKind.EXACT:
            return f"({flag}{re.escape(match.value)})"
        case MatchKind.PREFIX:
            return f"({flag}{re.escape(match.value)}.*)"
        case MatchKind.REGEX:
            return f"({flag}{match.value})"
        case MatchKind.PRESENT:
            return ".*"
        case _:
            assert_never(match.kind)
