"""Delays and aborts of a share of the requests, and how shares are written."""

from __future__ import annotations

from envoy.extensions.filters.http.fault.v3 import fault_pb2

from meshgate.model.route import Fault
from meshgate.policies.packing import duration

FAULT_FILTER = "envoy.filters.http.fault"


def http_fault(fault: Fault) -> fault_pb2.HTTPFault:
    """What the filter does on a route."""
    config = fault_pb2.HTTPFault()
    if fault.delay_ms and fault.delay_percent:
        config.delay.fixed_delay.CopyFrom(duration(fault.delay_ms))
        share = config.delay.percentage
        share.numerator, share.denominator = parts_per_million(fault.delay_percent)
    if fault.abort_percent and (fault.abort_http or fault.abort_grpc is not None):
        if fault.abort_grpc is not None:
            config.abort.grpc_status = fault.abort_grpc
        else:
            config.abort.http_status = fault.abort_http
        share = config.abort.percentage
        share.numerator, share.denominator = parts_per_million(fault.abort_percent)
    return config


def parts_per_million(percent: float) -> tuple[int, int]:
    """Numerator and denominator of Envoy's FractionalPercent."""
    return round(percent * 10_000), 2  # FractionalPercent.MILLION
