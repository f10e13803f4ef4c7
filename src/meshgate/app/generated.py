"""Objects that Meshgate makes itself, in the form that kubectl shows: pods and endpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshgate.app.instances import reached_port
from meshgate.core.diagnostics import ObjectRef
from meshgate.model.graph import Model
from meshgate.model.service import Service
from meshgate.model.workload import Instance
from meshgate.runtime.spec import PodKey, PodSpec
from meshgate.runtime.status import PodStatus

JsonObject = Mapping[str, object]


STAND_IN = "meshgate.dev/stand-in"
"""Annotation of pods in which a program of ours answers: the images that it stands in for."""


def stood_in_for(spec: PodSpec) -> str:
    """The images in whose place the pod runs programs of ours; empty where there are none."""
    return ", ".join(c.stands_in_for for c in spec.containers if c.stands_in_for)


def pod_object(spec: PodSpec, status: PodStatus | None) -> JsonObject:
    """A v1 Pod."""
    started = status.started_at.strftime("%Y-%m-%dT%H:%M:%SZ") if status else None
    ready = bool(status and status.ready)
    names = [c.name for c in spec.containers] + (["istio-proxy"] if spec.meshed else [])
    pids = status.pids if status else {}
    stand_in = stood_in_for(spec)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": spec.name,
            "namespace": spec.namespace,
            "labels": dict(spec.labels),
            **({"annotations": {STAND_IN: stand_in}} if stand_in else {}),
            "creationTimestamp": started,
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": spec.workload_kind, "name": spec.workload}],
        },
        "spec": {
            "serviceAccountName": spec.service_account,
            "containers": [
                {
                    "name": c.name,
                    "command": list(c.argv),
                    **({"image": c.stands_in_for} if c.stands_in_for else {}),
                    "ports": [{"containerPort": p.number, "name": p.name} for p in spec.ports],
                }
                for c in spec.containers
            ],
        },
        "status": {
            "phase": status.phase.value if status else "Pending",
            "podIP": status.ip if status else "",
            "podIPs": [{"ip": status.ip}] if status and status.ip else [],
            "startTime": started,
            "message": status.message if status else "",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {
                    "name": name,
                    "ready": ready and name in pids,
                    "restartCount": status.restarts if status and index == 0 else 0,
                    "state": {"running": {"pid": pids[name]}} if name in pids else {"waiting": {}},
                }
                for index, name in enumerate(names)
            ],
        },
    }


def endpoints_object(
    service: Service, model: Model, instances: Mapping[str, Sequence[Instance]]
) -> JsonObject:
    """A v1 Endpoints: the ready pods behind a service, as proxies reach them, and what else answers."""
    subsets: list[JsonObject] = []
    for port in service.ports:
        for key in model.backends.get(service.host, ()):
            for instance in instances.get(key, ()):
                if number := reached_port(port, instance):
                    target = {
                        "kind": "Pod",
                        "namespace": instance.pod.namespace,
                        "name": instance.pod.name,
                    }
                    subsets.append(
                        {
                            "addresses": [{"ip": instance.ip, "targetRef": target}],
                            "ports": [{"name": port.name, "port": number}],
                        }
                    )
        for machine in model.endpoints.get(service.host, ()):
            if machine_number := dict(machine.ports).get(port.name, 0):
                ports = [{"name": port.name, "port": machine_number}]
                subsets.append({"addresses": [{"ip": machine.address}], "ports": ports})
    return {
        "apiVersion": "v1",
        "kind": "Endpoints",
        "metadata": {"name": service.name.name, "namespace": service.name.namespace},
        "subsets": subsets,
    }


def endpoint_slice_objects(endpoints: JsonObject) -> tuple[JsonObject, ...]:
    """The same as EndpointSlices: one for each port where it leads to."""
    metadata, subsets = endpoints["metadata"], endpoints["subsets"]
    assert isinstance(metadata, dict)
    assert isinstance(subsets, list)
    by_port: dict[tuple[str, int], list[JsonObject]] = {}
    for subset in subsets:
        (port,) = subset["ports"]
        (address,) = subset["addresses"]
        found = {"addresses": [address["ip"]], "conditions": {"ready": True}}
        if "targetRef" in address:
            found["targetRef"] = address["targetRef"]
        by_port.setdefault((port["name"], port["port"]), []).append(found)
    labels = {"kubernetes.io/service-name": metadata["name"]}
    return tuple(
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**metadata, "name": f"{metadata['name']}-{number}", "labels": labels},
            "addressType": "IPv4",
            "endpoints": members,
            "ports": [{"name": name, "port": port, "protocol": "TCP"}],
        }
        for number, ((name, port), members) in enumerate(by_port.items(), start=1)
    )


def workload_status(
    ref: ObjectRef, pods: Mapping[PodKey, PodSpec], statuses: Mapping[PodKey, PodStatus]
) -> JsonObject:
    """The `status` of a Deployment, StatefulSet or DaemonSet, counted from its pods."""
    workload = (ref.namespace, ref.name)
    wanted = {k for k, p in pods.items() if (p.namespace, p.workload) == workload}
    seen = [s for s in statuses.values() if (s.namespace, s.workload) == workload]
    ready = sum(s.ready for s in seen)
    available = sum(s.available for s in seen)
    if ref.kind == "DaemonSet":
        return {
            "status": {
                "desiredNumberScheduled": len(wanted),
                "currentNumberScheduled": len(seen),
                "updatedNumberScheduled": sum(s.key in wanted for s in seen),
                "numberReady": ready,
                "numberAvailable": available,
            }
        }
    return {
        "status": {
            "replicas": len(seen),
            "updatedReplicas": sum(s.key in wanted for s in seen),
            "readyReplicas": ready,
            "availableReplicas": available,
            "unavailableReplicas": max(len(wanted) - available, 0),
        }
    }
