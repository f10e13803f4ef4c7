"""Which containers get a stand-in, on which ports, and what of their manifest still counts."""

from __future__ import annotations

import sys

from meshgate.app.pods import gateway_pod, pod_specs
from meshgate.app.stand_ins import with_stand_ins
from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts
from meshgate.runtime.spec import ContainerSpec, Isolation, PodSpec, TcpSocket

_SERVICE = (
    "apiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {selector: {app: %s}, ports: [%s]}\n---\n"
)
_DEPLOYMENT = (
    "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: %s}\n"
    "spec:\n  selector: {matchLabels: {app: %s}}\n  template:\n"
    "    metadata: {labels: {app: %s, version: v2}}\n    spec: {containers: [%s]}\n---\n"
)


def _model(containers: str, ports: str = "{port: 80}") -> Model:
    text = _SERVICE % ("web", "web", ports) + _DEPLOYMENT % ("web", "web", "web", containers)
    documents, problems = read_texts({"in.yaml": text})
    assert not problems
    return build(documents).model


def _pod(containers: str, ports: str = "{port: 80}") -> PodSpec:
    """The one pod that comes of it, with stand-ins."""
    pods, problems = pod_specs(with_stand_ins(_model(containers, ports)), Isolation.PORTS, gateway_pod())
    assert not problems
    (pod,) = (p for p in pods if p.workload == "web")
    return pod


def _ports(container: ContainerSpec) -> list[str]:
    return [word.removeprefix("--port=") for word in container.argv if word.startswith("--port=")]


def test_without_the_option_it_is_told_what_would_run() -> None:
    _, (problem,) = pod_specs(_model("{name: a, image: web:1}"), Isolation.PORTS, gateway_pod())
    assert problem.code == "MG4001"
    assert "`meshgate up --stand-ins`" in problem.remedy


def test_it_is_told_what_it_stands_in_for() -> None:
    (container,) = _pod(
        "{name: a, image: 'registry.example/web:1', args: [serve], ports: [{containerPort: 80}]}"
    ).containers
    assert container.stands_in_for == "registry.example/web:1"
    assert container.argv == (
        sys.executable,
        "-P",
        "-m",
        "meshgate.standins",
        "--workload=web",
        "--container=a",
        "--image=registry.example/web:1",
        "--version=v2",
        "--port=80",
    )


def test_a_command_is_left_as_it_is() -> None:
    own, other = _pod(
        "{name: a, image: i, command: [run], ports: [{containerPort: 80}]}, {name: b, image: i}"
    ).containers
    assert (own.argv, own.stands_in_for) == (("run",), "")
    assert (other.stands_in_for, _ports(other)) == ("i", [])


def test_a_service_says_what_a_port_speaks() -> None:
    ports = (
        "{name: http, port: 80, targetPort: web}, {name: tcp-feed, port: 7000}, {name: a, port: 6000}, "
        "{name: dns, port: 53, protocol: UDP}, {name: dns-tcp, port: 53}, {name: u, port: 54, protocol: UDP}"
    )
    (container,) = _pod(
        "{name: a, image: i, ports: [{containerPort: 8080, name: web}, {containerPort: 9000}, "
        "{containerPort: 55, protocol: UDP}]}",
        ports,
    ).containers
    assert _ports(container) == ["53/tcp", "53/udp", "54/udp", "55/udp", "6000", "7000/tcp", "8080", "9000"]


def test_each_port_is_one_containers() -> None:
    first, second = _pod(
        "{name: a, image: i, ports: [{containerPort: 80}]}, "
        "{name: b, image: i, ports: [{containerPort: 80}, {containerPort: 81}]}",
        "{name: a, port: 80}, {name: b, port: 99}",
    ).containers
    assert (_ports(first), _ports(second)) == (["80", "99"], ["81"])


def test_probes_are_answered_where_a_program_of_ours_can() -> None:
    (container,) = _pod(
        "{name: a, image: i, workingDir: /srv, env: [{name: TOKEN, value: geheim}], "
        "readinessProbe: {tcpSocket: {port: 8081}}, livenessProbe: {exec: {command: [ask]}}, "
        "lifecycle: {preStop: {exec: {command: [leave]}}, postStart: {httpGet: {port: 80}}}}"
    ).containers
    assert _ports(container) == ["80", "8081"]
    assert container.readiness is not None
    assert container.readiness.action == TcpSocket(port=8081)
    assert container.liveness is None
    assert container.pre_stop is None
    assert container.post_start is None
    assert container.env == {}
    assert not (container.cwd or "").endswith("srv")
