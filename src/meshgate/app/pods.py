"""Workloads of the model as pods for the runtime: names, commands, environment, probes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import assert_never

from meshgate.app.variables import port_keys
from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.secret import Secret
from meshgate.model import workload as model
from meshgate.model.graph import Model
from meshgate.model.locality import LOCALITY_LABEL
from meshgate.model.names import GATEWAY_LABELS, GATEWAY_NAMESPACE, GATEWAY_SERVICE_ACCOUNT
from meshgate.model.service import AppProtocol
from meshgate.model.target_ports import target_ports
from meshgate.model.workload import Container, Workload
from meshgate.runtime import spec
from meshgate.runtime.libraries import build_id
from meshgate.runtime.redirect import Capture

GATEWAY_NAME = "meshgate-gateway"
NODE_NAME = "meshgate-node"
"""Ports isolation: the proxy through which pods without a sidecar find the services of their namespace."""
_MAX_STEM = 236
"""Of a Deployment's name in its pods' names, which are folders too: with hash and suffix 253."""
_SUFFIX_ALPHABET = "bcdfghjklmnpqrstvwxz2456789"
"""Kubernetes' own: no vowels, so that no words come out."""


def pod_specs(
    built: Model, isolation: spec.Isolation, gateway: spec.PodSpec
) -> tuple[tuple[spec.PodSpec, ...], tuple[Diagnostic, ...]]:
    """All pods that shall run, the gateway first, and what cannot run here (MG4001)."""
    found, problems = [gateway], []
    bare: set[str] = set()
    ports = port_keys(built) if isolation is spec.Isolation.PORTS else {}
    targets = target_ports(built)
    for key, workload in sorted(built.workloads.items()):
        idle = [c for c in workload.containers if not c.argv]
        if idle or not workload.containers:
            problems.append(_cannot_run(workload, idle))
            continue
        if workload.bypass and workload.meshed and isolation is spec.Isolation.PORTS:
            problems.append(_half_bypass(workload))
        keys = ports.get(workload.name.namespace, ()) if workload.meshed else ()
        unnamed = _unnamed_ports(workload, targets.get(key, {}))
        # A program in a place of its own listens where it likes; else it must be told the port at its start.
        digest = template_hash(workload, unnamed if isolation is spec.Isolation.PORTS else ())
        found.extend(_pods(workload, digest, unnamed, keys))
        if not workload.meshed:
            bare.add(workload.name.namespace)
    if isolation is spec.Isolation.PORTS:
        # Before the pods that use them: what a pod finds in its environment names the place of its node.
        nodes = {namespace: _node_pod(namespace, ports.get(namespace, ())) for namespace in sorted(bare)}
        found = [*found[:1], *nodes.values(), *(_with_node(pod, nodes) for pod in found[1:])]
    return tuple(found), tuple(problems)


def gateway_pod(
    concurrency: int = 2, settings: str = "", locality: str = "", library: Path | None = None
) -> spec.PodSpec:
    """The gateway: a pod that is only a proxy; what it is given here replaces it when it changes."""
    place = {LOCALITY_LABEL: locality} if locality else {}
    return spec.PodSpec(
        name=GATEWAY_NAME,
        namespace=GATEWAY_NAMESPACE,
        workload=GATEWAY_NAME,
        labels={**GATEWAY_LABELS, **place},
        service_account=GATEWAY_SERVICE_ACCOUNT,
        meshed=True,
        spec_hash=_digest("gateway", settings, build_id(library), *place.values()),
        host_network=True,
        proxy_concurrency=concurrency,
        proxy_library=library,
    )


def _node_pod(namespace: str, service_ports: tuple[str, ...]) -> spec.PodSpec:
    """Only a proxy, like the gateway; it does what the network itself does in netns isolation."""
    return spec.PodSpec(
        name=f"{NODE_NAME}.{namespace}",
        namespace=GATEWAY_NAMESPACE,
        workload=NODE_NAME,
        labels={"app": NODE_NAME},
        service_account=NODE_NAME,
        meshed=True,
        spec_hash=_digest("node"),
        service_ports=service_ports,
    )


def _with_node(pod: spec.PodSpec, nodes: Mapping[str, spec.PodSpec]) -> spec.PodSpec:
    """The pod as it begins: without a sidecar it would call a port where nobody listens yet."""
    return pod if pod.meshed else replace(pod, reaches_services_through=nodes[pod.namespace].key)


def served_namespace(pod: spec.PodSpec) -> str:
    """The namespace that a node proxy serves; empty for every other pod."""
    own = pod.workload == NODE_NAME and not pod.containers
    return pod.name.removeprefix(f"{NODE_NAME}.") if own else ""


def _unnamed_ports(workload: Workload, targets: Mapping[int, AppProtocol]) -> tuple[spec.ContainerPort, ...]:
    """Those that services lead to and no container names."""
    named = {port.number for port in workload.ports}
    return tuple(
        spec.ContainerPort(number=number, protocol="UDP" if protocol is AppProtocol.UDP else "TCP")
        for number, protocol in sorted(targets.items())
        if number not in named
    )


def _pods(
    workload: Workload,
    digest: str,
    unnamed: tuple[spec.ContainerPort, ...],
    service_ports: tuple[str, ...],
) -> Iterable[spec.PodSpec]:
    containers = tuple(_container(workload, c) for c in workload.containers)
    labels = {**workload.labels, "pod-template-hash": digest}
    drain, threads = workload.proxy.termination_drain_s, workload.proxy.concurrency
    for ordinal in range(workload.replicas):
        yield spec.PodSpec(
            name=_pod_name(workload, digest, ordinal),
            namespace=workload.name.namespace,
            workload=workload.name.name,
            workload_kind=workload.kind,
            labels={**labels, **_numbered(workload, ordinal)},
            service_account=workload.service_account,
            containers=containers,
            ports=(*(spec.ContainerPort(number=p.number, name=p.name) for p in workload.ports), *unnamed),
            meshed=workload.meshed,
            spec_hash=digest,
            termination_grace_s=workload.termination_grace_s,
            drain_s=drain if drain is not None else spec.DRAIN_S,
            proxy_concurrency=threads if threads is not None else 1,
            proxy_metadata=dict(sorted(workload.proxy.proxy_metadata.items())),
            capture=_capture(workload.capture),
            service_ports=service_ports,
            bypass=workload.bypass,
            rollout=spec.Rollout(
                recreate=workload.rollout.recreate,
                max_surge=workload.rollout.max_surge,
                max_unavailable=workload.rollout.max_unavailable,
                min_ready_s=workload.rollout.min_ready_s,
            ),
        )


def _pod_name(workload: Workload, digest: str, ordinal: int) -> str:
    if workload.first_ordinal is not None:
        return f"{workload.name.name}-{workload.first_ordinal + ordinal}"
    return f"{workload.name.name[:_MAX_STEM]}-{digest}-{_suffix(workload, digest, ordinal)}"


def _numbered(workload: Workload, ordinal: int) -> Mapping[str, str]:
    """The labels that tell pods of a StatefulSet apart."""
    if workload.first_ordinal is None:
        return {}
    number = workload.first_ordinal + ordinal
    return {
        "apps.kubernetes.io/pod-index": str(number),
        "statefulset.kubernetes.io/pod-name": f"{workload.name.name}-{number}",
    }


def _capture(capture: model.Capture) -> Capture:
    return Capture(
        included_inbound_ports=capture.include_inbound_ports,
        excluded_inbound_ports=capture.exclude_inbound_ports,
        included_outbound_cidrs=capture.include_outbound_cidrs,
        excluded_outbound_cidrs=capture.exclude_outbound_cidrs,
        included_outbound_ports=capture.include_outbound_ports,
        excluded_outbound_ports=capture.exclude_outbound_ports,
    )


def template_hash(workload: Workload, unnamed: tuple[spec.ContainerPort, ...] = ()) -> str:
    """10 hex digits of everything that a running pod cannot change; secrets enter as fingerprints."""
    parts = [
        workload.service_account,
        str(workload.meshed),
        str(workload.directory),
        str(workload.termination_grace_s),
        repr(sorted(workload.labels.items())),
        repr(sorted(workload.annotations.items())),
    ]
    if unnamed:
        parts.append(repr(unnamed))
    for c in workload.containers:
        env = [(e.name, e.value.fingerprint() if isinstance(e.value, Secret) else e.value) for e in c.env]
        probes = (c.readiness, c.liveness, c.startup)
        parts.append(repr((c.name, c.argv, env, c.ports, *probes, c.working_dir)))
        if c.post_start or c.pre_stop:
            parts.append(repr((c.post_start, c.pre_stop)))
    return _digest(*parts)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:10]


def _suffix(workload: Workload, digest: str, ordinal: int) -> str:
    number = int(hashlib.sha256(f"{workload.name}/{digest}/{ordinal}".encode()).hexdigest(), 16)
    letters = ""
    for _ in range(5):
        number, rest = divmod(number, len(_SUFFIX_ALPHABET))
        letters += _SUFFIX_ALPHABET[rest]
    return letters


def _container(workload: Workload, container: Container) -> spec.ContainerSpec:
    directory = Path(workload.directory or ".").resolve()
    cwd = directory / container.working_dir if container.working_dir else directory
    return spec.ContainerSpec(
        name=container.name,
        argv=container.argv,
        stands_in_for=(container.image or "an image") if container.stand_in else "",
        env={
            e.name: e.value.reveal_text() if isinstance(e.value, Secret) else e.value for e in container.env
        },
        cwd=str(cwd),
        readiness=_probe(container.readiness, container),
        liveness=_probe(container.liveness, container),
        startup=_probe(container.startup, container),
        post_start=_hook(container.post_start, container),
        pre_stop=_hook(container.pre_stop, container),
    )


def _hook(hook: model.Hook | None, container: Container) -> spec.Hook | None:
    match hook:
        case None:
            return None
        case model.Sleep(seconds=seconds):
            return spec.Sleep(seconds=seconds)
        case model.ExecProbe(argv=argv):
            return spec.Exec(argv=argv)
        case model.HttpGet():
            return _http_get(hook, container)
        case _:
            assert_never(hook)


def _http_get(get: model.HttpGet, container: Container) -> spec.HttpGet:
    return spec.HttpGet(
        path=get.path, port=_port(get.port, container), headers=get.headers, scheme=get.scheme
    )


def _probe(probe: model.Probe | None, container: Container) -> spec.Probe | None:
    if probe is None:
        return None
    return spec.Probe(
        action=_action(probe.action, container),
        initial_delay_s=probe.initial_delay_s,
        period_s=probe.period_s,
        timeout_s=probe.timeout_s,
        success_threshold=probe.success_threshold,
        failure_threshold=probe.failure_threshold,
    )


def _action(
    action: model.HttpGet | model.TcpSocket | model.ExecProbe | model.GrpcProbe, container: Container
) -> spec.ProbeAction:
    match action:
        case model.HttpGet():
            return _http_get(action, container)
        case model.TcpSocket():
            return spec.TcpSocket(port=_port(action.port, container))
        case model.ExecProbe():
            return spec.Exec(argv=action.argv)
        case model.GrpcProbe():
            return spec.Grpc(port=action.port, service=action.service)
        case _:
            assert_never(action)


def _port(port: int | str, container: Container) -> int:
    if isinstance(port, int):
        return port
    return next((p.number for p in container.ports if p.name == port), 0)


def _cannot_run(workload: Workload, idle: list[Container]) -> Diagnostic:
    named = f"its container {idle[0].name} names no command" if idle else "it has no container"
    return Diagnostic(
        severity=Severity.WARNING,
        code="MG4001",
        origin=workload.origin,
        object=workload.ref,
        field=("spec", "template", "spec", "containers"),
        message=f"no pod of it runs: {named}, and images are not run on this machine",
        remedy="add `command`, or the annotation meshgate.dev/command to the pod template; "
        "`meshgate up --stand-ins` runs something that answers in its place",
    )


def _half_bypass(workload: Workload) -> Diagnostic:
    return Diagnostic(
        severity=Severity.INFO,
        code="MG4006",
        origin=workload.origin,
        object=workload.ref,
        field=("spec", "template", "metadata", "annotations", "meshgate.dev/on-sidecar-failure"),
        message="in ports isolation calls to its pods go past a dead sidecar; "
        "their own calls wait for the next one, because http_proxy names it",
        remedy="use --isolation netns to bypass it both ways",
    )
