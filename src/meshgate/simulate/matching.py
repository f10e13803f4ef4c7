"""Envoy's choice of virtual host and route, on Envoy's own resources (1.40).

`path_match_policy`, runtime fractions and the like never occur in what we translate.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.type.matcher.v3 import string_pb2

from meshgate.simulate.paths import without_query


def virtual_host(
    hosts: Iterable[pb.VirtualHost], authority: str, *, ignore_port: bool
) -> pb.VirtualHost | None:
    """The host's virtual host: exact, then the longest `*suffix`, the longest `prefix*`, `*`."""
    asked = authority.lower()
    if ignore_port:
        asked = re.sub(r":\d+$", "", asked)
    best: tuple[int, int] | None = None
    found: pb.VirtualHost | None = None
    for host in hosts:
        for domain in host.domains:
            rank = _rank(domain.lower(), asked)
            if rank is not None and (best is None or rank > best):
                best, found = rank, host
    return found


def _rank(domain: str, asked: str) -> tuple[int, int] | None:
    """Greater is closer; None where the domain does not take the host."""
    if domain == "*":
        return 0, 0
    if domain.startswith("*"):
        # `*.foo.com` must not take `.foo.com`: a wildcard stands for something.
        fits = len(asked) >= len(domain) and asked.endswith(domain[1:])
        return (2, len(domain)) if fits else None
    if domain.endswith("*"):
        fits = len(asked) >= len(domain) and asked.startswith(domain[:-1])
        return (1, len(domain)) if fits else None
    return (3, 0) if domain == asked else None


def route(routes: Sequence[pb.Route], headers: Mapping[str, str]) -> int | None:
    """Index of the first route that takes the request; `headers` hold the pseudo headers."""
    return next((i for i, one in enumerate(routes) if matches(one.match, headers)), None)


def matches(match: pb.RouteMatch, headers: Mapping[str, str]) -> bool:
    """Whether all parts of a route's match hold."""
    path = headers[":path"]
    return (
        _path(match, without_query(path))
        and all(header_matches(h, headers) for h in match.headers)
        and all(_query(q, path) for q in match.query_parameters)
    )


def _path(match: pb.RouteMatch, path: str) -> bool:
    kind = match.WhichOneof("path_specifier")
    if kind == "safe_regex":
        return _regex(match.safe_regex.regex).fullmatch(path) is not None
    wanted: str = getattr(match, kind)
    if match.HasField("case_sensitive") and not match.case_sensitive.value:
        wanted, path = wanted.lower(), path.lower()
    match kind:
        case "path":
            return path == wanted
        case "prefix":
            return path.startswith(wanted)
        case "path_separated_prefix":
            return path == wanted or path.startswith(f"{wanted}/")
        case _:
            raise ValueError(f"a route match that we never make: {kind}")


def header_matches(matcher: pb.HeaderMatcher, headers: Mapping[str, str]) -> bool:
    """Whether a header condition holds; several values of one name are joined by commas before."""
    value = headers.get(matcher.name)
    if matcher.WhichOneof("header_match_specifier") == "present_match":
        return (value is not None) is (matcher.present_match is not matcher.invert_match)
    if value is None:
        if not matcher.treat_missing_header_as_empty:
            return False
        value = ""
    return string_matches(matcher.string_match, value) is not matcher.invert_match


def _query(matcher: pb.QueryParameterMatcher, path: str) -> bool:
    value = parameters(path).get(matcher.name)
    if matcher.WhichOneof("query_parameter_match_specifier") == "present_match":
        return (value is not None) is matcher.present_match
    return value is not None and string_matches(matcher.string_match, value)


def parameters(path: str) -> dict[str, str]:
    """Query parameters as Envoy compares them: not decoded, the first of a name."""
    found: dict[str, str] = {}
    for part in path.partition("?")[2].split("&"):
        name, _, value = part.partition("=")
        if part:
            found.setdefault(name, value)
    return found


def string_matches(matcher: string_pb2.StringMatcher, value: str) -> bool:
    """Whether a text is what the matcher wants; regexes match it whole."""
    kind = matcher.WhichOneof("match_pattern")
    if kind == "safe_regex":
        return _regex(matcher.safe_regex.regex).fullmatch(value) is not None
    wanted: str = getattr(matcher, kind)
    if matcher.ignore_case:
        wanted, value = wanted.lower(), value.lower()
    match kind:
        case "exact":
            return value == wanted
        case "prefix":
            return value.startswith(wanted)
        case "contains":
            return wanted in value
        case _:
            raise ValueError(f"a string match that we never make: {kind}")


@lru_cache(maxsize=1024)
def _regex(pattern: str) -> re.Pattern[str]:
    """RE2's expression for `re`; the dialects let through only what RE2 takes."""
    return re.compile(re_from_re2(pattern), re.ASCII)


def re_from_re2(pattern: str) -> str:
    """RE2 syntax that `re` spells otherwise: `\\z`, `\\pN` classes are not translated."""
    return pattern.replace(r"\z", r"\Z").replace(r"\C", r"[\s\S]")
