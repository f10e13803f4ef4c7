"""`outlierDetection` of a traffic policy: endpoints that fail are left alone for a while."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.connection_pool import Count
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.schema import Items, Spec, problem
from meshgate.model.destination import Outliers

Percent = Annotated[int, Field(ge=0, le=100)]
Status = Annotated[int, Field(ge=200, le=599)]


class OutlierSpec(Spec):
    """Istio's `OutlierDetection`."""

    consecutive_5xx_errors: Annotated[Count | None, Field(alias="consecutive5xxErrors")] = None
    consecutive_errors: Count | None = None
    consecutive_gateway_errors: Count | None = None
    consecutive_local_origin_failures: Count | None = None
    split_external_local_origin_errors: bool = False
    interval: AtLeast1Ms | None = None
    base_ejection_time: AtLeast1Ms | None = None
    max_ejection_percent: Percent | None = None
    min_health_percent: Percent | None = None
    outlier_detection_http_error_codes: Items[Status] = ()


def lower_outliers(
    spec: OutlierSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> Outliers:
    """The detection (MG1103, MG2007)."""

    def warn(code: str, name: str, message: str, remedy: str) -> None:
        severity = Severity.WARNING
        said.append(problem(document, code, (*path, name), message, severity=severity, remedy=remedy))

    consecutive = spec.consecutive_5xx_errors
    if spec.consecutive_errors is not None:
        warn(
            "MG2007",
            "consecutiveErrors",
            "consecutiveErrors is deprecated",
            f"write consecutive5xxErrors: {spec.consecutive_errors}",
        )
        consecutive = spec.consecutive_errors if consecutive is None else consecutive
    if spec.consecutive_local_origin_failures is not None and not spec.split_external_local_origin_errors:
        warn(
            "MG1103",
            "consecutiveLocalOriginFailures",
            "has no effect without splitExternalLocalOriginErrors",
            "add splitExternalLocalOriginErrors: true",
        )
    return Outliers(
        consecutive_5xx=consecutive,
        consecutive_gateway_errors=spec.consecutive_gateway_errors,
        consecutive_local_origin_failures=spec.consecutive_local_origin_failures,
        split_external_local_origin_errors=spec.split_external_local_origin_errors,
        interval_ms=spec.interval,
        base_ejection_ms=spec.base_ejection_time,
        max_ejection_percent=spec.max_ejection_percent,
        min_health_percent=spec.min_health_percent,
        error_codes=tuple(sorted(set(spec.outlier_detection_http_error_codes))),
    )
