"""Who decides for CUSTOM policies: MeshConfig's extension providers. Internal to `link`.

As in Istio 1.27 a workload whose provider cannot be had lets nothing in. Several providers
for one workload, which Istio refuses, are all asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.findings import Findings
from meshgate.core.origin import FieldPath, Origin
from meshgate.model.authorization import Action, AuthorizationPolicy, Authorizer
from meshgate.model.linking.input import Input
from meshgate.model.mesh_config import ExtAuthz
from meshgate.model.names import ROOT_NAMESPACE, requested_host
from meshgate.model.service import AppProtocol

Say = Callable[[str, Origin, ObjectRef, str, str, FieldPath], None]


class Authorizers:
    """Looks up each provider once; what is wrong with it is MG3031 at the policy that names it."""

    def __init__(self, given: Input, findings: Findings) -> None:
        self._given, self._findings = given, findings
        self._reported: set[tuple[int, str]] = set()

    def of(self, policies: Iterable[AuthorizationPolicy]) -> tuple[tuple[Authorizer, ...], tuple[str, ...]]:
        """(providers of the CUSTOM policies among them by name, why the workload must stay closed)."""
        found: dict[str, Authorizer] = {}
        problems: list[str] = []
        for policy in policies:
            if policy.action is not Action.CUSTOM or policy.closed:
                continue
            authorizer, problem = self._find(policy.provider)
            if authorizer is None:
                problems.append(f"{policy.ref}: {problem}")
                text = f"{problem}; the workloads of the policy let nothing in"
                self._report(policy, text, self._findings.error)
                continue
            found[policy.provider] = authorizer
            if problem:
                self._report(policy, problem, self._findings.warn)
        return tuple(found[name] for name in sorted(found)), tuple(problems)

    def _find(self, name: str) -> tuple[Authorizer | None, str]:
        """The provider, or why there is none; with both it can be asked and will hardly answer."""
        provider = self._given.mesh_config.provider(name)
        if provider is None:
            return None, f"MeshConfig has no extension provider {name!r}"
        settings = provider.provider
        if not isinstance(settings, ExtAuthz):
            return None, f"extension provider {name!r} is no envoyExtAuthzHttp and no envoyExtAuthzGrpc"
        namespace, _, written = settings.address.service.rpartition("/")
        host = requested_host(written, namespace or ROOT_NAMESPACE)
        service = self._given.hosts.get(host) or self._given.hosts.get(written.lower())
        if service is None:
            return None, f"extension provider {name!r}: there is no service {host}"
        port = service.port(settings.address.port)
        if port is None or service.external_name:
            return None, f"extension provider {name!r}: service {host} has no port {settings.address.port}"
        problem = ""
        if settings.grpc and not port.protocol.is_http2 and port.protocol is not AppProtocol.UNKNOWN:
            problem = (
                f"extension provider {name!r} is asked by gRPC, "
                f"and port {port.number} of {host} does not say that it speaks it"
            )
        return Authorizer(name=name, settings=settings, host=service.host), problem

    def _report(self, policy: AuthorizationPolicy, message: str, say: Say) -> None:
        if (id(policy), message) in self._reported:
            return
        self._reported.add((id(policy), message))
        say(
            "MG3031",
            policy.origin,
            policy.ref,
            message,
            "add the provider to extensionProviders in the ConfigMap istio, and its service",
            ("spec", "provider", "name"),
        )
