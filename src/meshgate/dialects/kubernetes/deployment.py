"""apps/v1 Deployment: what runs, how often, and with which identity."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import PurePath
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.annotation_list import MESHGATE, POD_TEMPLATE
from meshgate.dialects.annotations import annotation_path, near_annotation
from meshgate.dialects.document import Document, is_dns_name
from meshgate.dialects.kind import KindParser, Lowered
from meshgate.dialects.kubernetes.environment import EnvironmentLowering, PodFacts
from meshgate.dialects.kubernetes.lifecycle import lifecycle_problems, lower_hook
from meshgate.dialects.kubernetes.pod import ContainerSpec, PodSpec, PodTemplate
from meshgate.dialects.kubernetes.probe import lower_probe, probe_problems
from meshgate.dialects.kubernetes.rollout import StrategySpec, lower_rollout, strategy_problems
from meshgate.dialects.kubernetes.selector import LabelSelector, selects
from meshgate.dialects.metadata import ObjectSpec
from meshgate.dialects.pod_annotations import pod_annotations
from meshgate.dialects.schema import Spec, check, problem, show
from meshgate.model.declared import Declared
from meshgate.model.names import Name
from meshgate.model.workload import Container, ContainerPort, Workload

COMMAND = f"{MESHGATE}command"
ON_SIDECAR_FAILURE = f"{MESHGATE}on-sidecar-failure"
_BYPASS, _BLOCK = "bypass", "block"
_TEMPLATE: FieldPath = ("spec", "template")
_ANNOTATIONS: FieldPath = (*_TEMPLATE, "metadata", "annotations")
_POD: FieldPath = (*_TEMPLATE, "spec")


class DeploymentDetails(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "progressDeadlineSeconds": "a rollout goes on until its pods are ready",
        "revisionHistoryLimit": "no old templates are kept",
    }
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"paused": "has no effect: changes are rolled out at once"}

    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    selector: LabelSelector
    template: PodTemplate
    strategy: StrategySpec = StrategySpec()
    min_ready_seconds: Annotated[int, Field(ge=0, le=2**31 - 1)] = 0


class DeploymentSpec(ObjectSpec):
    spec: DeploymentDetails


def lower(document: Document) -> Lowered:
    """A workload: its pod template's containers as processes, and how many pods."""
    value, diagnostics = check(DeploymentSpec, document)
    if value is None:
        return Lowered(diagnostics=tuple(diagnostics))
    spec = value.spec
    diagnostics.extend(strategy_problems(spec.strategy, document))
    workload, problems = lower_template(spec.template, spec.selector, document)
    rollout = lower_rollout(spec.strategy, spec.replicas, spec.min_ready_seconds)
    workload = replace(workload, replicas=spec.replicas, rollout=rollout)
    return Lowered(declared=Declared(workloads=(workload,)), diagnostics=(*diagnostics, *problems))


def lower_template(
    template: PodTemplate, selector: LabelSelector, document: Document
) -> tuple[Workload, list[Diagnostic]]:
    """A workload of one pod, of whatever kind that has a pod template at `spec.template`."""
    pod, metadata = template.spec, template.metadata
    diagnostics: list[Diagnostic] = []
    diagnostics.extend(_selector_problems(selector, metadata.labels, document))
    diagnostics.extend(_annotation_problems(metadata.annotations, document))
    istio = pod_annotations(metadata.annotations, document, _ANNOTATIONS)
    diagnostics.extend(istio.diagnostics)
    diagnostics.extend(_pod_problems(pod, document))
    account = pod.service_account_name or pod.service_account or "default"
    facts = PodFacts(account, metadata.labels, metadata.annotations)
    containers: list[Container] = []
    for i, container in enumerate(pod.containers):
        environment = EnvironmentLowering(document, facts, (*_POD, "containers", i))
        command = metadata.annotations.get(COMMAND) if i == 0 else None
        containers.append(_container(container, i, command, environment, document))
        diagnostics.extend(environment.diagnostics)
    workload = Workload(
        name=Name(document.namespace, document.ref.name),
        kind=document.ref.kind,
        labels=metadata.labels,
        annotations=metadata.annotations,
        service_account=account,
        containers=tuple(containers),
        bypass=metadata.annotations.get(ON_SIDECAR_FAILURE) == _BYPASS,
        directory="" if document.source is None else str(PurePath(document.file).parent),
        termination_grace_s=pod.termination_grace_period_seconds,
        proxy=istio.settings,
        capture=istio.capture,
        origin=document.locate(),
    )
    return workload, diagnostics


def _container(
    spec: ContainerSpec,
    index: int,
    command: str | None,
    environment: EnvironmentLowering,
    document: Document,
) -> Container:
    argv = (*spec.command, *spec.args)
    if not spec.command:
        # `args` alone are arguments of the image's own command, which is not known here.
        argv = ()
    if command is not None:
        argv = _split(command) or argv
    return Container(
        name=spec.name,
        argv=argv,
        image=spec.image if not argv else "",
        env=environment.env(spec.env),
        env_from=environment.env_from(spec.env_from),
        ports=tuple(
            ContainerPort(number=p.container_port, name=p.name, udp=p.protocol == "UDP") for p in spec.ports
        ),
        readiness=lower_probe(spec.readiness_probe),
        liveness=lower_probe(spec.liveness_probe),
        startup=lower_probe(spec.startup_probe),
        post_start=lower_hook(spec.lifecycle.post_start),
        pre_stop=lower_hook(spec.lifecycle.pre_stop),
        working_dir=spec.working_dir,
        origin=document.locate((*_POD, "containers", index)),
    )


def _split(command: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(command))
    except ValueError:
        return ()  # reported with the annotations


def _selector_problems(
    selector: LabelSelector, labels: Mapping[str, str], document: Document
) -> Iterator[Diagnostic]:
    path = ("spec", "selector")
    if selector.is_empty:
        yield problem(document, "MG2003", path, "needs matchLabels or matchExpressions")
    elif not selects(selector, labels):
        yield problem(
            document,
            "MG2006",
            path,
            "does not take the pods of its own template",
            remedy="give spec.template.metadata.labels the labels of spec.selector.matchLabels",
        )


def _annotation_problems(annotations: Mapping[str, str], document: Document) -> Iterator[Diagnostic]:
    for name, value in annotations.items():
        path = (*_ANNOTATIONS, name)
        if name == COMMAND:
            try:
                wrong = "" if shlex.split(value) else "must not be empty"
            except ValueError as error:
                wrong = f"must be a command line: {str(error).lower()}"
            if wrong or "\0" in value:
                yield problem(document, "MG2005", path, f"{wrong or 'must be text'}, got {show(value)}")
        elif name == ON_SIDECAR_FAILURE:
            if value not in (_BYPASS, _BLOCK):
                yield problem(document, "MG2005", path, f"must be {_BYPASS} or {_BLOCK}, got {show(value)}")
        elif name.startswith(MESHGATE):
            near = near_annotation(name, POD_TEMPLATE, MESHGATE)
            yield problem(document, "MG2005", path, f"unknown annotation {name}", remedy=near, key=True)
    root: Mapping[str, object] = document.data
    metadata = root.get("metadata")
    written = metadata.get("annotations") if isinstance(metadata, Mapping) else None
    for name in written if isinstance(written, Mapping) else ():
        if name in (COMMAND, ON_SIDECAR_FAILURE):
            yield problem(
                document,
                "MG2005",
                annotation_path(name),
                f"{name} belongs to the pod template",
                remedy="move it to spec.template.metadata.annotations",
                key=True,
            )
        elif isinstance(name, str) and name.startswith(MESHGATE):
            near = near_annotation(name, POD_TEMPLATE, MESHGATE)
            at = annotation_path(name)
            yield problem(document, "MG2005", at, f"unknown annotation {name}", remedy=near, key=True)


def _pod_problems(pod: PodSpec, document: Document) -> Iterator[Diagnostic]:
    account = pod.service_account_name or pod.service_account
    if account and not is_dns_name(account):
        yield problem(
            document,
            "MG2004",
            (*_POD, "serviceAccountName"),
            f"must be an object's name, got {show(account)}",
        )
    for what, count in Counter(c.name for c in pod.containers).items():
        if count > 1:
            yield problem(document, "MG2006", (*_POD, "containers"), f"{count} containers are named {what!r}")
    names = [p.name for c in pod.containers for p in c.ports if p.name]
    for what, count in Counter(names).items():
        if count > 1:
            yield problem(document, "MG2006", (*_POD, "containers"), f"{count} ports are named {what!r}")
    for i, container in enumerate(pod.containers):
        at = (*_POD, "containers", i)
        if any("\0" in text for text in (*container.command, *container.args, container.working_dir)):
            yield problem(document, "MG2002", at, "command and args must not hold the character U+0000")
        yield from lifecycle_problems(container.lifecycle, frozenset(names), document, (*at, "lifecycle"))
        for kind, probe in (
            ("readinessProbe", container.readiness_probe),
            ("livenessProbe", container.liveness_probe),
            ("startupProbe", container.startup_probe),
        ):
            if probe is not None:
                yield from probe_problems(probe, kind, frozenset(names), document, (*at, kind))


KIND = KindParser(
    group="apps",
    kind="Deployment",
    versions=frozenset({"v1"}),
    namespaced=True,
    lower=lower,
    plural="deployments",
    short_names=("deploy",),
)
