"""What each meshed workload's sidecar accepts: its ports, and PeerAuthentication for each.

Precedence and inheritance follow Istio 1.27: port over workload over namespace over mesh,
the oldest policy of one level counts, UNSET inherits, PERMISSIVE where nobody says.
Internal to `link`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from meshgate.core.findings import Findings
from meshgate.model.declared import PeerPolicy
from meshgate.model.linking.input import Input, oldest_first, service_ref
from meshgate.model.linking.workloads import selects
from meshgate.model.names import GATEWAY_NAMESPACE, ROOT_NAMESPACE
from meshgate.model.service import AppProtocol, ServicePort
from meshgate.model.sidecar import Sidecar
from meshgate.model.workload import Inbound, InboundPort, MtlsMode, Workload

_ROOTS = frozenset({ROOT_NAMESPACE, GATEWAY_NAMESPACE})
"""A PeerAuthentication without selector here holds for the whole mesh."""

_KIND = "PeerAuthentication"


def link_inbound(
    given: Input,
    workloads: Mapping[str, Workload],
    backends: Mapping[str, tuple[str, ...]],
    sidecars: Mapping[str, Sidecar],
    findings: Findings,
) -> dict[str, Inbound]:
    """Inbound by workload key, also for workloads without a sidecar.

    Theirs is used while pods that still have one make room for pods that have none.
    """
    protocols = _declared_ports(given, workloads, backends, findings)
    policies = _Policies(given, findings)
    inbound: dict[str, Inbound] = {}
    meshed_first = sorted(workloads.items(), key=lambda entry: (not entry[1].meshed, entry[0]))
    reported = False
    for key, workload in meshed_first:
        if not workload.meshed and not reported:
            policies.report_idle()
            reported = True
        default, by_port = policies.modes(workload)
        numbers = {p.number: AppProtocol.UNKNOWN for p in workload.ports if not p.udp}
        numbers |= protocols.get(key, {})
        inbound[key] = Inbound(
            workload=workload.name,
            service_account=workload.service_account,
            ports=_ports(numbers, sidecars.get(key), default, by_port),
            default_mtls=default,
        )
    if not reported:
        policies.report_idle()
    return {key: inbound[key] for key in workloads}


def _ports(
    numbers: Mapping[int, AppProtocol],
    sidecar: Sidecar | None,
    default: MtlsMode,
    modes: Mapping[int, MtlsMode],
) -> tuple[InboundPort, ...]:
    """The ports that services name, or those of the Sidecar's `ingress` in their place."""
    pool = sidecar.inbound_pool if sidecar is not None else None
    if sidecar is None or not sidecar.ingress:
        return tuple(
            InboundPort(port=number, protocol=protocol, mtls=modes.get(number, default), pool=pool)
            for number, protocol in sorted(numbers.items())
        )
    return tuple(
        InboundPort(
            port=one.port,
            protocol=one.protocol,
            mtls=modes.get(one.port, default),
            endpoint=one.endpoint,
            pool=one.pool or pool,
        )
        for one in sorted(sidecar.ingress, key=lambda i: i.port)
    )


def _declared_ports(
    given: Input,
    workloads: Mapping[str, Workload],
    backends: Mapping[str, tuple[str, ...]],
    findings: Findings,
) -> dict[str, dict[int, AppProtocol]]:
    """Workload key -> container port -> protocol, from the services that select it.

    Where two services disagree the first by host counts, and one that declares a protocol
    over one that does not.
    """
    ports: dict[str, dict[int, AppProtocol]] = {}
    for host in sorted(backends):
        service = given.hosts[host]
        for port in service.ports:
            if port.protocol is AppProtocol.UDP:
                continue
            for key in backends[host]:
                number = container_port(port, workloads[key])
                if number is None:
                    findings.warn(
                        "MG2006",
                        port.origin,
                        service_ref(service.name),
                        f"targetPort {port.target!r} is no port of Deployment {workloads[key].name}",
                        "name the container port, or give its number",
                    )
                    continue
                known = ports.setdefault(key, {})
                if known.get(number, AppProtocol.UNKNOWN) is AppProtocol.UNKNOWN:
                    known[number] = port.protocol
    return ports


def container_port(port: ServicePort, workload: Workload) -> int | None:
    """The container port that a service port leads to; None where its name is unknown there."""
    if isinstance(port.target, int):
        return port.target or port.number
    return next((p.number for p in workload.ports if p.name == port.target), None)


class _Policies:
    """PeerAuthentications by level, the oldest of each; collisions are MG3008."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._findings = findings
        self._mesh: PeerPolicy | None = None
        self._namespaces: dict[str, PeerPolicy] = {}
        self._selecting: dict[str, list[PeerPolicy]] = {}
        self._used: set[int] = set()
        self._closed = frozenset(b.ref.namespace for b in given.broken_of(_KIND))
        for broken in given.broken_of(_KIND):
            scope = "the mesh" if broken.ref.namespace in _ROOTS else f"namespace {broken.ref.namespace}"
            findings.warn(
                "MG1104",
                broken.origin,
                broken.ref,
                f"is broken; until it is mended {scope} accepts mTLS only",
            )
        for policy in oldest_first(given.declared.peer_policies):
            self._file(policy)

    def _file(self, policy: PeerPolicy) -> None:
        if policy.selector:
            if policy.namespace in _ROOTS:
                self._findings.warn(
                    "MG1103",
                    policy.origin,
                    policy.ref,
                    "a selector in the root namespace has no effect",
                    "move the PeerAuthentication to the namespace of its workloads",
                    ("spec", "selector"),
                )
            self._selecting.setdefault(policy.namespace, []).append(policy)
            return
        if policy.ports:
            self._findings.warn(
                "MG2006",
                policy.origin,
                policy.ref,
                "portLevelMtls needs a selector; it has no effect",
                "add spec.selector.matchLabels",
                ("spec", "portLevelMtls"),
            )
        if policy.namespace in _ROOTS:
            if self._mesh is None:
                self._mesh = policy
                return
            older = self._mesh
        else:
            older = self._namespaces.setdefault(policy.namespace, policy)
        if older is not policy:
            self._collide(policy, older, "for the same scope")

    def modes(self, workload: Workload) -> tuple[MtlsMode, Mapping[int, MtlsMode]]:
        """(mode of ports that no policy names, modes of those that one names)."""
        namespace = workload.name.namespace
        if namespace in self._closed or self._closed & _ROOTS:
            return MtlsMode.STRICT, {}
        own = self._own(workload)
        mode = MtlsMode.PERMISSIVE
        for policy in (self._mesh, self._namespaces.get(namespace), own):
            if policy is not None and policy.mode is not None:
                mode = policy.mode
        ports = own.ports if own else {}
        return mode, {number: mode if wanted is None else wanted for number, wanted in ports.items()}

    def _own(self, workload: Workload) -> PeerPolicy | None:
        namespace = workload.name.namespace
        if namespace in _ROOTS:
            return None
        fitting: Sequence[PeerPolicy] = [
            p for p in self._selecting.get(namespace, ()) if selects(p.selector, workload.labels)
        ]
        self._used.update(id(p) for p in fitting)
        for policy in fitting[1:]:
            self._collide(policy, fitting[0], f"for Deployment {workload.name}")
        return fitting[0] if fitting else None

    def report_idle(self) -> None:
        """MG3007 for every policy whose selector took no meshed workload."""
        for namespace, policies in sorted(self._selecting.items()):
            for policy in policies:
                if id(policy) in self._used or namespace in _ROOTS or namespace in self._closed:
                    continue
                wanted = ", ".join(f"{k}={v}" for k, v in sorted(policy.selector.items()))
                self._findings.warn(
                    "MG3007",
                    policy.origin,
                    policy.ref,
                    f"no meshed Deployment in namespace {namespace} has the pod labels {wanted}",
                    "make the selector and the pod template's labels agree",
                    ("spec", "selector"),
                )

    def _collide(self, policy: PeerPolicy, older: PeerPolicy, scope: str) -> None:
        self._findings.warn(
            "MG3008",
            policy.origin,
            policy.ref,
            f"{older.ref} at {older.origin} is older and decides {scope}; this one has no effect there",
            "merge the two",
        )
