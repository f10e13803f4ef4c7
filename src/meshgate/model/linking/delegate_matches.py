"""Whether a delegate's match lies within the one that it is reached by, and both as one.

After Istio 1.27, with two additions: the same regex on both sides agrees with itself, and
a header that must only be there takes every value. Internal to `link`.
"""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.route import MatchKind, NamedMatch, PathKind, PathMatch, RequestMatch, StringMatch


def joined(above: tuple[RequestMatch, ...], own: tuple[RequestMatch, ...]) -> tuple[RequestMatch, ...] | None:
    """What both ask for; None where one of `own` lies within none of `above`."""
    if not above or not own:
        return own or above
    found: list[RequestMatch] = []
    for match in own:
        with_each = [both for outer in above if (both := _both(outer, match)) is not None]
        if not with_each:
            return None
        found.extend(both for both in with_each if both not in found)
    return tuple(found)


def _both(outer: RequestMatch, own: RequestMatch) -> RequestMatch | None:
    if outer.port and own.port and outer.port != own.port:
        return None
    if outer.paths and own.paths and not _path_within(own.paths[0], outer.paths[0]):
        return None
    singles = (
        (outer.scheme, own.scheme),
        (outer.authority, own.authority),
        (next(iter(outer.methods), None), next(iter(own.methods), None)),
    )
    if not all(o is None or i is None or _within(i, o) for o, i in singles):
        return None
    headers = _named(outer.headers, own.headers)
    query = _named(outer.query, own.query)
    if headers is None or query is None:
        return None
    return replace(
        outer,
        paths=own.paths or outer.paths,
        headers=headers,
        query=query,
        methods=own.methods or outer.methods,
        scheme=own.scheme or outer.scheme,
        authority=own.authority or outer.authority,
        port=own.port or outer.port,
        name="-".join(filter(None, (outer.name, own.name))),
        stat_prefix=own.stat_prefix or outer.stat_prefix,
    )


def _named(outer: tuple[NamedMatch, ...], own: tuple[NamedMatch, ...]) -> tuple[NamedMatch, ...] | None:
    """Both lists as one; None where a name's match lies outside of the outer one.

    What must not be there only ever narrows, so both lists' stay.
    """
    wanted = {n.name: n.match for n in own if not n.invert}
    for one in outer:
        if not one.invert and one.name in wanted and not _within(wanted[one.name], one.match):
            return None
    kept = tuple(one for one in outer if one.invert or one.name not in wanted)
    return tuple(dict.fromkeys((*kept, *own)))


def _path_within(inner: PathMatch, outer: PathMatch) -> bool:
    if inner.ignore_case != outer.ignore_case:
        return False
    if outer.kind is PathKind.REGEX or inner.kind is PathKind.REGEX:
        return inner == outer
    one, other = inner.value, outer.value
    if outer.ignore_case:
        one, other = one.lower(), other.lower()
    if outer.kind is PathKind.EXACT:
        return inner.kind is PathKind.EXACT and one == other
    return one.startswith(other)


def _within(inner: StringMatch, outer: StringMatch) -> bool:
    if outer.kind is MatchKind.PRESENT or inner == outer:
        return True
    if MatchKind.REGEX in (inner.kind, outer.kind) or inner.kind is MatchKind.PRESENT:
        return False
    return outer.kind is MatchKind.PREFIX and inner.value.startswith(outer.value)
