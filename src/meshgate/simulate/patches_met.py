"""EnvoyFilters on the way: their routes are followed, what their filters do is Envoy's to tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from meshgate.model.envoy_patch import Area, Context, EnvoyPatch
from meshgate.model.proxy import Proxy, ProxyKind
from meshgate.model.reader import Reader
from meshgate.simulate.verdict import PolicyMet, Verdict
from meshgate.translate.patching import in_context, patches

_FILTERS_AND_CLUSTERS = (Area.LISTENER, Area.CLUSTER)


def with_patches(reader: Reader, proxy: Proxy, verdict: Verdict) -> Verdict:
    """The verdict with the patches that the proxies on the way have, besides those of their routes."""
    side = Context.GATEWAY if proxy.kind is ProxyKind.GATEWAY else Context.SIDECAR_OUTBOUND
    where = "the gateway" if proxy.kind is ProxyKind.GATEWAY else str(proxy.workload)
    met = [_met(patch, where) for patch in _patches(reader, proxy, side)]
    for key in dict.fromkeys(key for d in verdict.destinations for key in reader.backends(d.host)):
        workload = reader.workload(key)
        if workload is None or not workload.meshed:
            continue
        there = Proxy(
            id="",
            kind=ProxyKind.SIDECAR,
            namespace=workload.name.namespace,
            service_account=workload.service_account,
            workload=workload.name,
            labels=workload.labels,
        )
        met += [_met(patch, key) for patch in _patches(reader, there, Context.SIDECAR_INBOUND)]
    return replace(verdict, policies=(*verdict.policies, *met)) if met else verdict


def _patches(reader: Reader, proxy: Proxy, side: Context) -> Iterator[EnvoyPatch]:
    for area in _FILTERS_AND_CLUSTERS:
        yield from (patch for patch in patches(reader, proxy, area) if in_context(patch, side))


def _met(patch: EnvoyPatch, where: str) -> PolicyMet:
    ref = patch.ref
    says = (
        f"{ref.namespace}/{ref.name} at {where}: {patch.operation.value} {patch.apply_to.value}; "
        "what it does to the request is not told here"
    )
    return PolicyMet(kind="EnvoyFilter", says=says, origin=patch.origin)
