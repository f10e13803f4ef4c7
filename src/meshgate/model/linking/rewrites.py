"""What Kong's annotations say about path and host of what goes to a service. Internal to `link`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from meshgate.model.declared import EdgeRules
from meshgate.model.linking.joined_paths import joined_paths
from meshgate.model.linking.paths import WHOLE, combine
from meshgate.model.route import PathKind, PathMatch, Rewrite
from meshgate.model.service import Service


def completed(
    rewrite: Rewrite,
    path: PathMatch,
    rules: EdgeRules,
    service: Service,
    lost: Callable[[str], None],
) -> Rewrite:
    """With what the annotations of route and Service say about path and host; `path` is the route's.

    `preserve-host: false` sends the service's own name, unless the rewrite sets one. `lost`
    hears of a Service's path that cannot be put before what is rewritten.
    """
    edge = service.edge
    if rules.rewrite:
        pattern = f"^{path.value}$" if path.kind is PathKind.REGEX else WHOLE
        rewrite = replace(rewrite, prefix=None, path_regex=pattern, substitution=rules.rewrite)
    elif edge.path:
        rewrite = _prepended(rewrite, path, rules, service, lost)
    if rules.preserve_host or rewrite.authority:
        return rewrite
    return replace(rewrite, authority=edge.host_header or service.host, preserve_host=False)


def _prepended(
    rewrite: Rewrite, path: PathMatch, rules: EdgeRules, service: Service, lost: Callable[[str], None]
) -> Rewrite:
    """The same with the Service's own path before all."""
    edge = service.edge
    plain = combine(path, None, Rewrite(), rules.strip_path)
    if plain is not None and plain.rewrite == rewrite:  # nobody else changes the path
        pattern, substitution = joined_paths(path, edge, strip=rules.strip_path, joins=rules.joins_paths)
        return replace(rewrite, prefix=None, path_regex=pattern, substitution=substitution)
    if rewrite.prefix is not None:
        return replace(rewrite, prefix=edge.path + rewrite.prefix)
    text = edge.path.replace("\\", "\\\\")
    if not rewrite.path_regex:
        between = "" if rules.joins_paths and not edge.path_slash else "/"
        return replace(rewrite, path_regex="^/", substitution=text + between)
    if not rewrite.path_regex.startswith("^"):
        lost(f"the path of service {service.name} is not put before what a VirtualService's regex rewrites")
        return rewrite
    return replace(rewrite, substitution=text + rewrite.substitution)
