"""A model and its proxies without anything that runs: what `translate` and `explain` work on.

Addresses and ports are made up, the same each time. Secrets of users never get in here:
placeholders of the same shape take their place before anything is translated.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from meshgate.cli.errors import CliError
from meshgate.cli.placeholders import placeholder_certificate, placeholder_key
from meshgate.core.origin import BUILT_IN
from meshgate.model.consumer import Consumer, JwtCredential, KeyCredential
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model
from meshgate.model.names import (
    GATEWAY_LABELS,
    GATEWAY_NAMESPACE,
    GATEWAY_SERVICE_ACCOUNT,
    TRUST_DOMAIN,
    Name,
)
from meshgate.model.proxy import Isolation, Proxy, ProxyKind
from meshgate.model.workload import Instance, Svid, Workload

GATEWAY_NAME = "meshgate-gateway"
_DEFAULT_CERTIFICATE = "meshgate-default"
_FIRST_APP_PORT = 20_000
_FIRST_INBOUND_PORT = 30_000
_FIRST_SERVICE_PORT = 40_000
_PROXY_PORT = 15_001
_INBOUND_PORT = 15_006
_PODS = ipaddress.ip_network("10.244.0.0/16")
_SERVICES = ipaddress.ip_network("10.96.0.0/12")


@dataclass(frozen=True, slots=True, kw_only=True)
class Offline:
    """Manifests as if they ran."""

    model: Model
    """With instances, certificates and addresses; without any secret of a user."""
    isolation: Isolation

    def gateway(self) -> Proxy:
        """The gateway's proxy, on the ports that `up` takes by default."""
        return Proxy(
            id=f"gateway~{GATEWAY_NAME}.{GATEWAY_NAMESPACE}",
            kind=ProxyKind.GATEWAY,
            namespace=GATEWAY_NAMESPACE,
            service_account=GATEWAY_SERVICE_ACCOUNT,
            workload=Name(GATEWAY_NAMESPACE, GATEWAY_NAME),
            labels=GATEWAY_LABELS,
            isolation=self.isolation,
        )

    def sidecar(self, workload: Workload) -> Proxy:
        """The proxy of the workload's first pod."""
        instance = self.model.instances[str(workload.name)][0]
        pods = sorted(self.model.workloads)
        first = _FIRST_APP_PORT + 100 * pods.index(str(workload.name))
        ports = [port.number for port in workload.ports]
        in_ports = self.isolation is Isolation.PORTS
        return Proxy(
            id=f"sidecar~{instance.pod.name}.{instance.pod.namespace}",
            kind=ProxyKind.SIDECAR,
            namespace=workload.name.namespace,
            service_account=workload.service_account,
            workload=workload.name,
            labels=workload.labels,
            isolation=self.isolation,
            address=instance.ip,
            inbound_ports=dict(instance.ports) if in_ports else dict.fromkeys(ports, _INBOUND_PORT),
            app_ports={p: first + i for i, p in enumerate(ports)} if in_ports else {p: p for p in ports},
            proxy_port=_PROXY_PORT if in_ports else 0,
            service_ports=self._service_ports() if in_ports else {},
        )

    def _service_ports(self) -> Mapping[str, int]:
        keys = [
            f"{host}:{port.number}"
            for host, service in sorted(self.model.services.items())
            for port in service.ports
        ]
        return {key: _FIRST_SERVICE_PORT + i for i, key in enumerate(keys)}

    def proxy(self, written: str) -> Proxy:
        """The proxy of `gateway` or `DEPLOYMENT[.NS]`; raises `CliError` where there is none."""
        if written == "gateway":
            return self.gateway()
        name, _, namespace = written.rpartition("/")[2].partition(".")
        workload = self.model.workloads.get(str(Name(namespace or "default", name)))
        if workload is None:
            names = [w.name for w in self.model.workloads.values()]
            known = ", ".join(sorted(f"{name.name}.{name.namespace}" for name in names))
            raise CliError(f"there is no Deployment {written}", f"known are: gateway, {known}")
        if not workload.meshed:
            raise CliError(
                f"Deployment {workload.name} has no sidecar",
                f"label its namespace: istio-injection=enabled (now {workload.name.namespace} has none)",
            )
        return self.sidecar(workload)


def take_offline(model: Model, isolation: Isolation = Isolation.PORTS) -> Offline:
    """The linked model with made-up instances and certificates, and without secrets."""
    identities = {
        f"spiffe://{TRUST_DOMAIN}/ns/{w.name.namespace}/sa/{w.service_account}"
        for w in model.workloads.values()
    }
    gateway = f"spiffe://{TRUST_DOMAIN}/ns/{GATEWAY_NAMESPACE}/sa/{GATEWAY_SERVICE_ACCOUNT}"
    root, _ = placeholder_certificate([f"spiffe://{TRUST_DOMAIN}"])
    filled = replace(
        model,
        instances=_instances(model.workloads, isolation),
        svids={identity: _svid(identity) for identity in sorted({*identities, gateway})},
        trust_bundle_pem={TRUST_DOMAIN: root},
        addresses=_addresses(model) if isolation is Isolation.NETNS else {},
        certificates=_certificates(model.certificates),
        consumers=_consumers(model.consumers),
    )
    return Offline(model=filled, isolation=isolation)


def _svid(identity: str) -> Svid:
    chain, key = placeholder_certificate([identity])
    return Svid(spiffe_id=identity, chain_pem=chain, key_pem=key, serial="1")


def _instances(workloads: Mapping[str, Workload], isolation: Isolation) -> dict[str, tuple[Instance, ...]]:
    found: dict[str, tuple[Instance, ...]] = {}
    number = 0
    for key, workload in sorted(workloads.items()):
        several = []
        for index in range(max(workload.replicas, 1)):
            number += 1
            several.append(_instance(workload, index, number, isolation))
        found[key] = tuple(several)
    return found


def _instance(workload: Workload, index: int, number: int, isolation: Isolation) -> Instance:
    ports = [port.number for port in workload.ports]
    if isolation is Isolation.PORTS:
        first = _FIRST_INBOUND_PORT + 8 * number
        reached = {port: first + i for i, port in enumerate(ports)}
    else:
        reached = {port: port for port in ports}
    return Instance(
        pod=Name(workload.name.namespace, f"{workload.name.name}-{index}"),
        workload=workload.name,
        labels=workload.labels,
        service_account=workload.service_account,
        ip="127.0.0.1" if isolation is Isolation.PORTS else str(_PODS[1 + number]),
        ports=reached,
        named_ports={port.name: port.number for port in workload.ports if port.name},
        meshed=workload.meshed,
        ready=workload.replicas > 0,
    )


def _addresses(model: Model) -> dict[str, str]:
    hosts = [host for host, s in sorted(model.services.items()) if not s.headless and not s.external_name]
    return {host: str(_SERVICES[10 + i]) for i, host in enumerate(hosts)}


def _certificates(certificates: Mapping[str, Certificate]) -> dict[str, Certificate]:
    default, key = placeholder_certificate(["localhost"])
    found = {
        _DEFAULT_CERTIFICATE: Certificate(
            name=_DEFAULT_CERTIFICATE, hosts=(), chain_pem=default, key_pem=key, origin=BUILT_IN
        )
    }
    for name, certificate in sorted(certificates.items()):
        chain, key = placeholder_certificate(certificate.hosts or ("localhost",))
        found[name] = replace(certificate, chain_pem=chain, key_pem=key)
    return found


def _consumers(consumers: Mapping[str, Consumer]) -> dict[str, Consumer]:
    numbers = iter(range(1, 1_000_000))
    return {
        key: replace(
            consumer,
            jwt=tuple(_without_secret(jwt, numbers) for jwt in consumer.jwt),
            keys=tuple(
                KeyCredential(id=f"redacted-{n}", key=placeholder_key(n))
                for n, _ in zip(numbers, consumer.keys, strict=False)
            ),
        )
        for key, consumer in sorted(consumers.items())
    }


def _without_secret(jwt: JwtCredential, numbers: Iterable[int]) -> JwtCredential:
    if jwt.secret is None:
        return jwt
    return replace(jwt, secret=placeholder_key(next(iter(numbers))))
