"""Services and upstreams: a Service that Ingresses can name, led to a ServiceEntry by a VirtualService.

A ServiceEntry knows names, addresses, weights and TLS; an Ingress can name a Service alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from meshgate.core.origin import FieldPath
from meshgate.dialects.kong.declarative.entities import ServiceEntity, TargetEntity, UpstreamEntity
from meshgate.dialects.kong.declarative.manifests import Manifest, Manifests, referred
from meshgate.dialects.schema import check, show

ISTIO = "networking.istio.io/v1"
INTERNAL = "upstream.internal"
"""Hosts of upstreams end like this; nobody but the gateway's own rules asks for them."""
MAX_PORT = 65535
_PORTS = {"http": 80, "https": 443, "grpc": 80, "grpcs": 443}
_ALGORITHMS = {"round-robin": "ROUND_ROBIN", "least-connections": "LEAST_REQUEST", "latency": "LEAST_REQUEST"}
Target = tuple[str, int, int]
"""(host, port, weight)."""


@dataclass(slots=True)
class Upstream:
    """One upstream with its targets, until a service asks for it."""

    entity: UpstreamEntity
    path: FieldPath
    targets: list[Target] = field(default_factory=list)


@dataclass(slots=True)
class Services:
    """Kong's services by every name that refers to them."""

    out: Manifests
    made: dict[str, Manifest] = field(default_factory=dict)
    plugins: list[tuple[FieldPath, tuple[str, Manifest]]] = field(default_factory=list)
    routes: list[tuple[FieldPath, str]] = field(default_factory=list)
    """Where routes stand in services, and the services' names in `made`."""
    _upstreams: dict[str, Upstream] = field(default_factory=dict)

    def add_upstream(self, path: FieldPath) -> None:
        """An upstream; of itself it is nothing that a manifest could be made of."""
        entity, said = check(UpstreamEntity, self.out.document, path)
        self.out.said += said
        if entity is None:
            return
        found = Upstream(entity, path)
        for name in (entity.name, entity.id):
            if name:
                self._upstreams[name] = found
        for i in range(len(entity.targets)):
            self.add_target((*path, "targets", i), found)

    def add_target(self, path: FieldPath, upstream: Upstream | None = None) -> None:
        """A target in an upstream, or by itself with the upstream's name."""
        entity, said = check(TargetEntity, self.out.document, path)
        self.out.said += said
        if entity is None:
            return
        owner = upstream or self._upstreams.get(referred(entity.upstream))
        if owner is None:
            name = referred(entity.upstream)
            self.out.error((*path, "upstream"), f"upstream {name!r} is not in this file")
            return
        host, colon, port = entity.target.rpartition(":")
        if not colon or not (port.isascii() and port.isdecimal()):
            host, port = entity.target, "8000"
        if len(port) > len(str(MAX_PORT)) or not 0 < int(port) <= MAX_PORT:
            message = f"must have a port from 1 to {MAX_PORT}, got {show(port)}"
            self.out.error((*path, "target"), message, code="MG2002")
            return
        owner.targets.append((host.strip("[]"), int(port), entity.weight))

    def add(self, path: FieldPath) -> None:
        """One service with its plugins and routes put aside."""
        entity, said = check(ServiceEntity, self.out.document, path)
        self.out.said += said
        if entity is None:
            self._lost(path)
            return
        protocol, host, port, prefix = _address(entity)
        if entity.url and not (protocol and host):
            got = "" if "@" in entity.url else f", got {show(entity.url)}"
            remedy = "write it like http://host:80/path"
            self.out.error((*path, "url"), f"is no address{got}", remedy, code="MG2002")
            self._lost(path)
            return
        if protocol not in _PORTS:
            self.out.error(
                (*path, "protocol"), f"{protocol} services have no counterpart; this one is left out"
            )
            self._lost(path)
            return
        if not host:
            self.out.error(path, "needs a host or a url", code="MG2003")
            self._lost(path)
            return
        name = self.out.name_for("Service", entity.name or host)
        port = port or _PORTS[protocol]
        upstream = self._upstreams.get(host)
        sent = self._host_header(upstream) if upstream else _with_port(host, port, protocol)
        app = "grpc" if protocol.startswith("grpc") else "http"
        made = self.out.add(
            "Service",
            name,
            api="v1",
            annotations=_settings(entity, prefix, sent),
            spec={"ports": [{"name": app, "port": port}]},
        )
        if not entity.enabled:
            self.out.warn((*path, "enabled"), "the service is switched off: it has no endpoints here")
        elif upstream is not None and not any(weight for _, _, weight in upstream.targets):
            self.out.warn(upstream.path, "has no target with a weight: requests get 503", "add one")
        else:
            entry = self._entry(name, host, port, app, upstream)
            self._destination(name, entry, entity, path, upstream, host, tls=protocol in ("https", "grpcs"))
        for known in (entity.name, entity.id, name):
            if known:
                self.made[known] = made
        self.plugins += [((*path, "plugins", i), ("service", made)) for i in range(len(entity.plugins))]
        self.routes += [
            ((*path, "routes", i), entity.name or entity.id or name) for i in range(len(entity.routes))
        ]

    def _lost(self, path: FieldPath) -> None:
        """Remembers the routes of a service that is left out: they must not fall to wider ones."""
        entry = self.out.entry(path)
        name = next((str(entry[k]) for k in ("name", "id", "host") if entry.get(k)), "without a name")
        routes = entry.get("routes")
        count = len(routes) if isinstance(routes, list | tuple) else 0
        self.routes += [((*path, "routes", i), name) for i in range(count)]

    def _host_header(self, upstream: Upstream) -> str:
        """Kong sends each target its own name; here all targets of an upstream get one."""
        if upstream.entity.host_header:
            return upstream.entity.host_header
        names = {host for host, _, _ in upstream.targets if not _is_address(host)}
        if len(names) > 1:
            self.out.warn(
                (*upstream.path, "host_header"),
                f"all targets get {upstream.entity.name!r} as Host, not each its own name",
                "set host_header",
            )
        return names.pop() if len(names) == 1 else upstream.entity.name

    def _entry(self, name: str, host: str, port: int, app: str, upstream: Upstream | None) -> str:
        """The ServiceEntry behind a service, and the VirtualService that leads there; gives its host."""
        targets = [t for t in upstream.targets if t[2]] if upstream else [(host, port, 1)]
        entry = f"{self.out.name_for('host', name)}.{INTERNAL}"
        addresses = all(_is_address(address) for address, _, _ in targets)
        self.out.add(
            "ServiceEntry",
            name,
            api=ISTIO,
            spec={
                "hosts": [entry],
                "location": "MESH_EXTERNAL",
                "resolution": "STATIC" if addresses else "DNS",
                "ports": [{"number": port, "name": app, "protocol": app.upper()}],
                "endpoints": [
                    {"address": address, "ports": {app: number}, "weight": weight}
                    for address, number, weight in targets
                ],
            },
        )
        self.out.add(
            "VirtualService",
            name,
            api=ISTIO,
            spec={
                "hosts": [name],
                "http": [{"route": [{"destination": {"host": entry, "port": {"number": port}}}]}],
            },
        )
        return entry

    def _destination(
        self,
        name: str,
        entry: str,
        entity: ServiceEntity,
        path: FieldPath,
        upstream: Upstream | None,
        host: str,
        *,
        tls: bool,
    ) -> None:
        """The DestinationRule, where there is anything for it to say."""
        policy: dict[str, object] = {}
        if upstream is not None:
            policy |= self._balancing(upstream)
        if tls:
            said: dict[str, object] = {"mode": "SIMPLE", "sni": host}
            if entity.tls_verify:
                said["subjectAltNames"] = [host]
            else:
                said["insecureSkipVerify"] = True
                self.out.warn(
                    (*path, "protocol"),
                    "the server's certificate is not checked, as Kong does unless tls_verify is true",
                    "set tls_verify: true, or take insecureSkipVerify out of the DestinationRule",
                )
            if entity.client_certificate:
                self.out.error(
                    (*path, "client_certificate"),
                    "a client certificate cannot be taken over; the server may refuse the gateway",
                    "make a Secret of it and name it as credentialName with mode MUTUAL",
                )
            if entity.ca_certificates:
                self.out.error(
                    (*path, "ca_certificates"),
                    "authorities cannot be taken over; those of the system are used",
                    "make a Secret with ca.crt and name it as credentialName",
                )
            policy["tls"] = said
        if policy:
            self.out.add("DestinationRule", name, api=ISTIO, spec={"host": entry, "trafficPolicy": policy})

    def _balancing(self, upstream: Upstream) -> dict[str, object]:
        entity, path = upstream.entity, upstream.path
        policy: dict[str, object] = {}
        if entity.algorithm in _ALGORITHMS:
            policy["loadBalancer"] = {"simple": _ALGORITHMS[entity.algorithm]}
        elif entity.algorithm == "consistent-hashing":
            key = _hash_key(entity)
            if key is None:
                self.out.warn(
                    (*path, "hash_on"), f"hash_on {entity.hash_on} has no counterpart; requests go anywhere"
                )
            else:
                policy["loadBalancer"] = {"consistentHash": key}
        else:
            self.out.warn(
                (*path, "algorithm"), f"{entity.algorithm} has no counterpart; least requests is taken"
            )
        unhealthy = entity.healthchecks.passive.unhealthy
        failures = max(unhealthy.http_failures, unhealthy.tcp_failures, unhealthy.timeouts)
        if failures:
            policy["outlierDetection"] = {"consecutive5xxErrors": failures, "maxEjectionPercent": 100}
        if entity.healthchecks.active and _probes(entity.healthchecks.active):
            self.out.warn(
                (*path, "healthchecks", "active"),
                "targets are not probed",
                "set passive checks; endpoints that fail are then left out",
            )
        return policy


def _address(entity: ServiceEntity) -> tuple[str, str, int | None, str]:
    """(protocol, host, port, path) of the fields or of `url`; no host where that is no address."""
    if not entity.url:
        return entity.protocol, entity.host, entity.port, entity.path
    try:
        parts = urlsplit(entity.url)
        port = parts.port
    except ValueError:
        return "", "", None, ""
    return parts.scheme, (parts.hostname or "") if port != 0 else "", port, entity.path or parts.path


def _with_port(host: str, port: int, protocol: str) -> str:
    return host if port == _PORTS[protocol] else f"{host}:{port}"


def _settings(entity: ServiceEntity, prefix: str, host: str) -> dict[str, str]:
    said = {
        "path": prefix if prefix != "/" else "",
        "host-header": host,
        "connect-timeout": entity.connect_timeout,
        "read-timeout": entity.read_timeout,
        "write-timeout": entity.write_timeout,
        "retries": entity.retries,
    }
    return {f"konghq.com/{key}": str(value) for key, value in said.items() if value not in (None, "")}


def _hash_key(entity: UpstreamEntity) -> Mapping[str, object] | None:
    match entity.hash_on:
        case "header":
            return {"httpHeaderName": entity.hash_on_header}
        case "cookie":
            return {
                "httpCookie": {
                    "name": entity.hash_on_cookie, "path": entity.hash_on_cookie_path, "ttl": "0s"
                }
            }  # fmt: skip
        case "ip":
            return {"useSourceIp": True}
        case "query_arg":
            return {"httpQueryParameterName": entity.hash_on_query_arg}
        case "consumer":
            return {"httpHeaderName": "x-consumer-id"}
        case _:
            return None


def _probes(active: Mapping[str, object]) -> bool:
    """Whether any interval is set; `deck dump` writes the check that is off too."""
    parts = (active.get("healthy"), active.get("unhealthy"))
    return any(isinstance(p, Mapping) and p.get("interval") for p in parts)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def without_backend(out: Manifests, wanted: str) -> str:
    """A Service that nobody answers for, for routes that never get to one."""
    name = out.name_for("Service", wanted)
    out.add("Service", name, api="v1", spec={"ports": [{"name": "http", "port": 80}]})
    return name
