"""Pods as the runtime is told to run them: their names and ports."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.app.pods import gateway_pod, pod_specs
from meshgate.pipeline import build, read_texts
from meshgate.runtime.spec import ContainerPort, Isolation, PodSpec

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: %s}
spec:
  selector: {matchLabels: {app: echo}}
  template:
    metadata: {labels: {app: echo}}
    spec: {containers: [{name: app, command: [serve], ports: [{name: http, containerPort: 8080}]}]}
---
"""
SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: echo}
spec:
  selector: {app: echo}
  ports:
  - {name: http, port: 80, targetPort: http}
  - {name: more, port: 81, targetPort: 9000}
  - {name: dns, port: 53, protocol: UDP}
"""


def _pod(text: str, isolation: Isolation) -> PodSpec:
    documents, problems = read_texts({str(Path("in.yaml")): text})
    assert not problems
    pods, problems = pod_specs(build(documents).model, isolation, gateway_pod())
    assert not problems
    return next(pod for pod in pods if pod.containers)


def test_a_service_leads_to_ports_that_no_container_names() -> None:
    """As in Kubernetes, where `containerPort` only tells."""
    pod = _pod(DEPLOYMENT % "echo" + SERVICE, Isolation.NETNS)
    assert pod.ports == (
        ContainerPort(number=8080, name="http"),
        ContainerPort(number=53, protocol="UDP"),
        ContainerPort(number=9000),
    )


@pytest.mark.parametrize("isolation", Isolation)
def test_a_service_that_comes_later_replaces_only_pods_that_must_be_told_their_port(
    isolation: Isolation,
) -> None:
    alone = _pod(DEPLOYMENT % "echo", isolation)
    served = _pod(DEPLOYMENT % "echo" + SERVICE, isolation)
    assert (alone.key == served.key) == (isolation is Isolation.NETNS)


def test_pods_of_long_names_have_names_that_folders_can_have() -> None:
    first, second = (_pod(DEPLOYMENT % ("a" * 252 + end), Isolation.NETNS) for end in "bc")
    assert first.workload == "a" * 252 + "b"
    assert first.name != second.name
    assert len(first.name) == 253
