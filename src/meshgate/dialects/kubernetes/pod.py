"""The pod template's fields: all that Kubernetes 1.34 knows, and which of them count here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field

from meshgate.dialects.document import is_dns_label
from meshgate.dialects.kubernetes.environment import EnvEntry, EnvFromEntry
from meshgate.dialects.kubernetes.lifecycle import LifecycleSpec
from meshgate.dialects.kubernetes.probe import ProbeSpec
from meshgate.dialects.kubernetes.service import PortNumber
from meshgate.dialects.metadata import ObjectMeta
from meshgate.dialects.schema import Items, Spec, fault


def _label(text: str) -> str:
    if text and not is_dns_label(text):
        raise fault("MG2004", "must be a DNS label (RFC 1123)")
    return text


DnsLabel = Annotated[str, AfterValidator(_label)]


class ContainerPortSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "hostPort": "the gateway is the way in",
        "hostIP": "the gateway is the way in",
    }

    container_port: PortNumber
    name: Annotated[DnsLabel, Field(max_length=15)] = ""
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"


class ContainerSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "image",
            "imagePullPolicy",
            "resizePolicy",
            "resources",
            "securityContext",
            "stdin",
            "stdinOnce",
            "terminationMessagePath",
            "terminationMessagePolicy",
            "tty",
            "volumeDevices",
            "volumeMounts",
        ),
        "containers run as processes of this machine",
    )
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "restartPolicy": "has no effect: every container is restarted",
        "restartPolicyRules": "has no effect: every container is restarted",
    }

    name: Annotated[DnsLabel, Field(min_length=1)]
    image: str = ""
    """Noted; remembered for who stands in for it."""
    command: Items[str] = ()
    args: Items[str] = ()
    working_dir: str = ""
    env: Items[EnvEntry] = ()
    env_from: Items[EnvFromEntry] = ()
    ports: Items[ContainerPortSpec] = ()
    readiness_probe: ProbeSpec | None = None
    liveness_probe: ProbeSpec | None = None
    startup_probe: ProbeSpec | None = None
    lifecycle: LifecycleSpec = LifecycleSpec()


class PodSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        (
            "affinity",
            "automountServiceAccountToken",
            "dnsPolicy",
            "enableServiceLinks",
            "hostUsers",
            "imagePullSecrets",
            "nodeName",
            "nodeSelector",
            "os",
            "overhead",
            "preemptionPolicy",
            "priority",
            "priorityClassName",
            "resources",
            "runtimeClassName",
            "schedulerName",
            "schedulingGates",
            "securityContext",
            "tolerations",
            "topologySpreadConstraints",
        ),
        "there is one machine, and containers are its processes",
    )
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "activeDeadlineSeconds": "has no effect",
        "dnsConfig": "has no effect",
        "ephemeralContainers": "has no effect: they are not run",
        "hostAliases": "has no effect",
        "hostIPC": "has no effect",
        "hostNetwork": "has no effect: each pod keeps its own place in the mesh",
        "hostPID": "has no effect",
        "hostname": "has no effect: the host name is the pod's name",
        "hostnameOverride": "has no effect: the host name is the pod's name",
        "initContainers": "has no effect: init containers are not run",
        "readinessGates": "has no effect",
        "resourceClaims": "has no effect",
        "setHostnameAsFQDN": "has no effect",
        "shareProcessNamespace": "has no effect",
        "subdomain": "has no effect",
        "volumes": "has no effect: nothing is mounted, processes see the machine's own files",
    }

    containers: Annotated[Items[ContainerSpec], Field(min_length=1)]
    service_account_name: str = ""
    service_account: str = ""
    """The deprecated name of `serviceAccountName`."""
    termination_grace_period_seconds: Annotated[int, Field(ge=0)] = 30
    restart_policy: Literal["Always"] = "Always"


class PodTemplate(Spec):
    metadata: ObjectMeta = ObjectMeta()
    spec: PodSpec
