"""WorkloadGroup: what the WorkloadEntries that name it have in common, and how their health is asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Severity
from meshgate.dialects.document import Document
from meshgate.dialects.istio.hosts import PortNumber
from meshgate.dialects.istio.workload_entry import EndpointSpec
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.schema import Items, Spec, check, problem
from meshgate.model.declared import Declared
from meshgate.model.external import MachineGroup
from meshgate.model.health import GrpcCheck, HealthCheck, HttpCheck, TcpCheck
from meshgate.model.names import Name

Positive = Annotated[int, Field(ge=1)]


class HeaderSpec(Spec):
    name: str
    value: str = ""


class HttpGetSpec(Spec):
    path: str = "/"
    port: PortNumber
    host: str = ""
    scheme: Literal["", "HTTP", "http"] = ""
    http_headers: Items[HeaderSpec] = ()


class TcpSocketSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"host": "the endpoint itself is asked"}

    port: PortNumber


class GrpcSpec(Spec):
    port: PortNumber
    service: str = ""


class ProbeSpec(Spec):
    """Istio's `ReadinessProbe`, asked by the proxies that send requests and not by an agent over there."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "exec": "there is nobody on the machine to run it; its endpoints count as healthy"
    }
    IGNORED: ClassVar[Mapping[str, str]] = {"initialDelaySeconds": "the first answer decides"}

    timeout_seconds: Positive = 1
    period_seconds: Positive = 10
    success_threshold: Positive = 1
    failure_threshold: Positive = 3
    http_get: HttpGetSpec | None = None
    tcp_socket: TcpSocketSpec | None = None
    grpc: GrpcSpec | None = None

    def lower(self) -> HealthCheck | None:
        """The check; None where nothing can be asked."""
        action: HttpCheck | TcpCheck | GrpcCheck
        if self.http_get is not None:
            headers = tuple((h.name, h.value) for h in self.http_get.http_headers)
            action = HttpCheck(path=self.http_get.path, host=self.http_get.host, headers=headers)
            port = self.http_get.port
        elif self.tcp_socket is not None:
            action, port = TcpCheck(), self.tcp_socket.port
        elif self.grpc is not None:
            action, port = GrpcCheck(service=self.grpc.service), self.grpc.port
        else:
            return None
        return HealthCheck(
            action=action,
            port=port,
            period_s=self.period_seconds,
            timeout_s=self.timeout_seconds,
            success_threshold=self.success_threshold,
            failure_threshold=self.failure_threshold,
        )


class GroupMetadataSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"annotations": "nothing reads those of its entries"}

    labels: dict[str, str] = Field(default_factory=dict)


class WorkloadGroupSpec(Spec):
    metadata: GroupMetadataSpec = GroupMetadataSpec()
    template: EndpointSpec
    probe: ProbeSpec | None = None


class WorkloadGroup(ObjectSpec):
    spec: WorkloadGroupSpec


def lower_workload_group(document: Document) -> Lowered:
    """For WorkloadEntries that name it in `istio.io/autoRegistrationGroup`; machines join in no other way."""
    value, said = check(WorkloadGroup, document)
    if value is None:
        return Lowered(diagnostics=tuple(said))
    spec = value.spec
    if spec.template.address:
        path = ("spec", "template", "address")
        message = "has no place in a group: each WorkloadEntry has its own"
        said.append(problem(document, "MG2006", path, message, severity=Severity.WARNING))
    group = MachineGroup(
        name=Name(document.namespace, document.ref.name),
        template=spec.template.lower(document.namespace, spec.metadata.labels),
        check=spec.probe.lower() if spec.probe else None,
        origin=document.locate(),
    )
    return Lowered(declared=Declared(machine_groups=(group,)), diagnostics=tuple(said))


WORKLOAD_GROUP = KindParser(
    group="networking.istio.io",
    kind="WorkloadGroup",
    versions=frozenset({"v1alpha3", "v1beta1", "v1"}),
    namespaced=True,
    lower=lower_workload_group,
    plural="workloadgroups",
    short_names=("wg",),
)
