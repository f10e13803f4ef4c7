"""A request from a workload: at its sidecar, or straight to the service where it has none."""

from __future__ import annotations

from dataclasses import replace

from envoy.config.route.v3 import route_components_pb2

from meshgate.model.names import requested_host
from meshgate.model.proxy import Isolation, Proxy
from meshgate.model.reader import Reader
from meshgate.model.service import AppProtocol, Service, ServicePort
from meshgate.model.workload import MtlsMode, Workload
from meshgate.simulate.deciding import Place, decide
from meshgate.simulate.destinations import reached
from meshgate.simulate.paths import see
from meshgate.simulate.request import Request, compared_headers
from meshgate.simulate.verdict import DecidedBy, Outcome, Reached, Tls, Verdict
from meshgate.translate import external, outbound, streams, visibility
from meshgate.translate.names import OUTBOUND_ROUTES, VIRTUAL_HOST, outbound_cluster, split_authority
from meshgate.translate.patched import patched
from meshgate.translate.virtual_host import mesh_rules
from meshgate.translate.virtual_host import outbound as outbound_host


def at_sidecar(reader: Reader, proxy: Proxy, request: Request) -> Verdict:
    """What the caller's sidecar does with the request."""
    netns = proxy.isolation is Isolation.NETNS
    listener = outbound.VIRTUAL_OUTBOUND if netns else outbound.HTTP_PROXY
    verdict = Verdict(proxy=proxy.id, outcome=Outcome.REFUSE, listener=listener)
    # Without a port in the URL the application connects to the scheme's own.
    host, asked = split_authority(request.authority.lower())
    full = requested_host(host, proxy.namespace)
    service = reader.service(full)
    default = 443 if request.scheme == "https" else 80
    port = service.port(asked or default) if service else None
    if service is None and netns and request.scheme == "https":
        service = external.entry(reader, host, proxy.namespace)
        port = service.port(asked or default) if service else None
    by_name = host if request.scheme == "https" else ""
    tls = by_name and port is not None and port.protocol is AppProtocol.UNKNOWN
    known = service is None or visibility.sees(reader, proxy, service, port.number if port else 0)
    carried = port is not None and (port.protocol in streams.OPAQUE or tls)
    if service is not None and port is not None and carried and known:
        return _bytes(reader, proxy, service, port, by_name, verdict)
    seen = see(request.path, edge=False)
    if seen.invalid:
        return replace(verdict, status=400, reason=seen.problem)
    authority = request.authority.lower()
    name = f"{OUTBOUND_ROUTES}/{authority}"
    chosen = patched(reader, proxy, VIRTUAL_HOST, name, outbound_host(reader, proxy, name))
    if not isinstance(chosen, route_components_pb2.VirtualHost):
        return replace(verdict, status=404, reason="the request names no host")
    rules = mesh_rules(reader, full, proxy, asked or 80)
    place = Place(
        reader=reader,
        proxy=proxy,
        host=chosen,
        rules=rules.rules if rules else (),
        service_origin=service.origin if service and known else None,
    )
    headers = compared_headers(request, seen.path)
    return decide(place, headers, replace(verdict, path=seen.path, virtual_host=chosen.name))


def _bytes(
    reader: Reader, proxy: Proxy, service: Service, port: ServicePort, server_name: str, verdict: Verdict
) -> Verdict:
    ways = streams.ways(reader, proxy, service.host, port)
    way = streams.chosen(ways, server_name, reader.address(service.host) or "")
    if way is None:
        reason = f"no tls route for {service.host} takes the server name {server_name or '(none)'}"
        return replace(verdict, outcome=Outcome.REFUSE, reason=reason)
    entries = [e for e in way.destinations if e.weight]
    total = sum(e.weight for e in entries)
    found = tuple(
        reached(reader, proxy, outbound_cluster(e.destination), percent=100 * e.weight / total)
        for e in entries
    )
    listener = verdict.listener
    if proxy.isolation is Isolation.PORTS:
        listener = f"{outbound.SERVICE_LISTENER_PREFIX}{service.host}:{port.number}"
    return replace(
        verdict,
        outcome=Outcome.TCP,
        listener=listener,
        rule=DecidedBy(name="service", origin=service.origin),
        destinations=found,
        reason="; ".join(dict.fromkeys(one.problem for one in found if one.problem)),
    )


def without_sidecar(reader: Reader, caller: Workload, request: Request) -> Verdict:
    """The way of a caller that the mesh does not hold: plaintext, no rules, straight to the pods."""
    verdict = Verdict(proxy="", outcome=Outcome.OUTSIDE, path=request.path)
    host, asked = split_authority(request.authority.lower())
    full = requested_host(host, caller.name.namespace)
    service = reader.service(full)
    port = service.port(asked or 80) if service else None
    if service is None or port is None:
        return replace(verdict, reason=f"{caller.name} has no sidecar, and the mesh does not know the host")
    problem = _closed(reader, full)
    there = Reached(cluster="", host=full, port=port.number, tls=Tls.PLAIN, problem=problem)
    there = replace(there, endpoints=sum(i.ready for k in reader.backends(full) for i in reader.instances(k)))
    return replace(
        verdict,
        outcome=Outcome.REFUSE if problem else Outcome.FORWARD,
        rule=DecidedBy(name="service", origin=service.origin),
        destinations=(there,),
        reason=problem or f"{caller.name} has no sidecar: no rule of the mesh holds for its requests",
    )


def _closed(reader: Reader, host: str) -> str:
    for key in reader.backends(host):
        inbound = reader.inbound(key)
        if inbound is not None and any(p.mtls is MtlsMode.STRICT for p in inbound.ports):
            return f"{key} takes mTLS only (PeerAuthentication STRICT), and the caller has no sidecar"
    return ""
