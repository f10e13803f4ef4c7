"""Kong's `zipkin` and `opentelemetry`: a program in Lua carries the trace on, before all that refuses.

It reads the client's headers, decides whether the request is a sample, tells the service, and notes
the ids for the access log (see `route_logs`), by which spans are made out of band. Envoy's own
tracers would be one for a whole port, with two formats of headers; there a route may have two
plugins, each with formats, a sampling and a receiver of its own (ADR 025).
"""

from __future__ import annotations

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policy import TRACERS, OpenTelemetry, Policy, Tracer, Zipkin
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.parts import RouteParts
from meshgate.policies.scripts import Data, script_data, script_filter

FILTER = "meshgate.traces"
LATE_FILTER = "meshgate.traces.consumer"
"""The same for consumers who have such plugins of their own: the trace begins again, see `late`."""
KEPT = "kept"
"""Says, in a route's data, that the client's headers may be wanted again."""
FILES = ("decimals", "trace_ids", "trace_readers", "trace_writers", "traces")
NAMESPACE = "meshgate.trace"
"""Where the program notes what it decided: a record of ids for each plugin by its name."""
SAMPLED = "sampled"
"""Its key that is there where any plugin wants spans of the request."""
ZIPKIN, OPENTELEMETRY = "zipkin", "opentelemetry"


def tracers(policies: tuple[Policy, ...]) -> tuple[Tracer, ...]:
    """Those among the policies, in Kong's order."""
    return tuple(p for kind in TRACERS for p in policies if isinstance(p, kind))


def program(policies: tuple[Policy, ...], name: str) -> tuple[hcm.HttpFilter, ...]:
    """The program, where any of them traces."""
    return (script_filter(name, *FILES),) if tracers(policies) else ()


class Traced:
    """The entry of the chain."""

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The program, where any route has one of the plugins."""
        return program(edge.policies, FILTER)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        """Switches it on."""
        found = tracers(policies)
        if not found:
            return RouteParts()
        return RouteParts(filters={FILTER: script_data({"plugins": [_data(one) for one in found]})})

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """None: it refuses nothing."""
        return ()


def _data(policy: Tracer) -> Data:
    how = policy.propagation
    data = {
        "extract": list(how.extract),
        "inject": list(how.inject),
        "clear": list(how.clear),
        "default": how.default_format,
        "answer": policy.response_header,
    }
    match policy:
        case Zipkin():
            return {
                **data,
                "name": ZIPKIN,
                "ratio": _text(policy.sample_ratio),
                "digits": str(policy.trace_id_bytes * 2),
                "tags": policy.tags_header,
            }
        case OpenTelemetry():
            return {**data, "name": OPENTELEMETRY, "ratio": _text(policy.sampling_ratio), "digits": "32"}


def _text(ratio: float) -> str:
    return f"{ratio:.12g}"
