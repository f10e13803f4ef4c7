"""Envoy's choice of virtual host and route, on Envoy's own resources (1.40).

`path_match_policy` and the like never occur in what we translate. A route with a runtime fraction
takes a part of the requests; `route` gives the first, `shares` all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.simulate.claims import metadata_matches
from meshgate.simulate.paths import without_query
from meshgate.simulate.strings import compiled, parameters, string_matches


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


def shares(routes: Sequence[pb.Route], headers: Mapping[str, str], first: int) -> list[tuple[int, float]]:
    """(index, percent) of the routes from the first on that share such requests among them."""
    found: list[tuple[int, float]] = []
    so_far = 0.0
    for number in range(first, len(routes)):
        match = routes[number].match
        if not matches(match, headers):
            continue
        whole = not match.HasField("runtime_fraction")
        below = 100.0 if whole else match.runtime_fraction.default_value.numerator / 10_000
        if below > so_far:
            found.append((number, below - so_far))
        so_far = max(so_far, below)
        if whole:
            break
    return found


def matches(match: pb.RouteMatch, headers: Mapping[str, str]) -> bool:
    """Whether all parts of a route's match hold."""
    path = headers[":path"]
    return (
        _path(match, without_query(path))
        and all(header_matches(h, headers) for h in match.headers)
        and all(_query(q, path) for q in match.query_parameters)
        and all(metadata_matches(m, headers) for m in match.dynamic_metadata)
    )


def _path(match: pb.RouteMatch, path: str) -> bool:
    kind = match.WhichOneof("path_specifier")
    if kind == "safe_regex":
        return compiled(match.safe_regex.regex).fullmatch(path) is not None
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
