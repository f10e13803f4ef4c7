"""What EnvoyFilters come to: tries each on the proxies that it selects, as if everything ran."""

from __future__ import annotations

from collections.abc import Iterable

from meshgate.core.diagnostics import Diagnostic, Severity, ordered
from meshgate.model.envoy_patch import ApplyTo, Area, Context, EnvoyPatch
from meshgate.model.graph import Model
from meshgate.model.names import short_hosts
from meshgate.model.proxy import ISTIO_VERSION, Isolation, Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.model.route import Destination
from meshgate.simulate.stand_in import client_proxy, gateway_proxy, stand_in
from meshgate.translate import patching
from meshgate.translate.names import (
    CLUSTER,
    LISTENER,
    OUTBOUND_ROUTES,
    ROUTES,
    VIRTUAL_HOST,
    outbound_cluster,
    service_routes,
)
from meshgate.translate.patching import Key, Seen
from meshgate.translate.translator import EnvoyTranslator

MOST_PROXIES = 20
"""Sidecars on which the patches of one namespace are tried."""


def try_patches(model: Model, isolation: Isolation = Isolation.PORTS) -> tuple[Diagnostic, ...]:
    """MG3035 for patches that find nothing, MG3036 for those that would break a proxy. Pure.

    Outbound hosts and clusters are those of all services, as if each had been asked for.
    """
    patches = {p.key: p for found in model.envoy_patches.values() for p in found}
    if not patches:
        return ()
    seen, reader = Seen(), Reader(stand_in(model, isolation=isolation))
    chosen: set[Key] = set()
    for proxy in _proxies(model, isolation):
        keys = {k for area in Area for k in patching.scope(reader, proxy, area)}
        if keys:
            chosen |= keys
            _translate(reader, proxy, model, seen)
    return ordered(_findings(patches.values(), seen, chosen))


def _proxies(model: Model, isolation: Isolation) -> Iterable[Proxy]:
    yield gateway_proxy()
    count: dict[str, int] = {}
    for _, workload in sorted(model.workloads.items()):
        namespace = workload.name.namespace
        if workload.meshed and count.get(namespace, 0) < MOST_PROXIES:
            count[namespace] = count.get(namespace, 0) + 1
            yield client_proxy(model, workload, isolation)


def _translate(reader: Reader, proxy: Proxy, model: Model, seen: Seen) -> None:
    translator = EnvoyTranslator()

    def make(type_url: str, names: Iterable[str]) -> None:
        for name in sorted(set(names)):
            translator.translate(reader, proxy, type_url, name, seen)

    make(LISTENER, translator.wildcard(reader, proxy, LISTENER))
    clusters = set(translator.wildcard(reader, proxy, CLUSTER))
    hosts = set(translator.wildcard(reader, proxy, VIRTUAL_HOST))
    if proxy.kind is ProxyKind.GATEWAY:
        configurations = {"edge", *(s.routes for s in model.edge_servers.values() if s.routes)}
    else:
        configurations = {OUTBOUND_ROUTES}
        for host, service in {**model.services, **model.entries}.items():
            names = [host]
            if host in model.services:
                names = list(short_hosts(service.name, proxy.namespace))
            for port in service.ports:
                hosts.update(f"{OUTBOUND_ROUTES}/{name}:{port.number}" for name in names)
                configurations.add(service_routes(host, port.number))
                clusters.add(outbound_cluster(Destination(host=host, port=port.number)))
                for policy in model.destinations.get(host, ()):
                    clusters.update(
                        outbound_cluster(Destination(host=host, port=port.number, subset=s.name))
                        for s in policy.subsets
                    )
            hosts.update(f"{OUTBOUND_ROUTES}/{name}" for name in names)
        hosts.update(f"{OUTBOUND_ROUTES}/{d}" for d in _added_domains(reader, proxy))
    make(CLUSTER, clusters)
    make(ROUTES, configurations)
    make(VIRTUAL_HOST, hosts)


def _added_domains(reader: Reader, proxy: Proxy) -> Iterable[str]:
    for patch in patching.patches(reader, proxy, Area.ROUTE):
        if patch.apply_to is ApplyTo.VIRTUAL_HOST and patch.value:
            host = patching.value(patch)
            yield from getattr(host, "domains", ())


def _findings(patches: Iterable[EnvoyPatch], seen: Seen, chosen: set[Key]) -> Iterable[Diagnostic]:
    for patch in patches:
        if (reason := seen.refused.get(patch.key)) is not None:
            yield _finding(
                patch, "MG3036", Severity.ERROR, f"would break the proxy: {reason}; it is left out", ""
            )
        elif patch.proxy_version and not patching.is_version(patch.proxy_version):
            version = ISTIO_VERSION
            yield _finding(
                patch, "MG3035", Severity.INFO, f"is not for proxies of Istio {version}, as these are", ""
            )
        elif patch.key not in seen.applied:
            what = patch.apply_to.value.lower().replace("_", " ")
            if patch.key not in chosen:
                what = "proxy"
            context = "" if patch.context is Context.ANY else f" in {patch.context.value}"
            yield _finding(
                patch,
                "MG3035",
                Severity.WARNING,
                f"finds no {what}{context} to {patch.operation.value}; it has no effect",
                "compare its match with what `meshgate translate` prints",
            )


def _finding(patch: EnvoyPatch, code: str, severity: Severity, message: str, remedy: str) -> Diagnostic:
    return Diagnostic(
        severity=severity,
        code=code,
        origin=patch.origin,
        message=message,
        object=patch.ref,
        field=("spec", "configPatches", patch.index),
        remedy=remedy,
    )
