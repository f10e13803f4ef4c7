"""What of a request's path and host the service sees."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.route import PathKind, RequestMatch, Rewrite
from meshgate.policies import RouteParts
from meshgate.translate.match import quote_regex


def rewrite(target: pb.RouteAction, wanted: Rewrite, match: RequestMatch) -> None:
    """Path and host as the rule says."""
    if wanted.path_regex:
        target.regex_rewrite.pattern.regex = wanted.path_regex
        target.regex_rewrite.substitution = wanted.substitution
    elif wanted.prefix is not None:
        _replace_prefix(target, wanted.prefix, match)
    if wanted.authority:
        target.host_rewrite_literal = wanted.authority


def override(target: pb.RouteAction, parts: RouteParts) -> None:
    """Path and host that a plugin sets, in place of what the rule's rewrite says."""
    if parts.path:
        target.prefix_rewrite = ""
        target.regex_rewrite.pattern.regex = "^.*$"
        target.regex_rewrite.substitution = parts.path.replace("\\", "\\\\")
    elif parts.own_path:
        target.prefix_rewrite = ""
        target.ClearField("regex_rewrite")
    if parts.host:
        target.host_rewrite_literal = parts.host


def _replace_prefix(target: pb.RouteAction, prefix: str, match: RequestMatch) -> None:
    """Replaces what matched by `prefix`, without leaving a double or a missing slash.

    Envoy's plain prefix rewrite makes `//x` of `/api/x` with prefix `/`, so where the
    replacement ends in a slash, the slash behind the match goes too.
    """
    path = match.paths[0] if match.paths else None
    # For these Envoy's own rewrite replaces the whole path, which is what is wanted.
    whole = (PathKind.EXACT, PathKind.REGEX)
    if path is None or path.value in ("", "/") or path.ignore_case or path.kind in whole:
        target.prefix_rewrite = prefix
        return
    head = quote_regex(path.value.rstrip("/"))
    if prefix.endswith("/"):
        target.regex_rewrite.pattern.regex = f"^{head}/*"
    else:
        target.regex_rewrite.pattern.regex = f"^{head}"
    target.regex_rewrite.substitution = prefix.replace("\\", "\\\\")
