"""Probes of a container."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.kubernetes.service import PortNumber, PortRef
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.workload import ExecProbe, GrpcProbe, HttpGet, Probe, TcpSocket

Seconds = Annotated[int, Field(ge=0, le=2**31 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**31 - 1)]


class HttpHeader(Spec):
    name: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$")]
    value: Annotated[str, Field(pattern=r"^[^\x00\r\n]*$")] = ""


class HttpGetSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"host": "has no effect: the pod itself is asked"}

    path: Annotated[str, Field(pattern=r"^[^\x00-\x20\x7f]*$")] = "/"
    port: PortRef
    scheme: Literal["HTTP", "HTTPS"] = "HTTP"
    http_headers: Items[HttpHeader] = ()


class TcpSocketSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"host": "has no effect: the pod itself is asked"}

    port: PortRef


class ExecSpec(Spec):
    command: Items[str] = ()


class GrpcSpec(Spec):
    port: PortNumber
    service: str = ""


class ProbeSpec(Spec):
    IGNORED: ClassVar[Mapping[str, str]] = {"terminationGracePeriodSeconds": "the pod's own holds"}

    exec: ExecSpec | None = None
    http_get: HttpGetSpec | None = None
    tcp_socket: TcpSocketSpec | None = None
    grpc: GrpcSpec | None = None
    initial_delay_seconds: Seconds = 0
    period_seconds: Positive = 10
    timeout_seconds: Positive = 1
    success_threshold: Positive = 1
    failure_threshold: Positive = 3


def lower_probe(spec: ProbeSpec | None) -> Probe | None:
    """The model's probe; None where there is none."""
    action = _action(spec) if spec else None
    if spec is None or action is None:
        return None
    return Probe(
        action=action,
        initial_delay_s=spec.initial_delay_seconds,
        period_s=spec.period_seconds,
        timeout_s=spec.timeout_seconds,
        success_threshold=spec.success_threshold,
        failure_threshold=spec.failure_threshold,
    )


def probe_problems(
    spec: ProbeSpec, kind: str, port_names: frozenset[str], document: Document, at: FieldPath
) -> Iterator[Diagnostic]:
    """What types cannot say: one action, a known port, one success for liveness and startup."""
    actions = [a for a in (spec.exec, spec.http_get, spec.tcp_socket, spec.grpc) if a is not None]
    if len(actions) != 1:
        yield problem(document, "MG2006", at, "needs exactly one of httpGet, tcpSocket, exec, grpc")
    if spec.exec is not None and not spec.exec.command:
        yield problem(document, "MG2003", (*at, "exec", "command"), "is required")
    for field, asked in (("httpGet", spec.http_get), ("tcpSocket", spec.tcp_socket)):
        port = asked.port if asked else None
        if isinstance(port, str) and port not in port_names:
            yield problem(document, "MG2006", (*at, field, "port"), f"no container port is named {port!r}")
    if kind != "readinessProbe" and spec.success_threshold != 1:
        yield problem(
            document,
            "MG2002",
            (*at, "successThreshold"),
            f"must be 1 in a {kind}, got {spec.success_threshold}",
        )


def lower_http_get(spec: HttpGetSpec) -> HttpGet:
    """The model's question."""
    return HttpGet(
        path=spec.path if spec.path.startswith("/") else "/" + spec.path,
        port=spec.port,
        scheme=spec.scheme,
        headers=tuple((h.name, h.value) for h in spec.http_headers),
    )


def _action(spec: ProbeSpec) -> HttpGet | TcpSocket | ExecProbe | GrpcProbe | None:
    if spec.http_get is not None:
        return lower_http_get(spec.http_get)
    if spec.tcp_socket is not None:
        return TcpSocket(port=spec.tcp_socket.port)
    if spec.exec is not None:
        return ExecProbe(argv=spec.exec.command)
    if spec.grpc is not None:
        return GrpcProbe(port=spec.grpc.port, service=spec.grpc.service)
    return None
