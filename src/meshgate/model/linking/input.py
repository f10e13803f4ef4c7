"""The declared objects in one canonical order, by name, and the diagnostics found so far.

Every linking step reads through `Input` and so cannot depend on the order of documents.
Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Protocol, TypeVar

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import FieldPath, Origin
from meshgate.model.declared import (
    Broken,
    ConfigMapObject,
    Declared,
    Namespace,
    Plugin,
    PluginScope,
    SecretObject,
)
from meshgate.model.external import Machine
from meshgate.model.linking.receivers import with_receivers
from meshgate.model.mesh_config import MeshConfig
from meshgate.model.names import Name, requested_host
from meshgate.model.service import Service
from meshgate.model.workload import Workload


class Aged(Protocol):
    """An object of which the older one wins."""

    @property
    def ref(self) -> ObjectRef: ...
    @property
    def created(self) -> str: ...
    @property
    def origin(self) -> Origin: ...


class Placed(Protocol):
    @property
    def origin(self) -> Origin: ...


A = TypeVar("A", bound=Aged)
K = TypeVar("K")
P = TypeVar("P", bound=Placed)


def service_ref(name: Name) -> ObjectRef:
    return ObjectRef("Service", name.namespace, name.name)


def workload_ref(name: Name) -> ObjectRef:
    return ObjectRef("Deployment", name.namespace, name.name, "apps")


def oldest_first(items: Iterable[A]) -> tuple[A, ...]:
    """By creation time, then name, then namespace, as Istio 1.27 sorts; then by place."""
    return tuple(sorted(items, key=lambda i: (i.created, i.ref.name, i.ref.namespace, i.ref, i.origin)))


def named_service(host: str) -> Name | None:
    """The service that a full host names; None for hosts outside of the mesh and wildcards."""
    labels = host.split(".")
    full = len(labels) > 3 and labels[2] == "svc" and "*" not in labels[0]
    return Name(labels[1], labels[0]) if full else None


def with_defaults(declared: Declared) -> Declared:
    """Rules that do not say whom they are exported to are exported as the mesh says."""
    config = next(iter(declared.mesh_configs), MeshConfig())
    rules = config.default_virtual_service_export_to
    destinations = config.default_destination_rule_export_to
    services = config.default_service_export_to
    return replace(
        declared,
        service_entries=tuple(
            e
            if e.external is None or e.external.export_to
            else replace(e, external=replace(e.external, export_to=services))
            for e in declared.service_entries
        ),
        mesh_rules=tuple(r if r.export_to else replace(r, export_to=rules) for r in declared.mesh_rules),
        destination_rules=tuple(
            r if r.export_to else replace(r, export_to=destinations) for r in declared.destination_rules
        ),
    )


class Input:
    """Looks declared objects up by name; of two with one name the first by place counts (MG1106)."""

    def __init__(self, declared: Declared, findings: Findings) -> None:
        self.mesh_config = next(iter(declared.mesh_configs), MeshConfig())
        self.declared = declared
        self._findings = findings
        self.namespaces: dict[str, Namespace] = self._unique(
            declared.namespaces, lambda n: n.name, lambda n: ObjectRef("Namespace", "", n)
        )
        self.services: dict[Name, Service] = self._unique(declared.services, lambda s: s.name, service_ref)
        self.entries = self._entries()
        self.hosts: dict[str, Service] = {**self.entries, **{s.host: s for s in self.services.values()}}
        self.workloads: dict[Name, Workload] = self._unique(
            declared.workloads, lambda w: w.name, workload_ref
        )
        self.secrets: dict[Name, SecretObject] = self._unique(
            declared.secrets, lambda s: s.name, lambda n: ObjectRef("Secret", n.namespace, n.name)
        )
        self.config_maps: dict[Name, ConfigMapObject] = self._unique(
            declared.config_maps, lambda c: c.name, lambda n: ObjectRef("ConfigMap", n.namespace, n.name)
        )
        self.service_accounts = frozenset(a.name for a in declared.service_accounts)
        plugins: dict[tuple[PluginScope, Name], Plugin] = self._unique(
            declared.plugins,
            lambda p: (p.scope, p.name),
            lambda k: ObjectRef(k[0].value, k[1].namespace, k[1].name, "configuration.konghq.com"),
        )
        self.plugins = with_receivers(plugins, self.hosts)
        self.machines = self._machines()
        self._broken: dict[tuple[str, str, str], Broken] = {
            (b.ref.kind, b.ref.namespace, b.ref.name): b
            for b in sorted(declared.broken, key=lambda b: (b.ref, b.origin, b.problem), reverse=True)
        }

    def _entries(self) -> dict[str, Service]:
        """ServiceEntries by host; of two for one host the first by name counts (MG3008)."""
        entries: dict[str, Service] = {}
        for entry in sorted(self.declared.service_entries, key=lambda e: (e.host, e.name, e.origin)):
            first = entries.setdefault(entry.host, entry)
            if first is not entry:
                self._findings.warn(
                    "MG3008",
                    entry.origin,
                    ObjectRef("ServiceEntry", entry.name.namespace, entry.name.name, "networking.istio.io"),
                    f"ServiceEntry {first.name} at {first.origin} already adds {entry.host}",
                    "keep the host in one of them",
                )
        return entries

    def _machines(self) -> dict[str, tuple[Machine, ...]]:
        """WorkloadEntries by namespace."""
        found: dict[str, list[Machine]] = {}
        groups = {g.name: g for g in sorted(self.declared.machine_groups, key=lambda g: g.origin)}
        for machine in sorted(self.declared.machines, key=lambda m: (m.name, m.origin)):
            group = groups.get(Name(machine.name.namespace, machine.group)) if machine.group else None
            if group is not None:
                machine = replace(machine, endpoint=group.complete(machine.endpoint))
            elif machine.group:
                name = machine.name
                self._findings.warn(
                    "MG3051",
                    machine.origin,
                    ObjectRef("WorkloadEntry", name.namespace, name.name, "networking.istio.io"),
                    f"WorkloadGroup {name.namespace}/{machine.group} does not exist; its health is not asked",
                    "add the WorkloadGroup, or take the annotation away",
                )
            found.setdefault(machine.name.namespace, []).append(machine)
        return {namespace: tuple(machines) for namespace, machines in found.items()}

    def broken(self, kind: str, name: Name) -> Broken | None:
        """The object of that kind and name that is there but has errors."""
        return self._broken.get((kind, name.namespace, name.name))

    def broken_of(self, kind: str) -> tuple[Broken, ...]:
        return tuple(b for (k, _, _), b in sorted(self._broken.items()) if k == kind)

    def absence(self, kind: str, name: Name) -> str:
        """Why an object cannot be used: `does not exist`, or what is wrong with it."""
        found = self.broken(kind, name)
        return f"is broken: {found.problem}" if found else "does not exist"

    def report_host(self, written: str, host: str, at: Origin, ref: ObjectRef, path: FieldPath) -> None:
        """MG3011 for a host whose rules can have no effect: no such service, or a half-written name."""
        name = named_service(host)
        if name is not None and name not in self.services:
            self._findings.warn(
                "MG3011",
                at,
                ref,
                f"service {name} {self.absence('Service', name)}; the rules for it have no effect",
                "add the Service, or mend the host",
                path,
            )
        meant = requested_host(host, "")
        if host not in self.hosts and meant != host and meant in self.hosts:
            self._findings.warn(
                "MG3011",
                at,
                ref,
                f"{written!r} is not completed to {meant}, as only names without a dot are",
                f"write {meant}",
                path,
            )

    def _unique(self, items: Iterable[P], key: Callable[[P], K], ref: Callable[[K], ObjectRef]) -> dict[K, P]:
        kept: dict[K, P] = {}
        for item in sorted(items, key=lambda i: (str(key(i)), i.origin)):
            name = key(item)
            if name not in kept:
                kept[name] = item
            elif item != kept[name]:
                self._findings.error(
                    "MG1106",
                    item.origin,
                    ref(name),
                    f"is already defined at {kept[name].origin}; this one has no effect",
                    "keep one of them",
                )
        return kept
