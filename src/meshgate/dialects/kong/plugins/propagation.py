"""The record `propagation` of plugins that trace, and what it was called before Kong 3.7."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Report
from meshgate.dialects.schema import Items
from meshgate.model.policies.tracing import EXTRACTED, PRESERVE, Propagation

Extractor = Literal["w3c", "b3", "jaeger", "ot", "datadog", "aws", "gcp", "instana"]
Format = Literal["w3c", "b3", "b3-single", "jaeger", "ot", "datadog", "aws", "gcp", "instana"]
Injector = Literal["preserve", "w3c", "b3", "b3-single", "jaeger", "ot", "datadog", "aws", "gcp", "instana"]
HeaderType = Literal[
    "preserve", "ignore", "b3", "b3-single", "w3c", "jaeger", "ot", "aws", "datadog", "gcp", "instana"
]
TimeoutMs = Annotated[int, Field(ge=0, le=2**31 - 2)]
_FRAMING = frozenset({"connection", "content-length", "content-type", "transfer-encoding", "upgrade"})
"""Headers of an answer by which its end and kind are known."""
Ratio = Annotated[float, Field(ge=0, le=1)]


class PropagationConfig(Config):
    """Every field of the record."""

    extract: Items[Extractor] | None = None
    clear: Items[HeaderName] | None = None
    inject: Items[Injector] | None = None
    default_format: Format | None = None


def lower_propagation(
    config: PropagationConfig | None, report: Report, *, header_type: str | None, default_format: str
) -> Propagation:
    """What the record says; where it says nothing but a default, what `header_type` means (Kong 3.9)."""
    config = config or PropagationConfig()
    default = config.default_format or default_format
    if not (config.extract is None and config.inject is None and config.clear is None):
        return Propagation(
            default_format=default,
            extract=tuple(dict.fromkeys(config.extract or ())),
            inject=tuple(dict.fromkeys(config.inject or ())),
            clear=tuple(dict.fromkeys(config.clear or ())),
        )
    if header_type not in (None, PRESERVE):  # what dumps of Kong have everywhere says nothing
        report.warn(
            "MG2104", ("header_type",), "is the old spelling of propagation", "write propagation instead"
        )
    match header_type or PRESERVE:
        case "preserve":
            return Propagation(default_format=default, extract=EXTRACTED, inject=(PRESERVE,))
        case "ignore":
            return Propagation(default_format=default, inject=(default,))
        case wanted:
            return Propagation(default_format=default, extract=EXTRACTED, inject=(PRESERVE, wanted))


def told_in(header: str | None, report: Report) -> str:
    """The header in which clients are told of the trace; empty where they are not."""
    if header is not None and header.lower() in _FRAMING:
        report.error(
            "MG2103", ("http_response_header_for_traceid",), "is a header that answers need for themselves"
        )
    return header or ""
