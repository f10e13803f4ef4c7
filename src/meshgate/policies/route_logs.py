"""Plugins that write requests down: Envoy tells a `meshgate.bridge` of each that has ended.

By its gRPC access log, out of band, and to a process that does nothing else: no request and no
decision waits for it, and while it is away entries are lost. Envoy's log names headers one by one;
all of them are noted by a small program in Lua, on such routes only.
"""

from __future__ import annotations

import hashlib

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.core.typed_json import dump
from meshgate.model.policies.logs import LOGS, Log, LoggedRoute
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policy import CorrelationId, Policy, Tracer
from meshgate.model.route import Forward, Rule
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.packing import duration, extension, pack
from meshgate.policies.parts import METADATA_NAMESPACE, RouteParts
from meshgate.policies.scripts import script_data, script_filter
from meshgate.policies.traces import NAMESPACE, SAMPLED, tracers

CLUSTER = "meshgate_logs"
"""The static cluster that leads to its Unix socket."""
FILTER = "meshgate.headers_seen"
METADATA = "log"
"""Key of a route's metadata: the id of what the bridge knows about it."""
ONLY_SAMPLES = "samples"
"""Key of the metadata of routes that are traced and not written down."""
HEADERS_NAMESPACE = "meshgate.log"
"""Where the program notes headers: `request`, `response`."""
LOG_NAME = "meshgate.kong"
ROUTE_TAG, TLS_VERSION_TAG, TLS_CIPHER_TAG = "log", "tls_version", "tls_cipher"
IDENTITY = (CONSUMER_ID, CREDENTIAL_ID)
"""Headers that say who asked."""
FLUSH_MS = 250
"""How long Envoy gathers entries at most."""
_WORTH_TELLING = (
    f"(!('{ONLY_SAMPLES}' in xds.route_metadata.filter_metadata['{METADATA_NAMESPACE}']) || "
    f"('{NAMESPACE}' in metadata.filter_metadata && "
    f"'{SAMPLED}' in metadata.filter_metadata['{NAMESPACE}'] && "
    f"metadata.filter_metadata['{NAMESPACE}']['{SAMPLED}'] == '1'))"
)
"""What is only traced is told of where it is a sample."""


def logged_route(rule: Rule, policies: tuple[Policy, ...]) -> LoggedRoute | None:
    """What the bridge must know of a rule's route with these policies; None where none of them writes
    its requests down."""
    logs, traced = _logs(policies), _telling(policies)
    if not logs and not traced:
        return None
    first = None
    if isinstance(rule.action, Forward) and rule.action.destinations:
        first = rule.action.destinations[0].destination
    return LoggedRoute(
        logs=logs,
        tracers=traced,
        route=rule.route_label or rule.name,
        service=rule.service_label,
        host=first.host if first else "",
        port=first.port if first else 0,
        path=_path(rule) if traced else "",
        correlation_header=next(iter(_correlation_headers(policies)), ""),
    )


def logged_routes(rule: Rule) -> tuple[LoggedRoute, ...]:
    """The same for all routes that are made of a rule."""
    return tuple(
        route for policies in rule.policies_of_each if (route := logged_route(rule, policies)) is not None
    )


def logged_id(route: LoggedRoute) -> str:
    """Stands for that route; equal for equal ones."""
    return hashlib.sha256(dump(route).encode()).hexdigest()[:20]


def listener_filters(edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
    """The program that notes headers, where any route is written down."""
    return (script_filter(FILTER, "headers_seen"),) if _shows_headers(edge.policies) else ()


def route_parts(rule: Rule, policies: tuple[Policy, ...]) -> RouteParts:
    """Switches the program on, and says in the route's metadata what it is."""
    route = logged_route(rule, policies)
    if route is None:
        return RouteParts()
    filters = {FILTER: script_data({})} if _shows_headers(policies) else {}
    metadata = {METADATA: logged_id(route)}
    if not route.logs:
        metadata[ONLY_SAMPLES] = "yes"
    return RouteParts(filters=filters, metadata=metadata)


def access_logs(edge: EdgePolicies) -> tuple[accesslog_pb2.AccessLog, ...]:
    """The log to the bridge of routes that say so; none where none does."""
    traced = _telling(edge.policies)
    if not _logs(edge.policies) and not traced:
        return ()
    named = sorted(set(_correlation_headers(edge.policies)))
    config = als_pb2.HttpGrpcAccessLogConfig(additional_request_headers_to_log=(*IDENTITY, *named))
    common = config.common_config
    common.log_name = LOG_NAME
    common.transport_api_version = config_source_pb2.ApiVersion.V3
    common.grpc_service.envoy_grpc.cluster_name = CLUSTER
    common.buffer_flush_interval.CopyFrom(duration(FLUSH_MS))
    for tag, value in (
        (ROUTE_TAG, f"%METADATA(ROUTE:{METADATA_NAMESPACE}:{METADATA})%"),
        (TLS_VERSION_TAG, "%DOWNSTREAM_TLS_VERSION%"),
        (TLS_CIPHER_TAG, "%DOWNSTREAM_TLS_CIPHER%"),
    ):
        common.custom_tags.add(tag=tag, value=value)
    found = accesslog_pb2.AccessLog(name="envoy.access_loggers.http_grpc", typed_config=pack(config))
    found.filter.CopyFrom(of_routes_with(METADATA, _WORTH_TELLING if traced else ""))
    return (found,)


def of_routes_with(key: str, condition: str = "") -> accesslog_pb2.AccessLogFilter:
    """Lets through requests to routes whose metadata has a key, where a CEL expression holds too."""
    expression = f"'{key}' in xds.route_metadata.filter_metadata['{METADATA_NAMESPACE}']"
    if condition:
        expression = f"{expression} && {condition}"
    name = "envoy.access_loggers.extension_filters.cel"
    typed = extension(name, cel_pb2.ExpressionFilter(expression=expression))
    found = accesslog_pb2.AccessLogFilter()
    found.extension_filter.name = typed.name
    found.extension_filter.typed_config.CopyFrom(typed.typed_config)
    return found


def _correlation_headers(policies: tuple[Policy, ...]) -> tuple[str, ...]:
    return tuple(p.header_name.lower() for p in policies if isinstance(p, CorrelationId))


def _path(rule: Rule) -> str:
    """As Kong names it in spans: the first path that the route asks for."""
    paths = rule.matches[0].paths if rule.matches else ()
    return paths[0].value if paths else ""


def _telling(policies: tuple[Policy, ...]) -> tuple[Tracer, ...]:
    """Those that tell somebody of spans: others only carry traces on."""
    return tuple(one for one in tracers(policies) if one.endpoint is not None)


def _logs(policies: tuple[Policy, ...]) -> tuple[Log, ...]:
    return tuple(p for kind in LOGS for p in policies if isinstance(p, kind))


def _shows_headers(policies: tuple[Policy, ...]) -> bool:
    return any(not isinstance(p, Statsd | Datadog) for p in _logs(policies))
