"""What Envoy says of a request that has ended, in the words of Kong's log entries (Kong 3.9).

Credentials never get into an entry, see `redaction`.
"""

from __future__ import annotations

from collections.abc import Mapping

from envoy.config.core.v3 import address_pb2, base_pb2
from envoy.data.accesslog.v3 import accesslog_pb2 as pb
from google.protobuf import duration_pb2, struct_pb2

from meshgate.bridge.identifiers import stable_id
from meshgate.bridge.redaction import Headers, Redaction
from meshgate.bridge.tools import Directory
from meshgate.model.consumer import Consumer
from meshgate.model.policies.logs import LoggedRoute
from meshgate.policies.consumer_headers import CONSUMER_ID, CREDENTIAL_ID
from meshgate.policies.route_logs import HEADERS_NAMESPACE, TLS_CIPHER_TAG, TLS_VERSION_TAG
from meshgate.policies.traces import NAMESPACE, OPENTELEMETRY, ZIPKIN

WORKSPACE = "default"
_FROM_SERVICE = "via_upstream"

Values = dict[str, object]


def kong_entry(
    entry: pb.HTTPAccessLogEntry, route: LoggedRoute, directory: Directory, redaction: Redaction
) -> Values:
    """The entry of Kong's basic serializer, as far as Envoy knows it."""
    return _Entry(entry, route, directory, redaction).values()


class _Entry:
    def __init__(
        self,
        entry: pb.HTTPAccessLogEntry,
        route: LoggedRoute,
        directory: Directory,
        redaction: Redaction,
    ) -> None:
        self._common, self._request, self._response = entry.common_properties, entry.request, entry.response
        self._route, self._directory = route, directory
        self._redaction = redaction
        noted = self._common.metadata.filter_metadata
        found = noted[HEADERS_NAMESPACE] if HEADERS_NAMESPACE in noted else struct_pb2.Struct()
        self._headers = _headers(found, "request")
        self._answer = _headers(found, "response")
        self._from_service = self._response.response_code_details == _FROM_SERVICE

    def values(self) -> Values:
        address, port = _socket_address(self._common.upstream_remote_address)
        status = self._response.response_code.value
        found: Values = {
            "request": self._request_values(),
            "response": {
                "status": status,
                "headers": self._redaction.headers(self._answer),
                "size": self._common.downstream_wire_bytes_sent,
            },
            "latencies": self._latencies(),
            "upstream_uri": self._redaction.uri(self._request.path) if address else "",
            "upstream_status": str(status) if self._from_service else "",
            "client_ip": _socket_address(self._common.downstream_remote_address)[0],
            "started_at": self._common.start_time.ToMilliseconds(),
            "source": "upstream" if self._from_service else "kong",
            "workspace": stable_id("workspace", WORKSPACE),
            "workspace_name": WORKSPACE,
            "route": self._route_values(),
        }
        if address:
            found["tries"] = [{"ip": address, "port": port}]
        if self._route.service:
            found["service"] = self._service_values()
        found.update(self._identity())
        if trace := self._trace():
            found["trace_id"] = trace
        header = self._route.correlation_header
        if header in self._request.request_headers:
            given = {header: self._request.request_headers[header]}
            found["correlation_id"] = self._redaction.headers(given)[header]
        return found

    def _request_values(self) -> Values:
        path = _one(self._headers, ":path") or self._request.original_path or self._request.path
        uri = self._redaction.uri(path)
        scheme = self._request.scheme or _one(self._headers, ":scheme") or "http"
        authority = self._request.authority or _one(self._headers, ":authority")
        port = self._common.downstream_local_address.socket_address.port_value
        host, _, asked = authority.rpartition(":") if _has_port(authority) else (authority, "", str(port))
        found: Values = {
            "id": self._request.request_id,
            "uri": uri,
            "url": f"{scheme}://{host}:{asked}{uri}",
            "querystring": self._redaction.query(path.partition("?")[2]),
            "method": _one(self._headers, ":method")
            or base_pb2.RequestMethod.Name(self._request.request_method),
            "headers": self._redaction.headers({"host": authority, **self._headers}),
            "size": self._common.downstream_wire_bytes_received,
        }
        tags = self._common.custom_tags
        if (version := _known(tags, TLS_VERSION_TAG)) != "":
            tls: Values = {"version": version, "cipher": _known(tags, TLS_CIPHER_TAG)}
            if not self._common.tls_properties.peer_certificate_properties.ByteSize():
                tls["client_verify"] = "NONE"
            found["tls"] = tls
        return found

    def _latencies(self) -> Values:
        common = self._common
        whole = _milliseconds(common.duration)
        if not common.HasField("time_to_first_upstream_rx_byte"):
            return {"kong": whole, "proxy": -1, "request": whole, "receive": 0}
        sent = _milliseconds(common.time_to_first_upstream_tx_byte)
        began = _milliseconds(common.time_to_first_upstream_rx_byte)
        ended = _milliseconds(common.time_to_last_upstream_rx_byte)
        return {
            "kong": sent,
            "proxy": max(began - sent, 0),
            "request": whole,
            "receive": max(ended - began, 0),
        }

    def _route_values(self) -> Values:
        found: Values = {"id": stable_id("route", self._route.route), "name": self._route.route}
        if self._route.service:
            found["service"] = {"id": stable_id("service", self._route.service)}
        return found

    def _service_values(self) -> Values:
        name = self._route.service
        return {
            "id": stable_id("service", name),
            "name": name,
            "host": self._route.host,
            "port": self._route.port,
            "protocol": "http",
        }

    def _trace(self) -> Values:
        """The id of the request's trace, in each format in which the service was told it."""
        noted = self._common.metadata.filter_metadata
        found: Values = {}
        for plugin in (ZIPKIN, OPENTELEMETRY) if NAMESPACE in noted else ():
            record = noted[NAMESPACE].fields.get(plugin)
            told = record.struct_value.fields.get("told") if record is not None else None
            if told is not None:
                found.update({name: value.string_value for name, value in told.struct_value.fields.items()})
        return found

    def _identity(self) -> Values:
        identifier = self._request.request_headers.get(CONSUMER_ID, "")
        credential = self._request.request_headers.get(CREDENTIAL_ID, "")
        consumer: Consumer | None = self._directory.by_id.get(identifier)
        found: Values = {}
        if consumer is not None:
            shown = {"id": consumer.id, "username": consumer.username, "custom_id": consumer.custom_id}
            found["consumer"] = {key: value for key, value in shown.items() if value}
        if credential:
            found["authenticated_entity"] = {"id": credential}
            if consumer is not None:
                found["authenticated_entity"] = {"id": credential, "consumer_id": consumer.id}
        return found


def _headers(noted: struct_pb2.Struct, key: str) -> Headers:
    if key not in noted.fields:
        return {}
    found: Headers = {}
    for name, value in noted.fields[key].struct_value.fields.items():
        if value.HasField("list_value"):
            found[_text(name)] = [_text(one.string_value) for one in value.list_value.values]
        elif value.HasField("struct_value"):
            # Lua's lists come as mappings of their numbers.
            several = sorted(value.struct_value.fields.items(), key=lambda item: float(item[0]))
            found[_text(name)] = [_text(one.string_value) for _, one in several]
        else:
            found[_text(name)] = _text(value.string_value)
    return found


def _text(noted: str) -> str:
    """Undoes what the program does to bytes beyond ASCII."""
    return noted if noted.isascii() else noted.encode("latin-1", "replace").decode("utf-8", "replace")


def _one(headers: Mapping[str, str | list[str]], name: str) -> str:
    value = headers.get(name, "")
    return value if isinstance(value, str) else value[0]


def _known(tags: Mapping[str, str], name: str) -> str:
    """A tag's value; `-` is Envoy's word for none."""
    value = tags.get(name, "")
    return "" if value == "-" else value


def _has_port(authority: str) -> bool:
    _, colon, port = authority.rpartition(":")
    return bool(colon) and port.isdecimal()


def _milliseconds(time: duration_pb2.Duration) -> int:
    return time.ToMilliseconds()


def _socket_address(address: address_pb2.Address) -> tuple[str, int]:
    return address.socket_address.address, address.socket_address.port_value
