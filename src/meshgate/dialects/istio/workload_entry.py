"""WorkloadEntry: something that serves and is no pod, by itself or inside of a ServiceEntry."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.istio.hosts import PortNumber
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Spec, check, problem, show
from meshgate.model.declared import Declared
from meshgate.model.external import NETWORK_LABEL, UNIX, ExternalEndpoint, Machine, is_address
from meshgate.model.names import Name

GROUP = "istio.io/autoRegistrationGroup"
"""The annotation that names an entry's WorkloadGroup."""


class EndpointSpec(Spec):
    """Istio's `WorkloadEntry`."""

    address: str = ""
    ports: dict[str, PortNumber] = Field(default_factory=dict)
    labels: dict[str, str] = Field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None
    service_account: str = ""

    def lower(self, namespace: str, labels: dict[str, str] | None = None) -> ExternalEndpoint:
        """The endpoint; `labels` go over its own, its network is one more, as in Istio."""
        network = {NETWORK_LABEL: self.network} if self.network else {}
        merged = {**network, **self.labels, **(labels or {})}
        return ExternalEndpoint(
            address=self.address if self.address.startswith(UNIX) else self.address.lower(),
            ports=tuple(sorted(self.ports.items())),
            labels=tuple(sorted(merged.items())),
            weight=1 if self.weight is None else self.weight,
            locality=self.locality,
            service_account=Name(namespace, self.service_account) if self.service_account else None,
        )

    def wrong(self, *, names: bool) -> tuple[FieldPath, str]:
        """Where and why it cannot be reached; an empty reason where it can. `names`: DNS names may be."""
        here: FieldPath = ("address",)
        if not self.address:
            remedy = "; an endpoint behind a gateway of its network is not reached" if self.network else ""
            return here, f"must be there{remedy}"
        if self.address.startswith(UNIX):
            if not self.address.removeprefix(UNIX).startswith("/"):
                return here, f"must be an absolute path after {UNIX}, got {show(self.address)}"
            return (("ports",), "have no meaning for a Unix socket") if self.ports else (here, "")
        if is_address(self.address) or (names and is_dns_name(self.address.lower())):
            return here, ""
        wanted = "an IP address or a DNS name" if names else "an IP address or unix:///path"
        return here, f"must be {wanted}, got {show(self.address)}"


class WorkloadEntry(ObjectSpec):
    spec: EndpointSpec


def lower_workload_entry(document: Document) -> Lowered:
    """An endpoint for the Services and ServiceEntries of its namespace that select its labels."""
    value, said = check(WorkloadEntry, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    path, wrong = value.spec.wrong(names=True)
    if wrong:
        said.append(problem(document, "MG2004", ("spec", *path), wrong))
    machine = Machine(
        name=Name(document.namespace, document.ref.name),
        endpoint=value.spec.lower(document.namespace, dict(value.metadata.labels)),
        group=value.metadata.annotations.get(GROUP, ""),
        origin=document.locate(),
    )
    return Lowered(declared=Declared(machines=(machine,)), diagnostics=tuple(said))


WORKLOAD_ENTRY = KindParser(
    group="networking.istio.io",
    kind="WorkloadEntry",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_workload_entry,
    plural="workloadentries",
    short_names=("we",),
)
