"""A request from outside, at the gateway."""

from __future__ import annotations

from dataclasses import replace

from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT
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


def _of_gateway_api(reader: Reader, proxy: Proxy, request: Request, own: str) -> str:
    """The listener of a Gateway of the Gateway API that the request means; empty for the gateway's own.

    Who asks by such a Gateway's address means it. By name, the gateway's own hosts come first, then
    the Gateways in the order of their addresses: in truth the name's DNS decides.
    """
    host, port = split_authority(request.authority)
    places = [p for p in gateway_servers.places(reader, proxy) if p.address and not p.datagrams]
    wanted = port or (HTTPS_PORT if request.scheme == "https" else HTTP_PORT)
    meant = [p for p in places if wanted in (p.port, gateway_servers.place_of(reader, proxy, p)[1])]
    if not meant:
        return ""
    by_address = next((p.listener for p in meant if p.address == host), "")
    if by_address or _serves(reader, proxy, own, host):
        return by_address
    return next((p.listener for p in meant if _serves(reader, proxy, p.listener, host)), "")


def _serves(reader: Reader, proxy: Proxy, listener: str, host: str) -> bool:
    """Whether a listener has rules for the host."""
    name = gateway.route_configuration_of(reader, proxy, listener, host.lower())
    hosts = gateway.routes(reader, proxy, name).virtual_hosts if name else ()
    chosen = matching.virtual_host(hosts, host, ignore_port=True)
    found = reader.edge_host(edge_key(chosen.name)) if chosen is not None else None
    return found is not None and bool(found.rules)


def at_gateway(reader: Reader, proxy: Proxy, request: Request) -> Verdict:
    """What the gateway does with the request."""
    host, port = split_authority(request.authority)
    name = gateway.HTTPS if request.scheme == "https" else gateway.HTTP
    own = gateway_servers.LISTENER_PREFIX + str(port)
    if own in gateway.listener_names(reader, proxy):
        name = own
    name = _of_gateway_api(reader, proxy, request, name) or name
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
