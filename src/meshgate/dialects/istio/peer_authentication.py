"""PeerAuthentication: whether workloads accept plaintext, mTLS or both."""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

from pydantic import Field

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem, show
from meshgate.model.declared import Declared, PeerPolicy
from meshgate.model.workload import MtlsMode


class SelectorSpec(Spec):
    """Istio's `WorkloadSelector`."""

    match_labels: dict[str, str] = Field(default_factory=dict)


class MutualTlsSpec(Spec):
    """Istio's `MutualTLS`; UNSET inherits from the wider policy."""

    mode: Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"] = "UNSET"

    def lower(self) -> MtlsMode | None:
        """The mode; None inherits."""
        return None if self.mode == "UNSET" else MtlsMode(self.mode)


class PeerAuthenticationSpec(Spec):
    """Istio 1.27's fields."""

    selector: SelectorSpec = SelectorSpec()
    mtls: MutualTlsSpec = MutualTlsSpec()
    port_level_mtls: dict[str, MutualTlsSpec] = Field(default_factory=dict)


class PeerAuthentication(ObjectSpec):
    spec: PeerAuthenticationSpec = PeerAuthenticationSpec()


def lower_peer_authentication(document: Document) -> Lowered:
    """One policy; port levels without a selector have no effect, as in Istio (MG2006)."""
    value, said = check(PeerAuthentication, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    ports: dict[int, MtlsMode | None] = {}
    for text, mutual in spec.port_level_mtls.items():
        number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
        if not 1 <= number <= 65535:
            path = ("spec", "portLevelMtls", text)
            said.append(
                problem(
                    document, "MG2002", path, f"must be a port from 1 to 65535, got {show(text)}", key=True
                )
            )
        ports[number] = mutual.lower()
    if ports and not spec.selector.match_labels:
        ports.clear()
        said.append(
            problem(
                document,
                "MG2006",
                ("spec", "portLevelMtls"),
                "has no effect without selector.matchLabels",
                severity=Severity.WARNING,
                remedy="select the workloads whose ports are meant",
                key=True,
            )
        )
    policy = PeerPolicy(
        ref=document.ref,
        namespace=document.namespace,
        selector=MappingProxyType(dict(sorted(spec.selector.match_labels.items()))),
        mode=spec.mtls.lower(),
        ports=MappingProxyType(dict(sorted(ports.items()))),
        created=document.created,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(peer_policies=(policy,)), diagnostics=tuple(said))


PEER_AUTHENTICATION = KindParser(
    group="security.istio.io",
    kind="PeerAuthentication",
    versions=frozenset({"v1beta1", "v1"}),
    namespaced=True,
    lower=lower_peer_authentication,
    plural="peerauthentications",
    short_names=("pa",),
)
