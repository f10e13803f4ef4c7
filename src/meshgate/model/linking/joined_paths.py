"""How Kong joins the path of a Service with that of a request: `path_handling` v0 and v1. Internal to `link`.

As Kong 3.9's router does it, and with the paths that Kong's ingress controller 3.5 makes: a path of type
Prefix is there as `/p` alone and as `/p/`, so of `/p/x` the rest is `x`. The result is a regex and a
substitution in Envoy's form: every match is replaced, a group that takes no part is empty.
"""

from __future__ import annotations

import re

from meshgate.model.linking.paths import WHOLE, takes_all
from meshgate.model.route import PathKind, PathMatch
from meshgate.model.service import EdgeOptions

_MOST_GROUPS = 3
"""A regex stands in the pattern twice, with three groups of ours, and Envoy has nine."""
_QUANTIFIERS = "?*+{"


def joined_paths(path: PathMatch, edge: EdgeOptions, *, strip: bool, joins: bool) -> tuple[str, str]:
    """(pattern, substitution) of a route's requests for a Service with a path.

    `strip`: what the route matched is taken off. `joins`: v1, with no slash of its own between.
    """
    base = edge.path.replace("\\", "\\\\")
    whole = base + ("/" if edge.path_slash else "")
    everything = takes_all(path) and path.kind is not PathKind.REGEX
    if not strip or everything:
        return ("^/", whole) if edge.path_slash or joins else ("^(?:/$)?", base)
    return _v1(path, whole, edge) if joins else _v0(path, base)


def _v1(path: PathMatch, whole: str, edge: EdgeOptions) -> tuple[str, str]:
    """The rest as it is behind the Service's path; of two slashes one."""
    more = "/?" if edge.path_slash else ""
    match path.kind:
        case PathKind.EXACT:
            return WHOLE, whole
        case PathKind.SEGMENTS:
            return f"^{re.escape(path.value.rstrip('/'))}/?", whole
        case PathKind.PREFIX:
            return f"^{re.escape(path.value)}{more}", whole
        case PathKind.REGEX:
            return f"^(?:{_own(path)}){more}", whole


def _v0(path: PathMatch, base: str) -> tuple[str, str]:
    """One slash between, and one at the end only where the request has it."""
    value = path.value
    match path.kind:
        case PathKind.EXACT:
            return WHOLE, base + ("/" if value.endswith("/") else "")
        case PathKind.SEGMENTS:
            return f"^{re.escape(value.rstrip('/'))}", base
        case PathKind.PREFIX if value.endswith("/"):
            return f"^{re.escape(value)}/?", f"{base}/"
        case PathKind.PREFIX:
            return _either(re.escape(value), 0, base)
        case PathKind.REGEX:
            pattern = _own(path)
            groups = _groups(pattern)
            if groups is None or groups > _MOST_GROUPS:
                return f"^(?:{pattern})/?", f"{base}/"
            return _either(pattern, groups, base)


def _either(pattern: str, groups: int, base: str) -> tuple[str, str]:
    """Nothing or `/...` is left; or else, the slash between is the first one of the request."""
    tail, slash, rest = groups + 1, groups + 2, 2 * groups + 3
    return f"^{pattern}(/.*)?$|^(/){pattern.removeprefix('/')}(.+)$", rf"{base}\{tail}\{slash}\{rest}"


def _own(path: PathMatch) -> str:
    """The regex as it was written, without what makes it hold for the whole path."""
    written = path.value.removesuffix(".*")
    return written[3:-1] if written.startswith("(?:") and written.endswith(")") else written


def _groups(pattern: str) -> int | None:
    """How many groups it has; None where it cannot stand in `_either`: it must begin with a plain slash."""
    if not pattern.startswith("/") or pattern[1:2] in tuple(_QUANTIFIERS) or pattern.endswith(("/", "$")):
        return None
    if "|" in pattern or "(?P<" in pattern or "(?<" in pattern:
        return None
    try:
        return re.compile(pattern).groups
    except (re.error, OverflowError, RecursionError):
        return None
