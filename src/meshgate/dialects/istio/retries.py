"""`http.retries`: which failures are tried again, and how often."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.durations import AtLeast1Ms
from meshgate.dialects.schema import Spec, did_you_mean, problem, show
from meshgate.model.route import Retry

DEFAULT_CONDITIONS = (
    "connect-failure",
    "refused-stream",
    "unavailable",
    "cancelled",
    "retriable-status-codes",
)
"""What Istio retries where `retries` is given without `retryOn` ..."""
DEFAULT_STATUS_CODES = (503,)
"""... and the status codes that the last of them means."""

CONDITIONS = frozenset(
    {
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "envoy-ratelimited",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    }
)
"""Envoy 1.40's words for HTTP and gRPC; it would leave out others without a word."""

DEFAULT_BACKOFF_MS = 25.0

Attempts = Annotated[int, Field(ge=0, le=2**31 - 1)]


class RetrySpec(Spec):
    """Istio's `HTTPRetry`."""

    attempts: Attempts = 0
    per_try_timeout: AtLeast1Ms | None = None
    retry_on: str = ""
    retry_ignore_previous_hosts: bool = True
    backoff: AtLeast1Ms | None = None
    retry_remote_localities: bool = False


def lower_retry(spec: RetrySpec, document: Document, path: FieldPath, said: list[Diagnostic]) -> Retry:
    """The retries that a user asked for, with Istio's defaults for what is not given."""
    if spec.attempts == 0:
        if spec.retry_on or spec.per_try_timeout:
            said.append(
                problem(
                    document,
                    "MG2006",
                    path,
                    "attempts is 0, which switches retries off",
                    severity=Severity.WARNING,
                    remedy="set attempts, or remove the rest",
                )
            )
        return Retry(attempts=0, conditions=())
    conditions, codes = _conditions(spec.retry_on, document, (*path, "retryOn"), said)
    return Retry(
        attempts=spec.attempts,
        conditions=conditions,
        status_codes=codes,
        per_try_timeout_ms=spec.per_try_timeout or 0,
        backoff_ms=spec.backoff or DEFAULT_BACKOFF_MS,
        ignore_previous_hosts=spec.retry_ignore_previous_hosts,
        remote_localities=spec.retry_remote_localities,
    )


def _conditions(
    retry_on: str, document: Document, path: FieldPath, said: list[Diagnostic]
) -> tuple[tuple[str, ...], tuple[int, ...]]:
    """Words and status codes of `503,reset`; each code also needs the word for codes."""
    words: dict[str, None] = {}
    codes: set[int] = set()
    for word in filter(None, (part.strip() for part in retry_on.split(","))):
        if word.isascii() and word.isdigit() and len(word) == 3 and 100 <= int(word) <= 599:
            codes.add(int(word))
        elif word in CONDITIONS:
            words[word] = None
        else:
            said.append(
                problem(
                    document,
                    "MG2002",
                    path,
                    f"must hold conditions of Envoy or status codes, got {show(word)}",
                    remedy=did_you_mean(word, CONDITIONS),
                )
            )
    if not words and not codes:
        return DEFAULT_CONDITIONS, DEFAULT_STATUS_CODES
    if codes:
        words["retriable-status-codes"] = None
    return tuple(words), tuple(sorted(codes))
