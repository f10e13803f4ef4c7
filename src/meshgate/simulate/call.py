"""The way in: one request, one verdict."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshgate.model.graph import Model
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.simulate import guards_met, patches_met
from meshgate.simulate.edge import at_gateway
from meshgate.simulate.mesh import at_sidecar, without_sidecar
from meshgate.simulate.request import Request
from meshgate.simulate.stand_in import client_proxy, gateway_proxy
from meshgate.simulate.verdict import Verdict

GATEWAY = "gateway"


class UnknownCaller(ValueError):
    """There is no Deployment of that name to call from; the message says so."""


def call(
    model: Model,
    method: str,
    host: str,
    path: str = "/",
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    *,
    scheme: str = "http",
    proxy: str | Proxy = GATEWAY,
    isolation: Isolation = Isolation.PORTS,
) -> Verdict:
    """What a request would meet at the gateway, or on its way from a workload.

    `proxy` is `gateway`, `DEPLOYMENT[.NAMESPACE]` or a proxy that runs; raises `UnknownCaller` where there is
    none. Endpoints and identities are the model's: for a model that was only linked, let
    `stand_in` invent them first.
    """
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    request = Request(method=method, authority=host, path=path, headers=tuple(pairs), scheme=scheme)
    reader = Reader(model)
    if isinstance(proxy, Proxy):
        return _at(reader, proxy, request)
    if proxy == GATEWAY:
        return _at(reader, gateway_proxy(), request)
    key = caller_key(proxy)
    caller = model.workloads.get(key)
    if caller is None:
        known = ", ".join(f"{w.name.name}.{w.name.namespace}" for w in model.workloads.values()) or "none"
        raise UnknownCaller(f"there is no Deployment {key}; there are: {known}")
    if not caller.meshed:
        return guards_met.at_destinations(reader, without_sidecar(reader, caller, request))
    return _at(reader, client_proxy(model, caller, isolation), request)


def _at(reader: Reader, proxy: Proxy, request: Request) -> Verdict:
    if proxy.kind is ProxyKind.GATEWAY:
        verdict = guards_met.at_the_gateway(reader, at_gateway(reader, proxy, request))
    else:
        verdict = guards_met.at_destinations(reader, at_sidecar(reader, proxy, request))
    return patches_met.with_patches(reader, proxy, verdict)


def caller_key(text: str) -> str:
    """`checkout` or `checkout.shop` -> `namespace/name`."""
    name, _, namespace = text.partition(".")
    return f"{namespace or 'default'}/{name}"
