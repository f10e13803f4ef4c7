"""Workloads: who gets a sidecar, what their environment says, and which services they answer.

Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import assert_never

from meshgate.core.findings import Findings
from meshgate.core.secret import Secret
from meshgate.model.declared import Namespace
from meshgate.model.graph import workload_key
from meshgate.model.linking.endpoints import selected_machines
from meshgate.model.linking.input import Input, service_ref
from meshgate.model.linking.proxy_configs import SidecarSettings
from meshgate.model.names import Name
from meshgate.model.workload import Container, EnvKind, EnvRef, EnvVar, Workload

INJECT = "sidecar.istio.io/inject"
_NEVER = frozenset({"kube-system", "kube-public", "kube-node-lease", "local-path-storage"})
"""Namespaces that Istio 1.27's injector leaves alone."""


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether all of the selector's labels are there; an empty selector takes everything."""
    return all(labels.get(key) == value for key, value in selector.items())


def is_meshed(namespace: Namespace | None, workload: Workload) -> bool:
    """Whether the pods get a sidecar, as Istio 1.27's injector decides with default settings.

    The namespace's `istio-injection` (or any `istio.io/rev`, all revisions are this one)
    turns it on or off; the pod's own `sidecar.istio.io/inject` says no anywhere, and yes
    wherever the namespace does not say `disabled`. Unlike Istio, which needs the label to
    opt in where the namespace says nothing, the annotation does there as well.
    """
    if workload.name.namespace in _NEVER:
        return False
    labels = namespace.labels if namespace else {}
    injection = labels.get("istio-injection", "")
    wanted = workload.labels.get(INJECT, workload.annotations.get(INJECT, "")).lower()
    if injection == "disabled" or (wanted and wanted not in ("y", "yes", "true", "on")):
        return False
    return bool(
        wanted
        or injection == "enabled"
        or (not injection and labels.get("istio.io/rev"))
        or workload.labels.get("istio.io/rev")
    )


def link_workloads(given: Input, findings: Findings) -> dict[str, Workload]:
    """The workloads by key, `meshed` decided and every environment value fetched.

    A missing service account is MG3006, an environment value that cannot be had MG4004.
    """
    linked: dict[str, Workload] = {}
    settings = SidecarSettings(given, findings)
    for name, workload in given.workloads.items():
        account = Name(name.namespace, workload.service_account)
        if account.name != "default" and account not in given.service_accounts:
            findings.warn(
                "MG3006",
                workload.origin,
                workload.ref,
                f"service account {account} {given.absence('ServiceAccount', account)}",
                "add the ServiceAccount; until then the pods run with an identity of that name",
            )
        containers = tuple(_resolve(c, workload, given, findings) for c in workload.containers)
        meshed = is_meshed(given.namespaces.get(name.namespace), workload)
        proxy = settings.of(workload) if meshed else workload.proxy
        linked[workload_key(name)] = replace(workload, containers=containers, meshed=meshed, proxy=proxy)
    settings.report_idle()
    return linked


def link_backends(given: Input, findings: Findings) -> dict[str, tuple[str, ...]]:
    """Full host -> keys of the workloads that its selector takes; MG3007 where there is none."""
    labelled: dict[tuple[str, str, str], list[Workload]] = {}
    for workload in given.workloads.values():
        for label in workload.labels.items():
            labelled.setdefault((workload.name.namespace, *label), []).append(workload)
    backends: dict[str, tuple[str, ...]] = {}
    for name, service in (*given.services.items(), *((e.name, e) for e in given.entries.values())):
        if not service.selector or service.host in backends:
            continue
        candidates = min(
            (labelled.get((name.namespace, *label), []) for label in service.selector.items()), key=len
        )
        keys = sorted(workload_key(w.name) for w in candidates if selects(service.selector, w.labels))
        backends[service.host] = tuple(keys)
        if not keys and not selected_machines(service, given):
            wanted = ", ".join(f"{k}={v}" for k, v in sorted(service.selector.items()))
            findings.warn(
                "MG3007",
                service.origin,
                service_ref(name),
                f"no Deployment in namespace {name.namespace} has the pod labels {wanted}; requests get 503",
                "make the selector and the pod template's labels agree",
                ("spec", "selector"),
            )
    return backends


def _resolve(container: Container, workload: Workload, given: Input, findings: Findings) -> Container:
    """The container with every environment value in place; of one name the last stays, in its place."""
    values: dict[str, EnvVar] = {}
    for source in container.env_from:
        for key, value in _entries(source, workload, given, findings):
            values.pop(source.prefix + key, None)
            values[source.prefix + key] = EnvVar(name=source.prefix + key, value=value)
    for variable in container.env:
        found: str | Secret | None = variable.value
        if variable.ref is not None:
            found = _value(variable.ref, workload, given, findings)
        if found is not None:
            values.pop(variable.name, None)
            values[variable.name] = EnvVar(name=variable.name, value=found)
    return replace(container, env=tuple(values.values()), env_from=())


def _entries(
    ref: EnvRef, workload: Workload, given: Input, findings: Findings
) -> Iterator[tuple[str, str | Secret]]:
    data = _data(ref, workload.name.namespace, given)
    if data is not None:
        yield from sorted(data.items(), key=lambda entry: entry[0])
    elif not ref.optional:
        _missing(ref, workload, given, findings)


def _value(ref: EnvRef, workload: Workload, given: Input, findings: Findings) -> str | Secret | None:
    data = _data(ref, workload.name.namespace, given)
    if data is not None and ref.key in data:
        return data[ref.key]
    if not ref.optional:
        _missing(ref, workload, given, findings, has_object=data is not None)
    return None


def _data(ref: EnvRef, namespace: str, given: Input) -> Mapping[str, str | Secret] | None:
    name = Name(namespace, ref.name)
    match ref.kind:
        case EnvKind.SECRET:
            secret = given.secrets.get(name)
            return secret.data if secret else None
        case EnvKind.CONFIG_MAP:
            config = given.config_maps.get(name)
            return config.data if config else None
        case _:
            assert_never(ref.kind)


def _missing(
    ref: EnvRef, workload: Workload, given: Input, findings: Findings, *, has_object: bool = False
) -> None:
    name = Name(workload.name.namespace, ref.name)
    problem = f"has no key {ref.key!r}" if has_object else given.absence(ref.kind.value, name)
    findings.error(
        "MG4004",
        ref.origin,
        workload.ref,
        f"{ref.kind.value} {name} {problem}; the variable is not set",
        "add it, or set optional: true",
    )
