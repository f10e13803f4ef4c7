"""A request from outside, at the gateway."""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.policies.consumer_headers import IDENTITY_HEADERS, INTERNAL_HEADERS
from meshgate.simulate import matching
from meshgate.simulate.claims import with_claims
from meshgate.simulate.deciding import Place, decide
from meshgate.simulate.paths import see
from meshgate.simulate.request import Request, compared_headers
from meshgate.simulate.verdict import Outcome, Verdict
from meshgate.translate import gateway, gateway_servers
from meshgate.translate.names import split_authority
from meshgate.translate.patched import patch_gateway_routes
from meshgate.translate.virtual_host import edge_key


def at_gateway(reader: Reader, proxy: Proxy, request: Request) -> Verdict:
    """What the gateway does with the request."""
    host, port = split_authority(request.authority)
    name = gateway.HTTPS if request.scheme == "https" else gateway.HTTP
    own = gateway_servers.LISTENER_PREFIX + str(port)
    if own in gateway.listener_names(reader, proxy):
        name = own
    verdict = Verdict(proxy=proxy.id, outcome=Outcome.REFUSE, listener=name)
    configuration = gateway.route_configuration_of(reader, proxy, name, host.lower())
    if not configuration:
        return replace(verdict, reason=f"the gateway has no certificate for {host}")
    seen = see(request.path, edge=True)
    if seen.invalid:
        return replace(verdict, status=400, reason=seen.problem)
    if seen.redirect:
        return replace(
            verdict,
            outcome=Outcome.REDIRECT,
            status=307,
            location=seen.path,
            reason="the path has escaped slashes; the client is sent to the path without them",
        )
    # Envoy drops names with underscores here: services behind may take them for hyphens.
    underscored = (key for key, _ in request.headers if "_" in key)
    headers = compared_headers(
        request, seen.path, (*IDENTITY_HEADERS, *INTERNAL_HEADERS, *(n.lower() for n in underscored))
    )
    verdict = replace(verdict, path=seen.path)
    routes = gateway.routes(reader, proxy, configuration)
    patch_gateway_routes(reader, proxy, routes)
    chosen = matching.virtual_host(
        routes.virtual_hosts, request.authority, ignore_port=routes.ignore_port_in_host_matching
    )
    if chosen is None:
        return replace(verdict, status=404, reason=f"no rule of the edge is for the host {request.authority}")
    edge_host = reader.edge_host(edge_key(chosen.name))
    place = Place(
        reader=reader,
        proxy=proxy,
        host=chosen,
        rules=edge_host.rules if edge_host else (),
        consumers=tuple(reader.all_consumers().values()),
    )
    headers = with_claims(reader.edge_guard(), headers)
    return decide(place, headers, replace(verdict, virtual_host=chosen.name))
