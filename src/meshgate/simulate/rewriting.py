"""The request as it leaves: path and authority after Envoy's rewrites (1.40)."""

from __future__ import annotations

import re

from envoy.config.route.v3 import route_components_pb2 as pb
from envoy.type.matcher.v3 import regex_pb2

from meshgate.simulate.strings import re_from_re2


def path_sent(route: pb.Route, path: str) -> str:
    """The path towards the destination; `path` as matched, with its query string."""
    bare, mark, query = path.partition("?")
    action = route.route
    if action.HasField("regex_rewrite"):
        return _regex_rewritten(action.regex_rewrite, path)
    if action.prefix_rewrite:
        return f"{action.prefix_rewrite}{bare[_matched(route.match, bare) :]}{mark}{query}"
    return path


def _regex_rewritten(rewrite: regex_pb2.RegexMatchAndSubstitute, path: str) -> str:
    """The path with its matches replaced; the query string stays."""
    bare, mark, query = path.partition("?")
    pattern = re.compile(re_from_re2(rewrite.pattern.regex), re.ASCII)
    return pattern.sub(lambda m: _expand(rewrite.substitution, m), bare) + mark + query


def _matched(match: pb.RouteMatch, path: str) -> int:
    """How many characters the match took; exact paths and regexes take the whole path."""
    match match.WhichOneof("path_specifier"):
        case "prefix":
            return len(match.prefix)
        case "path_separated_prefix":
            return len(match.path_separated_prefix)
        case _:
            return len(path)


def _expand(substitution: str, match: re.Match[str]) -> str:
    """RE2's rewrite string: `\\1` is a group, `\\\\` a backslash."""
    return re.sub(
        r"\\(\d|\\)",
        lambda part: "\\" if part.group(1) == "\\" else match.group(int(part.group(1))) or "",
        substitution,
    )


def authority_sent(route: pb.Route, authority: str) -> str:
    """The `Host` towards the destination."""
    return route.route.host_rewrite_literal or authority


def redirect_location(route: pb.Route, scheme: str, authority: str, path: str) -> str:
    """The `Location` that the client gets."""
    redirect = route.redirect
    new_scheme = redirect.scheme_redirect or ("https" if redirect.https_redirect else scheme)
    host, _, port = authority.partition(":")
    if redirect.port_redirect:
        port = str(redirect.port_redirect)
    elif (scheme, port) in (("http", "80"), ("https", "443")):
        port = ""
    host = redirect.host_redirect or host
    if redirect.host_redirect and not redirect.port_redirect:
        port = ""
    new_path = redirect.path_redirect or path
    if redirect.prefix_rewrite:
        bare = path.partition("?")[0]
        new_path = redirect.prefix_rewrite + path[_matched(route.match, bare) :]
    if redirect.HasField("regex_rewrite"):
        new_path = _regex_rewritten(redirect.regex_rewrite, path)
    if redirect.path_redirect and "?" not in new_path:
        # Envoy keeps the query string unless the rule brings one of its own.
        new_path += path[len(path.partition("?")[0]) :]
    return f"{new_scheme}://{host}{':' + port if port else ''}{new_path}"
