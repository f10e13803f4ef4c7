"""ProxyConfig: settings of sidecars as processes, read when a pod starts."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.dialects.document import Document
from meshgate.dialects.istio.workload_scope import WorkloadSelectorSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check
from meshgate.model.declared import Declared, ProxyConfigObject
from meshgate.model.mesh_config import ProxySettings
from meshgate.model.service import EMPTY


class ProxyConfigSpec(Spec):
    """Istio 1.27's fields."""

    IGNORED: ClassVar[Mapping[str, str]] = {"image": "Meshgate starts the proxy itself"}

    selector: WorkloadSelectorSpec = WorkloadSelectorSpec()
    concurrency: Annotated[int, Field(ge=0, le=1024)] | None = None
    environment_variables: Mapping[str, str] = EMPTY


class ProxyConfigObjectSpec(ObjectSpec):
    spec: ProxyConfigSpec = ProxyConfigSpec()


def lower_proxy_config(document: Document) -> Lowered:
    """One ProxyConfig."""
    value, said = check(ProxyConfigObjectSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    found = ProxyConfigObject(
        ref=document.ref,
        namespace=document.namespace,
        selector=MappingProxyType(dict(sorted(spec.selector.match_labels.items()))),
        settings=ProxySettings(concurrency=spec.concurrency, proxy_metadata=spec.environment_variables),
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(proxy_configs=(found,)), diagnostics=tuple(said))


PROXY_CONFIG = KindParser(
    group="networking.istio.io",
    kind="ProxyConfig",
    versions=frozenset({"v1beta1"}),
    namespaced=True,
    lower=lower_proxy_config,
    plural="proxyconfigs",
)
