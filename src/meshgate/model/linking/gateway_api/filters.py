"""Filters of Gateway API rules as parts of the model's rules. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import assert_never

from meshgate.model.gateway_api import Reference
from meshgate.model.gateway_api_routes import (
    Backend,
    CorsFilter,
    ExtensionFilter,
    ExternalAuthFilter,
    Filter,
    HeaderFilter,
    MirrorFilter,
    PathChange,
    RedirectFilter,
    RewriteFilter,
    UnsupportedFilter,
)
from meshgate.model.linking.gateway_api.backends import Resolution
from meshgate.model.linking.gateway_api.refs import Problem
from meshgate.model.linking.paths import WHOLE
from meshgate.model.policy import ExternalAuth
from meshgate.model.route import (
    Cors,
    HeaderChanges,
    Mirror,
    PathKind,
    Redirect,
    RequestMatch,
    Rewrite,
)

KONG_GROUP, KONG_PLUGIN = "configuration.konghq.com", "KongPlugin"
_WELL_KNOWN = {"http": 80, "https": 443}


@dataclass(slots=True)
class Filtered:
    """What the filters of a rule, or of one of its backends, come to."""

    request: HeaderChanges = field(default_factory=HeaderChanges)
    response: HeaderChanges = field(default_factory=HeaderChanges)
    redirect: RedirectFilter | None = None
    rewrite: RewriteFilter | None = None
    mirrors: list[Mirror] = field(default_factory=list)
    cors: Cors | None = None
    plugins: list[str] = field(default_factory=list)
    authorizers: list[ExternalAuth] = field(default_factory=list)
    """Who must all let the request in."""
    problem: str = ""
    """Why the requests must be refused; empty where all is well."""

    @property
    def is_plain(self) -> bool:
        """Whether it changes nothing but headers."""
        return not (
            self.redirect
            or self.rewrite
            or self.mirrors
            or self.cors
            or self.plugins
            or self.authorizers
            or self.problem
        )


def apply_filters(filters: Iterable[Filter], resolution: Resolution) -> Filtered:
    """All filters of a list; one that cannot be had refuses, for it may guard something."""
    found = Filtered()
    for one in filters:
        match one:
            case HeaderFilter():
                found.request = joined(found.request, one.request)
                found.response = joined(found.response, one.response)
            case RedirectFilter():
                found.redirect = one
            case RewriteFilter():
                found.rewrite = one
            case MirrorFilter():
                backend = resolution.backend(Backend(target=one.backend))
                if not backend.problem:
                    found.mirrors.append(Mirror(destination=backend.destination, percent=one.percent))
            case CorsFilter():
                found.cors = one.cors
            case ExtensionFilter():
                if _is_plugin(one.target):
                    found.plugins.append(one.target.name.name)
                else:
                    kind = f"{one.target.group}/{one.target.kind}"
                    found.problem = f"nothing is known of {kind} by ExtensionRef"
                    resolution.problems.append(Problem("InvalidKind", found.problem))
            case ExternalAuthFilter():
                authorizer = _authorizer(one, resolution)
                if isinstance(authorizer, str):
                    found.problem = authorizer
                else:
                    found.authorizers.append(authorizer)
            case UnsupportedFilter():
                found.problem = f"the filter {one.type} is not supported"
            case _:
                assert_never(one)
    return found


def _authorizer(one: ExternalAuthFilter, resolution: Resolution) -> ExternalAuth | str:
    """Whom to ask, or why nobody can be."""
    backend = resolution.backend(Backend(target=one.backend))
    service, port = backend.service, backend.destination.port
    if backend.problem or service is None:
        return backend.problem
    spoken = service.port(port)
    if one.grpc and not (spoken and spoken.protocol.is_http2):
        message = (
            f"port {port} of Service {service.name} does not say that it speaks gRPC, as ExternalAuth "
            "asks it; set its appProtocol to grpc"
        )
        resolution.problems.append(Problem("UnsupportedProtocol", message))
        return message
    return ExternalAuth(
        host=service.host,
        port=port,
        grpc=one.grpc,
        path_prefix=one.path_prefix,
        request_headers=one.request_headers,
        response_headers=one.response_headers,
        max_body_bytes=one.max_body_bytes,
        origin=one.origin,
    )


def joined(one: HeaderChanges, other: HeaderChanges) -> HeaderChanges:
    """Both, in this order."""
    return HeaderChanges(set=one.set + other.set, add=one.add + other.add, remove=one.remove + other.remove)


def rewrite_of(wanted: RewriteFilter | None, match: RequestMatch) -> Rewrite:
    """The rewrite of a request that this match took."""
    if wanted is None:
        return Rewrite()
    pattern, substitution = _path_regex(wanted.path, match)
    rewrite = Rewrite(path_regex=pattern, substitution=substitution)
    if wanted.hostname:
        rewrite = replace(rewrite, authority=wanted.hostname, preserve_host=False)
    return rewrite


def redirect_of(wanted: RedirectFilter, match: RequestMatch, scheme: str, port: int) -> Redirect:
    """The redirect of a request that came to a listener of that scheme and port.

    A port that the scheme implies is left out. Without a port the scheme's own is meant, or
    without a scheme the listener's.
    """
    final = wanted.scheme or scheme
    target = wanted.port or (_WELL_KNOWN[final] if wanted.scheme else port)
    pattern, substitution = _path_regex(replace(wanted.path, full=None), match)
    return Redirect(
        code=wanted.status,
        path=wanted.path.full or "",
        path_regex=pattern,
        substitution=substitution,
        authority=wanted.hostname,
        scheme=wanted.scheme,
        port=0 if target == _WELL_KNOWN[final] else target,
    )


def _path_regex(change: PathChange, match: RequestMatch) -> tuple[str, str]:
    """What of the path is replaced by what; elements stay whole, no slash is doubled or lost."""
    if change.full is not None:
        return WHOLE, _literal(change.full)
    if change.prefix is None:
        return "", ""
    path = match.paths[0]
    head = path.value.rstrip("/") if path.kind is PathKind.SEGMENTS else ""
    new = change.prefix.rstrip("/")
    if new and not new.startswith("/"):
        new = f"/{new}"
    if new == head:
        return "", ""
    if not new:
        return f"^{quoted(head)}/*", "/"
    if not head:
        return "^/", _literal(f"{new}/")
    return f"^{quoted(head)}", _literal(new)


def quoted(text: str) -> str:
    """`text` as an RE2 expression that matches just it."""
    return "".join(f"\\{c}" if c in "\\.+*?()|[]{}^$" else c for c in text)


def _literal(text: str) -> str:
    return text.replace("\\", "\\\\")


def _is_plugin(target: Reference) -> bool:
    return (target.group, target.kind) == (KONG_GROUP, KONG_PLUGIN)
