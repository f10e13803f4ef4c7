"""Access logs as Istio 1.27 writes them, but for the query of a request's path.

Keys and tokens travel in queries (`?apikey=`, `?jwt=`), and a log is read by more people than
may have them: the default formats leave the query out. A format of one's own may name it.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import assert_never

from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.core.v3 import config_source_pb2, grpc_service_pb2, substitution_format_string_pb2
from envoy.data.accesslog.v3 import accesslog_pb2 as moments_pb2
from envoy.extensions.access_loggers.file.v3 import file_pb2
from envoy.extensions.access_loggers.filters.cel.v3 import cel_pb2
from envoy.extensions.access_loggers.grpc.v3 import als_pb2
from envoy.extensions.access_loggers.open_telemetry.v3 import logs_service_pb2
from envoy.extensions.formatter.req_without_query.v3 import req_without_query_pb2
from opentelemetry.proto.common.v1 import common_pb2

from meshgate.model.mesh_config import FileAccessLog, LogFormat, OpenTelemetryAccessLog
from meshgate.model.route import Destination
from meshgate.model.telemetry import AccessLog
from meshgate.policies.packing import extension, pack
from meshgate.translate.names import outbound_cluster

PATH = "%PATH(NQ:ORIG_OR_PATH)%"
"""The path that the client asked for, without its query."""
TEXT = (
    f'[%START_TIME%] "%REQ(:METHOD)% {PATH} %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" '
    "%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "
    '"%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" '
    '"%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
LABELS = MappingProxyType(
    {
        "start_time": "%START_TIME%",
        "route_name": "%ROUTE_NAME%",
        "method": "%REQ(:METHOD)%",
        "path": PATH,
        "protocol": "%PROTOCOL%",
        "response_code": "%RESPONSE_CODE%",
        "response_flags": "%RESPONSE_FLAGS%",
        "response_code_details": "%RESPONSE_CODE_DETAILS%",
        "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
        "bytes_received": "%BYTES_RECEIVED%",
        "bytes_sent": "%BYTES_SENT%",
        "duration": "%DURATION%",
        "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
        "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
        "user_agent": "%REQ(USER-AGENT)%",
        "request_id": "%REQ(X-REQUEST-ID)%",
        "authority": "%REQ(:AUTHORITY)%",
        "upstream_host": "%UPSTREAM_HOST%",
        "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
        "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
        "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
        "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
        "requested_server_name": "%REQUESTED_SERVER_NAME%",
        "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    }
)
CONNECTED = moments_pb2.TcpUpstreamConnected
END = moments_pb2.TcpConnectionEnd
_OTEL_LOG_NAME = "otel_envoy_accesslog"
_WITHOUT_QUERY = "REQ_WITHOUT_QUERY"


def access_log(log: AccessLog, *, tcp: bool) -> accesslog_pb2.AccessLog:
    """One log; of a connection the line about its end, as in Istio."""
    match log.provider:
        case FileAccessLog():
            found = accesslog_pb2.AccessLog(
                name="envoy.access_loggers.file", typed_config=pack(_file(log.provider))
            )
        case OpenTelemetryAccessLog():
            assert log.collector is not None
            found = accesslog_pb2.AccessLog(
                name="envoy.access_loggers.open_telemetry",
                typed_config=pack(_open_telemetry(log.provider, log.collector)),
            )
        case _:
            assert_never(log.provider)
    filters = []
    if tcp:
        filters.append(at_moment(END))
    if log.condition:
        filters.append(_condition(log.condition))
    if len(filters) == 1:
        found.filter.CopyFrom(filters[0])
    elif filters:
        found.filter.and_filter.filters.extend(filters)
    return found


def at_moment(moment: moments_pb2.AccessLogType.ValueType) -> accesslog_pb2.AccessLogFilter:
    """Lets through what is said at that moment of a connection."""
    found = accesslog_pb2.AccessLogFilter()
    found.log_type_filter.types.append(moment)
    return found


def _condition(expression: str) -> accesslog_pb2.AccessLogFilter:
    config = cel_pb2.ExpressionFilter(expression=expression)
    config.cel_config.enable_string_conversion = True
    config.cel_config.enable_string_concat = True
    config.cel_config.enable_string_functions = True
    found = accesslog_pb2.AccessLogFilter()
    found.extension_filter.name = "envoy.access_loggers.extension_filters.cel"
    found.extension_filter.typed_config.CopyFrom(pack(config))
    return found


def _file(provider: FileAccessLog) -> file_pb2.FileAccessLog:
    found = file_pb2.FileAccessLog(path=provider.path)
    target = found.log_format
    given = provider.format
    if given.labels or given.json:
        target.json_format.update(dict(given.labels or LABELS))
    else:
        target.text_format_source.inline_string = _line(given)
    target.omit_empty_values = provider.omit_empty_values
    _formatters(target, given)
    return found


def _line(given: LogFormat) -> str:
    text = given.text or TEXT
    return text if text.endswith("\n") else f"{text}\n"


def _formatters(target: substitution_format_string_pb2.SubstitutionFormatString, given: LogFormat) -> None:
    """The one operator of Istio's that Envoy 1.40 has not built in."""
    if any(_WITHOUT_QUERY in text for text in (given.text, *given.labels.values())):
        formatter = req_without_query_pb2.ReqWithoutQuery()
        target.formatters.append(extension("envoy.formatter.req_without_query", formatter))


def _open_telemetry(
    provider: OpenTelemetryAccessLog, collector: Destination
) -> logs_service_pb2.OpenTelemetryAccessLogConfig:
    common = als_pb2.CommonGrpcAccessLogConfig(
        log_name=provider.log_name or _OTEL_LOG_NAME,
        transport_api_version=config_source_pb2.V3,
        grpc_service=grpc_to(collector),
    )
    found = logs_service_pb2.OpenTelemetryAccessLogConfig(common_config=common, disable_builtin_labels=True)
    found.body.string_value = _line(provider.format).removesuffix("\n")
    for key, text in sorted(provider.format.labels.items()):
        found.attributes.values.append(
            common_pb2.KeyValue(key=key, value=common_pb2.AnyValue(string_value=text))
        )
    if any(_WITHOUT_QUERY in text for text in (provider.format.text, *provider.format.labels.values())):
        formatter = req_without_query_pb2.ReqWithoutQuery()
        found.formatters.append(extension("envoy.formatter.req_without_query", formatter))
    return found


def grpc_to(collector: Destination) -> grpc_service_pb2.GrpcService:
    """A service of the mesh that speaks gRPC."""
    found = grpc_service_pb2.GrpcService()
    found.envoy_grpc.cluster_name = outbound_cluster(collector)
    found.envoy_grpc.authority = collector.host
    return found
