"""Which EnvoyFilters stand behind what an Envoy has refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.model.graph import Model
from meshgate.model.proxy import Proxy
from meshgate.model.reader import Reader
from meshgate.pipeline import TRANSLATOR
from meshgate.translate.patching import Seen
from meshgate.xds.stream import StreamStatus
from meshgate.xds.types import short


def refused_patches(
    model: Model, streams: Iterable[StreamStatus], proxy_of: Callable[[str], Proxy | None]
) -> tuple[Diagnostic, ...]:
    """MG3036 for each patch of a resource that a proxy refused; the proxy goes on with what it had."""
    if not model.envoy_patches:
        return ()
    patches = {patch.key: patch for found in model.envoy_patches.values() for patch in found}
    found: list[Diagnostic] = []
    for stream in streams:
        refused = [(t.type_url, r) for t in stream.session.types for r in t.rejected]
        proxy = proxy_of(stream.node_id) if refused else None
        for type_url, rejection in refused if proxy is not None else ():
            assert proxy is not None
            seen = Seen()
            TRANSLATOR.translate(Reader(model), proxy, type_url, rejection.name, seen)
            what = f"{short(type_url)} {rejection.name}"
            found.extend(
                Diagnostic(
                    severity=Severity.ERROR,
                    code="MG3036",
                    origin=patches[key].origin,
                    message=f"{stream.node_id.split('~')[1]} refused {what}, which this changes, "
                    f"and keeps what it had: {rejection.message[:300]}",
                    object=patches[key].ref,
                    field=("spec", "configPatches", patches[key].index),
                    remedy="mend the patch",
                )
                for key in sorted(seen.applied - seen.refused.keys())
            )
    return tuple(found)
