"""Answers that send the client elsewhere."""

from __future__ import annotations

from envoy.config.route.v3 import route_components_pb2 as pb

from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
from meshgate.model.proxy import Proxy
from meshgate.model.route import Redirect


def redirect(route: pb.Route, action: Redirect, proxy: Proxy, port: int) -> None:
    """Makes the route redirect; `port` is what the request asked for."""
    codes = {
        301: pb.RedirectAction.MOVED_PERMANENTLY,
        302: pb.RedirectAction.FOUND,
        303: pb.RedirectAction.SEE_OTHER,
        307: pb.RedirectAction.TEMPORARY_REDIRECT,
        308: pb.RedirectAction.PERMANENT_REDIRECT,
    }
    route.redirect.response_code = codes.get(action.code, pb.RedirectAction.MOVED_PERMANENTLY)
    if action.authority:
        route.redirect.host_redirect = action.authority
    if action.path:
        route.redirect.path_redirect = action.path
    elif action.prefix:
        route.redirect.prefix_rewrite = action.prefix
    elif action.path_regex:
        route.redirect.regex_rewrite.pattern.regex = action.path_regex
        route.redirect.regex_rewrite.substitution = action.substitution
    if action.scheme:
        route.redirect.scheme_redirect = action.scheme
    target = _redirect_port(action, proxy, port)
    # A scheme's own port is not written out where that does not leave the request's in its place.
    if target and not (action.authority and (target, action.scheme) in ((80, "http"), (443, "https"))):
        route.redirect.port_redirect = target


def _redirect_port(action: Redirect, proxy: Proxy, asked: int) -> int:
    """0: the request's own while the host stays, else none."""
    if action.derive_port or action.server_port:
        served = {HTTP_PORT: proxy.http_port, HTTPS_PORT: proxy.https_port}
        port = asked if action.derive_port else served.get(action.server_port, action.server_port)
        return 0 if not action.scheme and port in (80, 443) else port
    return proxy.https_port if action.to_https_port and not action.port else action.port
