"""Takes Envoy's access log, and hands each entry to the receivers of its route.

Receivers and what waits for them outlive a configuration; those that no route names any more
send the rest of it and end.
"""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import assert_never

import grpc
import structlog
from envoy.data.accesslog.v3 import accesslog_pb2
from envoy.service.accesslog.v3 import als_pb2
from google.protobuf.message import DecodeError

from meshgate.bridge.config import BridgeConfig
from meshgate.bridge.log_entry import Values, kong_entry
from meshgate.bridge.log_queue import LogQueue
from meshgate.bridge.log_receivers import (
    FileReceiver,
    HttpReceiver,
    MeterReceiver,
    Receiver,
    SyslogReceiver,
    TcpReceiver,
    UdpReceiver,
)
from meshgate.bridge.meter_lines import datadog_lines, statsd_lines
from meshgate.bridge.otlp_spans import otlp_spans
from meshgate.bridge.places import Places
from meshgate.bridge.redaction import Redaction
from meshgate.bridge.span_receivers import SpanReceiver
from meshgate.bridge.syslog_lines import loggly_message, syslog_message
from meshgate.bridge.tools import Directory
from meshgate.bridge.traced import Traced, noted_ids
from meshgate.bridge.zipkin_spans import zipkin_spans
from meshgate.core.clock import Clock
from meshgate.core.retiring import Retiring
from meshgate.core.typed_json import dump
from meshgate.model.policies.logs import (
    FileLog,
    HttpLog,
    Log,
    LoggedRoute,
    Loggly,
    Syslog,
    TcpLog,
    UdpLog,
)
from meshgate.model.policies.meters import Datadog, Statsd
from meshgate.model.policies.queues import AT_ONCE, QueueLimits
from meshgate.model.policies.tracing import OpenTelemetry, Tracer, Zipkin
from meshgate.policies.route_logs import ROUTE_TAG
from meshgate.policies.traces import OPENTELEMETRY, ZIPKIN

SERVICE = "envoy.service.accesslog.v3.AccessLogService"
METHOD = "StreamAccessLogs"
SYSLOG_SOCKET = Path("/dev/log")
KEEP_REPLACED_S = 60.0
"""How long requests are told of that came before a route or the names of credentials changed: Envoy tells of
them later, and of long ones at their end."""
GRACE_S = 2.0
"""How long what waits may be sent when a receiver is no longer named, or the bridge stops."""

_log = structlog.get_logger("meshgate.bridge")
_Context = grpc.aio.ServicerContext[bytes, bytes]


class LogService:
    """The receivers of one bridge."""

    def __init__(self, clock: Clock, refresh: Callable[[], object], syslog: Path = SYSLOG_SOCKET) -> None:
        """`refresh` takes up a configuration that is newer than the last one."""
        self._clock, self._refresh, self._syslog = clock, refresh, syslog
        self._known: Retiring[LoggedRoute] = Retiring(clock, KEEP_REPLACED_S)
        self._hidden: Retiring[None] = Retiring(clock, KEEP_REPLACED_S)
        self._routes: Mapping[str, LoggedRoute] = {}
        self._directory = Directory(())
        self._redaction = Redaction(())
        self._places = Places()
        self._outlets: dict[str, _Outlet] = {}
        self._ending: set[asyncio.Task[None]] = set()

    def replace(self, config: BridgeConfig, directory: Directory) -> None:
        """Writes down the requests of its routes from now on."""
        self._routes, self._directory = self._known.replace(config.logged), directory
        self._redaction = Redaction(self._hidden.replace(dict.fromkeys(config.hidden)))
        self._places.replace(config.places)
        named = {dump(one) for route in config.logged.values() for one in (*route.logs, *route.tracers)}
        for key in self._outlets.keys() - named:
            task = asyncio.get_running_loop().create_task(self._outlets.pop(key).close())
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)

    async def stream(self, messages: AsyncIterator[bytes], context: _Context) -> bytes:
        """Answers `StreamAccessLogs`, which goes on as long as Envoy does."""
        async for message in messages:
            try:
                told = als_pb2.StreamAccessLogsMessage.FromString(message)
            except DecodeError:
                _log.warning("access_log_not_understood")
                continue
            # Names of credentials that are new are known before a request that brings one is told of.
            self._refresh()
            for entry in told.http_logs.log_entry:
                try:
                    self.take(entry)
                except Exception as error:  # the others are told of all the same
                    _log.error("log_entry_not_told", error=type(error).__name__)
        return bytes(als_pb2.StreamAccessLogsResponse().SerializeToString())

    def take(self, entry: accesslog_pb2.HTTPAccessLogEntry) -> None:
        """Hands one entry to the receivers of its route; of routes that are long gone nothing is told."""
        route = self._routes.get(entry.common_properties.custom_tags.get(ROUTE_TAG, ""))
        if route is None:
            return
        self._trace(entry, route)
        if not route.logs:
            return
        values = kong_entry(entry, route, self._directory, self._redaction)
        text = json.dumps(values, separators=(",", ":"), ensure_ascii=False).encode()
        for log in route.logs:
            message = self._message(log, values, text)
            if message is not None:
                self._outlet(log).queue.put(message)

    def _trace(self, entry: accesslog_pb2.HTTPAccessLogEntry, route: LoggedRoute) -> None:
        request = Traced(entry, route, self._directory, self._redaction)
        for tracer in route.tracers:
            name = ZIPKIN if isinstance(tracer, Zipkin) else OPENTELEMETRY
            ids = noted_ids(entry, name) if tracer.endpoint is not None else None
            if ids is None:
                continue
            spans = (
                zipkin_spans(tracer, ids, request) if isinstance(tracer, Zipkin) else otlp_spans(ids, request)
            )
            for span in spans:
                self._outlet(tracer).queue.put(span)

    def _message(self, log: Log, values: Values, text: bytes) -> bytes | None:
        match log:
            case HttpLog() | TcpLog() | UdpLog() | FileLog():
                return text
            case Statsd():
                return b"\n".join(statsd_lines(log, values)) or None
            case Datadog():
                return b"\n".join(datadog_lines(log, values)) or None
            case Syslog():
                return syslog_message(log, values, text, self._clock.now())
            case Loggly():
                return loggly_message(log, values, text, self._clock.now(), socket.gethostname())
            case _:
                assert_never(log)

    def _outlet(self, log: Log | Tracer) -> _Outlet:
        key = dump(log)
        if key not in self._outlets:
            self._outlets[key] = _Outlet(log, self._receiver(log), self._clock)
        return self._outlets[key]

    def _receiver(self, log: Log | Tracer) -> Receiver:
        match log:
            case HttpLog():
                return HttpReceiver(log, self._places)
            case TcpLog():
                return TcpReceiver(log, self._clock, self._places)
            case UdpLog() | Loggly():
                return UdpReceiver(log.host, log.port, log.timeout_ms, self._places)
            case FileLog():
                return FileReceiver(log)
            case Statsd() | Datadog():
                return MeterReceiver(log, self._clock, self._places)
            case Syslog():
                return SyslogReceiver(self._syslog)
            case Zipkin() | OpenTelemetry():
                assert log.endpoint is not None
                return SpanReceiver(log, log.endpoint, self._places)
            case _:
                assert_never(log)

    async def close(self) -> None:
        """Sends what waits, and ends."""
        outlets = list(self._outlets.values())
        self._outlets.clear()
        await asyncio.gather(*(outlet.close() for outlet in outlets), *self._ending)


class _Outlet:
    """One receiver, and what waits for it."""

    def __init__(self, log: Log | Tracer, receiver: Receiver, clock: Clock) -> None:
        self._receiver = receiver
        limits = _limits(log)
        self.queue = LogQueue(type(log).__name__, limits, receiver.send, clock)

    async def close(self) -> None:
        await self.queue.close(GRACE_S)
        await self._receiver.close()


def _limits(log: Log | Tracer) -> QueueLimits:
    match log:
        case HttpLog() | Statsd() | Datadog():
            return log.queue
        case Zipkin() | OpenTelemetry():
            return log.delivery.queue
        case _:
            return AT_ONCE
