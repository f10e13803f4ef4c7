"""`http.fault`: delays and failures on purpose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.schema import Spec, did_you_mean, problem, show
from meshgate.model.route import Fault

GRPC_CODES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
"""gRPC's status names; the place in the list is the number."""


class PercentSpec(Spec):
    """Istio's `Percent`: 0 to 100, fractions allowed."""

    value: Annotated[float, Field(ge=0, le=100)] = 0.0


class DelaySpec(Spec):
    """Istio's `Delay`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"exponentialDelay": "no request is delayed; use fixedDelay"}

    fixed_delay: AtLeast1Ms | None = None
    percentage: PercentSpec | None = None
    percent: Annotated[int, Field(ge=0, le=100)] | None = None


class AbortSpec(Spec):
    """Istio's `Abort`."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "http2Error": "no request is aborted; use httpStatus or grpcStatus"
    }

    http_status: Annotated[int, Field(ge=200, le=599)] | None = None
    grpc_status: str | None = None
    percentage: PercentSpec | None = None


class FaultSpec(Spec):
    """Istio's `HTTPFaultInjection`."""

    delay: DelaySpec | None = None
    abort: AbortSpec | None = None


def lower_fault(spec: FaultSpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> Fault | None:
    """The faults of a rule; without a percentage none is injected, as in Istio (a warning says so)."""
    delay_ms = delay_percent = abort_percent = 0.0
    http, grpc = 0, None
    if spec.delay is not None and spec.delay.fixed_delay is not None:
        delay_ms = spec.delay.fixed_delay
        delay_percent = _percent(spec.delay, document, (*path, "delay"), said)
    elif spec.delay is not None:
        said.append(_no_trouble(document, (*path, "delay"), "fixedDelay"))
    if spec.abort is not None:
        if spec.abort.http_status is not None and spec.abort.grpc_status is not None:
            said.append(
                problem(document, "MG2006", (*path, "abort"), "must have one of httpStatus and grpcStatus")
            )
        http = spec.abort.http_status or 0
        if spec.abort.grpc_status is not None:
            grpc = _grpc_code(spec.abort.grpc_status, document, (*path, "abort", "grpcStatus"), said)
        if http or grpc is not None:
            abort_percent = _percent(spec.abort, document, (*path, "abort"), said)
        else:
            said.append(_no_trouble(document, (*path, "abort"), "httpStatus or grpcStatus"))
    if not (delay_percent or abort_percent):
        return None
    return Fault(
        delay_ms=delay_ms,
        delay_percent=delay_percent,
        abort_http=http,
        abort_grpc=grpc,
        abort_percent=abort_percent,
    )


def _percent(
    spec: DelaySpec | AbortSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> float:
    if spec.percentage is not None:
        return spec.percentage.value
    old = spec.percent if isinstance(spec, DelaySpec) else None
    message = "has no percentage, so it meets no request"
    remedy = "add percentage.value, 100 for every request"
    if old is not None:
        message, remedy = "percent is deprecated", f"write percentage: {{value: {old}}}"
    said.append(
        problem(
            document,
            "MG2007" if old is not None else "MG2006",
            (*path, "percent") if old is not None else path,
            message,
            severity=Severity.WARNING,
            remedy=remedy,
        )
    )
    return float(old or 0)


def _no_trouble(document: Document, path: FieldPath, wanted: str) -> Diagnostic:
    return problem(
        document, "MG2006", path, f"has no {wanted}, so it does nothing", severity=Severity.WARNING
    )


def _grpc_code(text: str, document: Document, path: FieldPath, said: list[Diagnostic]) -> int:
    if text.isascii() and text.isdigit() and len(text) < 4 and int(text) < len(GRPC_CODES):
        return int(text)
    if text in GRPC_CODES:
        return GRPC_CODES.index(text)
    said.append(
        problem(
            document,
            "MG2002",
            path,
            f"must be a gRPC status such as UNAVAILABLE, got {show(text)}",
            remedy=did_you_mean(text, GRPC_CODES),
        )
    )
    return 0
