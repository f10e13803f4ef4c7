"""The gRPC server of aggregated delta discovery, and the two lanes that feed it.

Configuration waits for a short quiet before it is published, endpoints do not. Whoever publishes
never waits for a proxy: each stream has its own writer that sends the newest state when it can.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Final, Generic, TypeVar

import grpc
import structlog

from meshgate.core.clock import Clock, SystemClock
from meshgate.core.diagnostics import Diagnostic
from meshgate.xds.dependencies import Reader
from meshgate.xds.status import Liveness
from meshgate.xds.store import INSTANCES, Store
from meshgate.xds.stream import BadRequest, Stream, StreamStatus, Timing, parse
from meshgate.xds.view import View

M = TypeVar("M")
R = TypeVar("R", bound=Reader)
P = TypeVar("P")

SERVICE: Final = "envoy.service.discovery.v3.AggregatedDiscoveryService"
METHOD: Final = "DeltaAggregatedResources"
_log = structlog.get_logger(__name__)

_BEARER: Final = "Bearer "
_LOOPBACK: Final = ("127.", "[::1]:", "localhost:")
_UNIX_PATH_BYTES: Final = 107
OPTIONS: Final = (
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.max_pings_without_data", 0),
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    # A reconnecting proxy names everything it holds in one request.
    ("grpc.max_receive_message_length", 64 << 20),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),
)
"""gRPC channel arguments; both ends may ping, also without a call."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listen:
    """Where the server listens."""

    socket: Path | None = None
    """Unix socket; made anew, removed at the end. At most 107 bytes long."""
    socket_mode: int = 0o600
    """0600, or 0660 where proxies run as another user of the same group."""
    tcp: str | None = None
    """A loopback address, e.g. `127.0.0.1:0`; the stream is not encrypted, so nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hooks(Generic[P]):
    """Called, synchronously, as proxies come and go; must not block."""

    on_connect: Callable[[str, P], None] = field(default=lambda _id, _proxy: None)
    on_disconnect: Callable[[str, P], None] = field(default=lambda _id, _proxy: None)


class Server(Generic[M, R, P]):
    """Serves the store to proxies; `run` it in a task, wait for `started`."""

    def __init__(
        self,
        store: Store[M, R, P],
        authenticate: Callable[[str, str], P | None],
        listen: Listen,
        *,
        timing: Timing | None = None,
        hooks: Hooks[P] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.started = asyncio.Event()
        self.port = 0
        """The TCP port in use; 0 without one."""
        self._store = store
        self._authenticate = authenticate
        self._listen = listen
        self._timing = timing or Timing()
        self._hooks: Hooks[P] = hooks or Hooks()
        self._clock = clock or SystemClock()
        self._streams: dict[str, list[Stream[P]]] = {}
        """By node id; newest last, as a proxy may come back before its old stream is found dead."""
        self._next: M | None = None
        self._facets: dict[str, Mapping[str, object]] = {}
        """Those that come with `_next`."""
        self._published = asyncio.Event()
        self._progress = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled; raises `OSError` where an address cannot be taken."""
        server = grpc.aio.server(options=OPTIONS)
        handler = grpc.stream_stream_rpc_method_handler(self._handle)
        server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler})])
        self._bind(server)
        await server.start()
        try:
            self.started.set()
            _log.info("xds_started", socket=str(self._listen.socket or ""), port=self.port)
            await self._configuration_lane()
        finally:
            await server.stop(0)
            if self._listen.socket is not None:
                self._listen.socket.unlink(missing_ok=True)

    def publish(self, model: M, facets: Mapping[str, Mapping[str, object]] = MappingProxyType({})) -> None:
        """Configuration lane: this model soon, after a short quiet; of several, the newest.

        `facets` are of the short lane, and as they are for this model: what the last one still
        needs of them stays until this one comes.
        """
        self._next, self._facets = model, {**self._facets, **facets}
        self._published.set()

    def publish_endpoints(self, instances: Mapping[str, object]) -> None:
        """Short lane: these endpoints (all of them, by key) now."""
        self.publish_facet(INSTANCES, instances)

    def publish_facet(self, facet: str, entries: Mapping[str, object]) -> None:
        """Short lane for any facet of the model, e.g. certificates that rotate."""
        self._facets.pop(facet, None)
        try:
            self._wake(self._store.update_facet(facet, entries))
        except Exception as error:
            _log.error("xds_update_failed", lane=facet, error=type(error).__name__)

    def status(self) -> tuple[StreamStatus, ...]:
        """Every connected proxy, by node id."""
        return tuple(self._streams[node_id][-1].status() for node_id in sorted(self._streams))

    def connected(self) -> tuple[str, ...]:
        """The node ids of all connected proxies."""
        return tuple(sorted(self._streams))

    def faults(self) -> tuple[Diagnostic, ...]:
        """MG9001 for what cannot be translated at present."""
        return self._store.faults()

    def liveness(self, node_id: str) -> Liveness:
        """Whether the newest published state is what this proxy acknowledged."""
        streams = self._streams.get(node_id)
        if not streams:
            return Liveness.DISCONNECTED
        return Liveness.PENDING if self._next is not None else streams[-1].liveness()

    async def wait_live(
        self, node_ids: Collection[str], timeout_s: float, ending: Callable[[str], bool] = lambda _: False
    ) -> Mapping[str, Liveness]:
        """Wait until each proxy is live, or has refused something with nothing more on its way.

        One that is `ending` is not waited for once it has gone. Never raises for time: what is
        still `PENDING` or `DISCONNECTED` after `timeout_s` says so.
        """

        def settled(node_id: str) -> bool:
            match self.liveness(node_id):
                case Liveness.LIVE | Liveness.REJECTED:
                    return True
                case Liveness.DISCONNECTED:
                    return ending(node_id)
                case Liveness.PENDING:
                    return False

        try:
            async with asyncio.timeout(timeout_s):
                while not all(settled(node_id) for node_id in node_ids):
                    await self._progress.wait()
        except TimeoutError:
            pass
        return {node_id: self.liveness(node_id) for node_id in node_ids}

    def _bind(self, server: grpc.aio.Server) -> None:
        if self._listen.tcp is not None:
            if not self._listen.tcp.startswith(_LOOPBACK):
                raise OSError(f"not a loopback address: {self._listen.tcp}")
            try:
                self.port = server.add_insecure_port(self._listen.tcp)
            except RuntimeError as error:
                raise OSError(f"cannot listen on {self._listen.tcp}") from error
        if (socket := self._listen.socket) is None:
            return
        if len(os.fsencode(socket)) > _UNIX_PATH_BYTES:
            raise OSError(f"the path of a Unix socket has at most {_UNIX_PATH_BYTES} bytes: {socket}")
        socket.unlink(missing_ok=True)
        # The mask closes the moment between the socket's making and its chmod.
        mask = os.umask(0o777 & ~self._listen.socket_mode)
        try:
            server.add_insecure_port(f"unix:{socket}")
        except RuntimeError as error:
            raise OSError(f"cannot listen on {socket}") from error
        finally:
            os.umask(mask)
        socket.chmod(self._listen.socket_mode)

    async def _configuration_lane(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._published.wait()
            latest = loop.time() + self._timing.longest_s
            while self._published.is_set():
                self._published.clear()
                try:
                    async with asyncio.timeout_at(min(loop.time() + self._timing.quiet_s, latest)):
                        await self._published.wait()
                except TimeoutError:
                    break
            (model, self._next), (facets, self._facets) = (self._next, None), (self._facets, {})
            if model is None:
                continue
            try:
                self._wake(self._store.update(model, facets))
            except Exception as error:
                # A bug of ours must not end the server: proxies go on with what they have.
                _log.error("xds_update_failed", lane="configuration", error=type(error).__name__)

    def _wake(self, views: Iterable[View[P]]) -> None:
        touched = frozenset(views)
        for streams in self._streams.values():
            for stream in streams:
                if stream.view in touched:
                    stream.wake()
        self._progressed()

    def _progressed(self) -> None:
        progress, self._progress = self._progress, asyncio.Event()
        progress.set()

    async def _handle(self, _requests: object, context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        """One stream, from its authentication to its end."""
        token = _bearer(context)
        if not token:
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a bearer token is needed")
        try:
            async with asyncio.timeout(self._timing.first_request_s):
                first = parse(await context.read())
        except (BadRequest, TimeoutError):
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no delta discovery request came first")
        proxy = self._authenticate(token, first.node.id)
        if proxy is None:
            _log.warning("xds_refused", node=first.node.id[:200])
            await context.abort(grpc.StatusCode.UNAUTHENTICATED, "token and node id do not belong together")
        stream = Stream(first.node.id, self._store.open(proxy), self._timing, self._clock.now())
        stream.progressed = self._progressed
        self._enter(stream)
        try:
            await stream.run(context, first)
        except BadRequest as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except TimeoutError:
            await context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "responses were not read in time")
        except Exception as error:
            # A bug of ours, or a peer gone in the middle of a write: either way the proxy comes back.
            _log.error("xds_stream_failed", node=stream.node_id, error=type(error).__name__)
            await context.abort(grpc.StatusCode.INTERNAL, "the stream failed; come back")
        finally:
            self._leave(stream)

    def _enter(self, stream: Stream[P]) -> None:
        self._streams.setdefault(stream.node_id, []).append(stream)
        _log.info("xds_connected", node=stream.node_id)
        self._call(self._hooks.on_connect, stream)

    def _leave(self, stream: Stream[P]) -> None:
        streams = self._streams[stream.node_id]
        streams.remove(stream)
        if not streams:
            del self._streams[stream.node_id]
        self._store.close(stream.view)
        _log.info("xds_disconnected", node=stream.node_id)
        self._call(self._hooks.on_disconnect, stream)
        self._progressed()

    def _call(self, hook: Callable[[str, P], None], stream: Stream[P]) -> None:
        try:
            hook(stream.node_id, stream.view.proxy)
        except Exception as error:
            _log.error("xds_hook_failed", node=stream.node_id, error=type(error).__name__)


def _bearer(context: grpc.aio.ServicerContext[bytes, bytes]) -> str:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization" and isinstance(value, str) and value.startswith(_BEARER):
            return value[len(_BEARER) :]
    return ""
