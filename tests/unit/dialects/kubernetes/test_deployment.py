"""apps/v1 Deployment: what runs, its environment, its probes, and what has no effect here."""

from __future__ import annotations

import pytest

from meshgate.model.workload import (
    Container,
    ContainerPort,
    EnvKind,
    ExecProbe,
    GrpcProbe,
    HttpGet,
    Probe,
    TcpSocket,
    Workload,
)
from tests.unit.dialects.reading import declared, read, said

_POD = "      containers:\n      - name: main\n        command: [run]\n"


def _deployment(pod: str = _POD, *, spec: str = "", template: str = "") -> str:
    return (
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec:\n"
        f"{spec}  selector: {{matchLabels: {{app: a}}}}\n"
        f"  template:\n    metadata: {{labels: {{app: a, v: '1'}}{template}}}\n    spec:\n{pod}"
    )


def _workload(text: str) -> Workload:
    (workload,) = declared(text).workloads
    return workload


def _container(more: str) -> Container:
    return _workload(_deployment(_POD + more)).containers[0]


def test_a_deployment() -> None:
    workload = _workload(
        _deployment(
            _POD
            + "        args: [--port, '80']\n        workingDir: /srv\n"
            + "        ports: [{containerPort: 8080, name: http}, {containerPort: 9}]\n"
            + "      serviceAccountName: robot\n      terminationGracePeriodSeconds: 5\n",
            spec="  replicas: 3\n",
            template=", annotations: {sidecar.istio.io/inject: 'false', mine: x}",
        )
    )
    assert (str(workload.name), workload.replicas, workload.service_account) == ("default/a", 3, "robot")
    assert workload.labels == {"app": "a", "v": "1"}
    assert workload.annotations == {"sidecar.istio.io/inject": "false", "mine": "x"}
    assert workload.termination_grace_s == 5
    (container,) = workload.containers
    assert container.argv == ("run", "--port", "80")
    assert container.ports == (ContainerPort(number=8080, name="http"), ContainerPort(number=9))
    assert (container.working_dir, str(container.origin)) == ("/srv", "f.yaml:11:9")


def test_the_command_annotation_replaces_the_first_containers_command() -> None:
    pod = "      containers:\n      - {name: one}\n      - {name: two, args: [x]}\n"
    workload = _workload(
        _deployment(pod, template=", annotations: {meshgate.dev/command: \"python3 'a b.py' 80\"}")
    )
    assert [c.argv for c in workload.containers] == [("python3", "a b.py", "80"), ()]


def test_values_of_other_objects_stay_references() -> None:
    container = _container(
        "        envFrom: [{prefix: P_, configMapRef: {name: all}}, {secretRef: {name: s, optional: true}}]\n"
        "        env:\n"
        "        - {name: A, value: b}\n"
        "        - {name: EMPTY}\n"
        "        - {name: S, valueFrom: {secretKeyRef: {name: s, key: k}}}\n"
        "        - {name: C, valueFrom: {configMapKeyRef: {name: c, key: k, optional: true}}}\n"
    )
    assert [(r.kind, r.name, r.prefix, r.optional) for r in container.env_from] == [
        (EnvKind.CONFIG_MAP, "all", "P_", False),
        (EnvKind.SECRET, "s", "", True),
    ]
    plain, empty, secret, config = container.env
    assert (plain.name, plain.value, plain.ref) == ("A", "b", None)
    assert (empty.name, empty.value) == ("EMPTY", "")
    assert secret.ref is not None
    assert (secret.ref.kind, secret.ref.name, secret.ref.key) == (EnvKind.SECRET, "s", "k")
    assert str(secret.ref.origin) == "f.yaml:16:32"
    assert config.ref is not None
    assert (config.ref.kind, config.ref.optional) == (EnvKind.CONFIG_MAP, True)


def test_facts_about_the_pod() -> None:
    fields = {
        "POD_NAME": "metadata.name",
        "ME": "metadata.name",
        "IP": "status.podIP",
        "SA": "spec.serviceAccountName",
        "V": "metadata.labels['v']",
        "NONE": "metadata.annotations['none']",
    }
    env = "".join(
        f'        - {{name: {name}, valueFrom: {{fieldRef: {{fieldPath: "{path}"}}}}}}\n'
        for name, path in fields.items()
    )
    assert {e.name: e.value for e in _container("        env:\n" + env).env} == {
        # POD_NAME itself is set by the runtime, so it is left to it.
        "ME": "$(POD_NAME)",
        "IP": "$(POD_IP)",
        "SA": "default",
        "V": "1",
        "NONE": "",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{httpGet: {port: 80}}", Probe(action=HttpGet(path="/", port=80))),
        (
            "{httpGet: {path: h, port: 80, scheme: HTTPS, httpHeaders: [{name: A, value: b}]}, "
            "periodSeconds: 1}",
            Probe(action=HttpGet(path="/h", port=80, scheme="HTTPS", headers=(("A", "b"),)), period_s=1),
        ),
        ("{tcpSocket: {port: 80}, timeoutSeconds: 3}", Probe(action=TcpSocket(port=80), timeout_s=3)),
        ("{exec: {command: [a, b]}}", Probe(action=ExecProbe(argv=("a", "b")))),
        (
            "{grpc: {port: 80, service: s}, failureThreshold: 9, initialDelaySeconds: 2}",
            Probe(action=GrpcProbe(port=80, service="s"), failure_threshold=9, initial_delay_s=2),
        ),
    ],
)
def test_probes(text: str, expected: Probe) -> None:
    container = _container(
        f"        readinessProbe: {text}\n        livenessProbe: {text}\n        startupProbe: {text}\n"
    )
    assert (container.readiness, container.liveness, container.startup) == (expected,) * 3


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        (
            "        readinessProbe: {httpGet: {port: web}}\n",
            "12:42: error MG2006 Deployment default/a "
            "spec.template.spec.containers[0].readinessProbe.httpGet.port: "
            "no container port is named 'web'",
        ),
        (
            "        livenessProbe: {successThreshold: 2, exec: {command: [a]}}\n",
            "12:43: error MG2002 Deployment default/a spec.template.spec.containers[0].livenessProbe."
            "successThreshold: must be 1 in a livenessProbe, got 2",
        ),
        (
            "        startupProbe: {periodSeconds: 2}\n",
            "12:23: error MG2006 Deployment default/a spec.template.spec.containers[0].startupProbe: "
            "needs exactly one of httpGet, tcpSocket, exec, grpc",
        ),
        (
            "        env: [{name: A, value: 1}]\n",
            "12:32: error MG2001 Deployment default/a spec.template.spec.containers[0].env[0].value: "
            "must be a string, got 1; put it in quotes",
        ),
        (
            "        env: [{name: A, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}]\n",
            "12:59: warning MG4004 Deployment default/a "
            "spec.template.spec.containers[0].env[0].valueFrom.fieldRef."
            "fieldPath: 'status.hostIP' is not known here; A is not set",
        ),
        (
            "        env: [{name: A, valueFrom: {resourceFieldRef: {resource: limits.cpu}}}]\n",
            "12:37: warning MG1103 Deployment default/a spec.template.spec.containers[0].env[0].valueFrom."
            "resourceFieldRef: is not supported; the variable is not set",
        ),
        (
            "        envFrom: [{prefix: A}]\n",
            "12:19: error MG2006 Deployment default/a spec.template.spec.containers[0].envFrom[0]: "
            "needs either secretRef or configMapRef",
        ),
        (
            "      - {name: main, command: [b]}\n",
            "10:7: error MG2006 Deployment default/a spec.template.spec.containers: 2 containers "
            "are named 'main'",
        ),
        (
            "        image: x\n        resources: {}\n      volumes: []\n",
            "14:7: warning MG1103 Deployment default/a spec.template.spec.volumes: has no effect: "
            "nothing is mounted, processes see the machine's own files",
        ),
        (
            "        image: x\n        imagePullPolicy: Always\n      securityContext: {}\n",
            "12:9: info MG1103 Deployment default/a spec.template.spec.containers[0].image: not used here: "
            "spec.template.spec.containers[0].image, spec.template.spec.containers[0].imagePullPolicy, "
            "spec.template.spec.securityContext",
        ),
        (
            "        imgae: x\n",
            "12:9: error MG1102 Deployment default/a spec.template.spec.containers[0].imgae: unknown field; "
            "did you mean image?",
        ),
        (
            "      restartPolicy: Never\n",
            "12:22: error MG2002 Deployment default/a spec.template.spec.restartPolicy: must be one "
            "of Always, "
            "got 'Never'",
        ),
    ],
)
def test_mistakes_in_the_pod(more: str, expected: str) -> None:
    assert f"f.yaml:{expected}" in said(_deployment(_POD + more))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            _deployment().replace("matchLabels: {app: a}", "matchLabels: {app: b}"),
            "5:13: error MG2006 Deployment default/a spec.selector: does not take the pods of its "
            "own template; "
            "give spec.template.metadata.labels the labels of spec.selector.matchLabels",
        ),
        (
            _deployment().replace("{matchLabels: {app: a}}", "{}"),
            "5:13: error MG2003 Deployment default/a spec.selector: needs matchLabels or matchExpressions",
        ),
        (
            _deployment(template=', annotations: {meshgate.dev/command: "a \'b"}'),
            "7:78: error MG2005 Deployment default/a "
            "spec.template.metadata.annotations['meshgate.dev/command']: "
            'must be a command line: no closing quotation, got "a \'b"',
        ),
        (
            _deployment(template=", annotations: {meshgate.dev/comand: a}"),
            "7:56: error MG2005 Deployment default/a "
            "spec.template.metadata.annotations['meshgate.dev/comand']: "
            "unknown annotation meshgate.dev/comand; did you mean meshgate.dev/command?",
        ),
        (
            _deployment().replace("{name: a}", "{name: a, annotations: {meshgate.dev/command: a}}"),
            "3:35: error MG2005 Deployment default/a metadata.annotations['meshgate.dev/command']: "
            "meshgate.dev/command belongs to the pod template; move it to spec.template.metadata.annotations",
        ),
        (
            _deployment(template=", annotations: {proxy.istio.io/config: a}"),
            "7:79: error MG2001 Deployment default/a "
            "spec.template.metadata.annotations['proxy.istio.io/config']: must be an object in YAML, "
            "got 'a'",
        ),
        (
            _deployment("      containers: []\n"),
            "9:19: error MG2002 Deployment default/a spec.template.spec.containers: must have at "
            "least 1, got a list",
        ),
    ],
)
def test_mistakes_around_the_pod(text: str, expected: str) -> None:
    assert said(text) == [f"f.yaml:{expected}"]
    assert bool(read(text).declared.workloads) == (" warning " in expected)


@pytest.mark.parametrize(
    ("expressions", "fits"),
    [
        ("{key: app, operator: In, values: [a, b]}", True),
        ("{key: app, operator: NotIn, values: [a]}", False),
        ("{key: app, operator: Exists}", True),
        ("{key: app, operator: DoesNotExist}", False),
    ],
)
def test_selector_expressions(expressions: str, fits: bool) -> None:
    text = _deployment().replace("matchLabels: {app: a}", f"matchExpressions: [{expressions}]")
    assert (said(text) == []) == fits
