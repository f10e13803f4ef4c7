"""Serves the command line over a Unix socket that only its owner can open."""

from __future__ import annotations

import asyncio
import os
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import NoReturn, TypeVar

import grpc
import structlog

from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Free, Method, Nothing
from meshgate.sources.backend import (
    AdminError,
    Backend,
    Event,
    ExecAnswer,
    ExecRequest,
    ExplainQuery,
    LogChunk,
    LogsRequest,
    StatusReport,
)
from meshgate.sources.kept import KeptStateError
from meshgate.sources.log_tail import follow
from meshgate.sources.object_api import ObjectApi

Q = TypeVar("Q")
A = TypeVar("A")
_Context = grpc.aio.ServicerContext[bytes, bytes]
_log = structlog.get_logger(__name__)

MAX_CONCURRENT = 64
METRICS_CHUNK = 256 * 1024
"""Characters in one message, far below what gRPC takes."""
_STOP_GRACE_S = 1.0


class AdminServer:
    """`run` it in a task; `started` is set once the socket is open."""

    def __init__(self, socket: Path, api: ObjectApi, backend: Backend) -> None:
        self.started = asyncio.Event()
        self._socket = socket
        self._api = api
        self._backend = backend

    async def run(self) -> None:
        """Serves until cancelled, then removes the socket; raises `OSError` where it cannot be made."""
        server = grpc.aio.server(options=wire.OPTIONS, maximum_concurrent_rpcs=MAX_CONCURRENT)
        server.add_generic_rpc_handlers(
            [grpc.method_handlers_generic_handler(wire.SERVICE, self._handlers())]
        )
        self._bind(server)
        await server.start()
        try:
            self.started.set()
            _log.info("admin_started", socket=str(self._socket))
            # Not `wait_for_termination`: once that is cancelled, `stop` may end as cancelled too.
            await asyncio.Event().wait()
        finally:
            self._socket.unlink(missing_ok=True)
            await server.stop(_STOP_GRACE_S)

    def _bind(self, server: grpc.aio.Server) -> None:
        """Opens the socket in one step: whoever finds the old one's file finds the new one there next."""
        self._socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        new = self._socket.with_suffix(".new")
        new.unlink(missing_ok=True)
        # The mask closes the moment between the socket's making and its chmod.
        mask = os.umask(0o177)
        try:
            server.add_insecure_port(f"unix:{new}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {new}") from error
        finally:
            os.umask(mask)
        new.chmod(0o600)
        new.rename(self._socket)

    def _handlers(self) -> dict[str, grpc.RpcMethodHandler[bytes, bytes]]:
        api = self._api
        return dict(
            (
                _unary(wire.GET, _plain(api.get)),
                _unary(wire.APPLY, _plain(api.apply)),
                _unary(wire.DELETE, _plain(api.delete)),
                _unary(wire.PATCH, _plain(api.patch)),
                _unary(wire.LABEL, _plain(api.label)),
                _unary(wire.STATUS, self._status),
                _unary(wire.EXEC, self._exec),
                _unary(wire.EXPLAIN, self._explain),
                _unary(wire.TRANSLATE, self._translate),
                _unary(wire.CACHE_PURGE, self._cache_purge),
                _unary(wire.CACHE_STATS, self._cache_stats),
                _unary(wire.DOWN, self._down),
                _stream(wire.LOGS, self._logs),
                _stream(wire.EVENTS, self._events),
                _stream(wire.METRICS, self._metrics),
            )
        )

    async def _status(self, _: Nothing) -> StatusReport:
        return self._backend.status()

    async def _exec(self, request: ExecRequest) -> ExecAnswer:
        return self._backend.exec_plan(request.target, request.namespace, request.argv)

    async def _explain(self, request: ExplainQuery) -> Free:
        return Free(await self._backend.explain(request))

    async def _translate(self, request: Free) -> Free:
        return Free(await self._backend.translate(str(request.value.get("proxy", ""))))

    async def _cache_purge(self, request: Free) -> Free:
        return Free(await self._backend.cache_purge(request.value))

    async def _cache_stats(self, _: Nothing) -> Free:
        return Free(await self._backend.cache_stats())

    async def _down(self, _: Nothing) -> Nothing:
        await self._backend.down()
        return Nothing()

    async def _logs(self, request: LogsRequest) -> AsyncIterator[LogChunk]:
        files = self._backend.log_files(request.target, request.namespace, request.container)
        async for text in follow(files, tail=request.tail, forever=request.follow):
            yield LogChunk(text=text)

    async def _metrics(self, _: Nothing) -> AsyncIterator[LogChunk]:
        text = await self._backend.metrics()
        for start in range(0, len(text), METRICS_CHUNK):
            yield LogChunk(text=text[start : start + METRICS_CHUNK])

    async def _events(self, _: Nothing) -> AsyncIterator[Event]:
        async for event in self._backend.events():
            yield event


def _plain(call: Callable[[Q], A]) -> Callable[[Q], Awaitable[A]]:
    async def answer(query: Q) -> A:
        return call(query)

    return answer


def _unary(
    method: Method[Q, A], call: Callable[[Q], Awaitable[A]]
) -> tuple[str, grpc.RpcMethodHandler[bytes, bytes]]:
    async def handle(data: bytes, context: _Context) -> bytes:
        try:
            query = _read(method, data)
            async with asyncio.timeout(method.timeout_s):
                return wire.encode(await call(query))
        except Exception as error:
            await _fail(method.name, error, context)

    return method.name, grpc.unary_unary_rpc_method_handler(handle)


def _stream(
    method: Method[Q, A], call: Callable[[Q], AsyncIterator[A]]
) -> tuple[str, grpc.RpcMethodHandler[bytes, bytes]]:
    async def handle(data: bytes, context: _Context) -> AsyncIterator[bytes]:
        try:
            async for message in call(_read(method, data)):
                yield wire.encode(message)
        except Exception as error:
            await _fail(method.name, error, context)

    return method.name, grpc.unary_stream_rpc_method_handler(handle)


def _read(method: Method[Q, A], data: bytes) -> Q:
    try:
        return wire.decode(method.query, data)
    except ValueError as error:
        raise AdminError(
            "invalid", f"the request {method.name} cannot be read", "use the meshgate that runs here"
        ) from error


async def _fail(method: str, error: Exception, context: _Context) -> NoReturn:
    """Ends the call with a structured error; a bug is logged here and named there, without its values."""
    if isinstance(error, grpc.aio.AbortError):
        raise error
    if isinstance(error, AdminError):
        known = error
    elif isinstance(error, KeptStateError):
        known = AdminError(
            "unavailable", f"the change is in force but not kept: {error.message}", error.remedy
        )
    elif isinstance(error, TimeoutError):
        known = AdminError("unavailable", f"{method} took too long", "try again, and look at the log")
    else:
        # No message and no traceback with locals: they may hold values of a request.
        _log.error("admin_call_failed", method=method, error=type(error).__name__, at=_place(error))
        known = AdminError(
            "internal", f"{method} failed by a bug ({type(error).__name__})", "see meshgate's log"
        )
    await context.abort(wire.STATUS_CODES[known.code], wire.encode_error(known))
    raise AssertionError("abort always raises")


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(frames[-3:]))
