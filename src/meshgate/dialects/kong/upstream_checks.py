"""Health checks of Kong's upstreams: active ones ask, passive ones watch the requests that pass.

Kong 3.9: a check is off until it has an interval, a count of 0 counts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.destination import Outliers
from meshgate.model.health import ActiveCheck, GrpcCheck, HttpCheck, TcpCheck
from meshgate.model.service import EMPTY

Count = Annotated[int, Field(ge=0, le=255)]
Seconds = Annotated[float, Field(ge=0, le=65535)]
Statuses = Items[Annotated[int, Field(ge=100, le=599)]]
_GOOD = (200, 302)
_BAD_PASSIVE = (429, 500, 503)
_PATH: FieldPath = ("spec", "healthchecks")


class HealthySpec(Spec):
    http_statuses: Statuses = ()
    interval: Seconds = 0
    successes: Count = 0


class UnhealthySpec(Spec):
    http_failures: Annotated[Count, Field(alias="httpFailures")] = 0
    http_statuses: Statuses = ()
    tcp_failures: Annotated[Count, Field(alias="tcpFailures")] = 0
    timeouts: Count = 0
    interval: Seconds = 0


class ActiveSpec(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "concurrency": "every endpoint is asked by itself",
        "httpsSni": "TLS to endpoints is as the Service's annotations say",
        "httpsVerifyCertificate": "TLS to endpoints is as the Service's annotations say",
    }

    type: Literal["http", "https", "tcp", "grpc", "grpcs"] = "http"
    http_path: str = "/"
    timeout: Seconds = 1
    headers: Mapping[str, Items[str]] = Field(default_factory=lambda: dict(EMPTY))  # type: ignore[arg-type]
    healthy: HealthySpec = HealthySpec()
    unhealthy: UnhealthySpec = UnhealthySpec()


class PassiveSpec(Spec):
    type: Literal["http", "https", "tcp", "grpc", "grpcs"] = "http"
    healthy: HealthySpec = HealthySpec()
    unhealthy: UnhealthySpec = UnhealthySpec()


class HealthChecksSpec(Spec):
    threshold: Annotated[float, Field(ge=0, le=100)] = 0
    active: ActiveSpec | None = None
    passive: PassiveSpec | None = None


def lower_active(spec: HealthChecksSpec, document: Document, said: list[Diagnostic]) -> ActiveCheck | None:
    """What endpoints are asked; None where nothing is (MG1103)."""
    active = spec.active
    if active is None:
        return None
    well, ill = active.healthy, active.unhealthy
    failures = [n for n in (ill.http_failures, ill.tcp_failures, ill.timeouts) if n]
    if not (well.interval or ill.interval):
        return None
    path: FieldPath = (*_PATH, "active")
    if not failures:
        message = "nothing is counted, so no endpoint is taken out; the check is left out"
        said.append(problem(document, "MG1103", path, message, severity=Severity.WARNING))
        return None
    if ill.http_statuses and active.type in ("http", "https"):
        message = "a status that is not among healthy.httpStatuses counts as a failure"
        at = (*path, "unhealthy", "httpStatuses")
        said.append(problem(document, "MG1103", at, message, severity=Severity.INFO))
    return ActiveCheck(
        action=_action(active),
        interval_ms=(well.interval or ill.interval) * 1000,
        unhealthy_interval_ms=(ill.interval or well.interval) * 1000,
        timeout_ms=max(active.timeout, 0.001) * 1000,
        successes=max(well.successes, 1),
        failures=min(failures),
    )


def _action(active: ActiveSpec) -> HttpCheck | TcpCheck | GrpcCheck:
    match active.type:
        case "tcp":
            return TcpCheck()
        case "grpc" | "grpcs":
            return GrpcCheck()
        case "http" | "https":
            headers = tuple((name, value) for name, values in active.headers.items() for value in values)
            statuses = active.healthy.http_statuses or _GOOD
            return HttpCheck(path=active.http_path or "/", headers=headers, statuses=tuple(statuses))


def lower_passive(spec: HealthChecksSpec, document: Document, said: list[Diagnostic]) -> Outliers | None:
    """What takes an endpoint out when requests to it fail; None where nothing does (MG1103)."""
    if spec.passive is None:
        return None
    ill = spec.passive.unhealthy
    if not (ill.http_failures or ill.tcp_failures or ill.timeouts):
        return None
    if not (spec.active and (spec.active.healthy.interval or spec.active.unhealthy.interval)):
        message = "an endpoint that was taken out is tried again after a while; Kong waits for somebody"
        said.append(problem(document, "MG1103", (*_PATH, "passive"), message, severity=Severity.INFO))
    local = [n for n in (ill.tcp_failures, ill.timeouts) if n]
    return Outliers(
        consecutive_5xx=ill.http_failures,
        consecutive_local_origin_failures=min(local) if local else 0,
        split_external_local_origin_errors=True,
        max_ejection_percent=100,
        error_codes=tuple(ill.http_statuses or _BAD_PASSIVE) if ill.http_failures else (),
    )
