"""HTTP/2 in clear text or TLS (RFC 9113): many requests at once, and gRPC among them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    DataReceived,
    Event,
    RemoteSettingsChanged,
    RequestReceived,
    StreamEnded,
    StreamReset,
    WindowUpdated,
)
from h2.exceptions import NoSuchStreamError, ProtocolError, StreamClosedError
from h2.settings import SettingCodes
from hyperframe.frame import GoAwayFrame

from meshgate.standins import grpc_echo
from meshgate.standins.activity import Activity
from meshgate.standins.answer import Body, Request, answer, delay_s, tell
from meshgate.standins.identity import Identity
from meshgate.standins.stream import Header, Stream, StreamGone
from meshgate.standins.wire import IDLE_S, Wire

_STREAMS = 256
_WIDTH = 16 << 20
"""Of the connection: a stream that nobody reads must not keep the others from sending."""


async def serve(wire: Wire, identity: Identity, activity: Activity) -> None:
    """Answers until the client goes or breaks the protocol; no new requests once it is to stop."""
    await _Connection(wire, identity, activity).run()


class _Connection:
    """A `stream.Sender`."""

    def __init__(self, wire: Wire, identity: Identity, activity: Activity) -> None:
        self._wire, self._identity, self._activity = wire, identity, activity
        # Headers as bytes: a client may send what is no UTF-8.
        self._http = H2Connection(H2Configuration(client_side=False, header_encoding=None))
        self._streams: dict[int, Stream] = {}
        self._newest = 0
        self._ending = False
        self._wider = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        self._http.local_settings[SettingCodes.MAX_CONCURRENT_STREAMS] = _STREAMS
        self._http.initiate_connection()
        self._http.increment_flow_control_window(_WIDTH)
        await self._flush()
        farewell = asyncio.get_running_loop().create_task(self._say_goodbye())
        try:
            while data := await self._wire.some():
                for event in self._http.receive_data(data):
                    await self._take(event)
                await self._flush()
        except ProtocolError:
            with contextlib.suppress(OSError, TimeoutError):
                await self._flush()  # says why
                await self._wire.linger()
        finally:
            for task in (farewell, *self._tasks):
                task.cancel()
            await asyncio.gather(farewell, *self._tasks, return_exceptions=True)

    async def _flush(self) -> None:
        if data := self._http.data_to_send():
            await self._wire.send(data)

    async def _say_goodbye(self) -> None:
        """By hand: h2 would take the connection for closed and send no answer more."""
        await self._activity.stopping.wait()
        self._ending = True
        farewell = GoAwayFrame(0, last_stream_id=self._newest, error_code=ErrorCodes.NO_ERROR)
        with contextlib.suppress(OSError, TimeoutError):
            await self._wire.send(farewell.serialize())

    # ---- what comes ----

    async def _take(self, event: Event) -> None:
        match event:
            case RequestReceived(stream_id=number, headers=headers):
                self._begin(number, headers)
            case DataReceived(stream_id=number, data=data, flow_controlled_length=size):
                if stream := self._streams.get(number):
                    stream.take(data, size)
                elif size:
                    self._http.acknowledge_received_data(size, number)
            case StreamEnded(stream_id=number):
                if stream := self._streams.get(number):
                    stream.end()
            case StreamReset(stream_id=number):
                if stream := self._streams.pop(number, None):
                    stream.gone = True
                    stream.task.cancel()
            case WindowUpdated() | RemoteSettingsChanged():
                async with self._wider:
                    self._wider.notify_all()
            case _:
                pass

    def _begin(self, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._ending:
            self._http.reset_stream(number, ErrorCodes.REFUSED_STREAM)
            return
        self._newest = number
        told = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in headers)
        stream = Stream(number, told, self)
        self._streams[number] = stream
        stream.task = asyncio.get_running_loop().create_task(self._serve(stream))
        self._tasks.add(stream.task)
        stream.task.add_done_callback(self._tasks.discard)

    # ---- what goes: asked for by `Stream` ----

    async def grant(self, stream: Stream, size: int) -> None:
        """Lets the other side send that much more."""
        with contextlib.suppress(StreamClosedError, NoSuchStreamError):
            self._http.acknowledge_received_data(size, stream.number)
        await self._flush()

    async def send_headers(self, stream: Stream, headers: tuple[Header, ...], *, ends: bool) -> None:
        with _gone(stream):
            self._http.send_headers(stream.number, list(headers), end_stream=ends)
        await self._flush()

    async def send_data(self, stream: Stream, data: bytes, *, ends: bool) -> None:
        """In parts, as the windows of the stream and of the connection let them."""
        while data:
            with _gone(stream):
                async with self._wider, asyncio.timeout(IDLE_S):
                    await self._wider.wait_for(lambda: self._room(stream) > 0)
                size = min(self._room(stream), len(data))
                part, data = data[:size], data[size:]
                self._http.send_data(stream.number, part, end_stream=ends and not data)
            await self._flush()

    def _room(self, stream: Stream) -> int:
        return min(self._http.local_flow_control_window(stream.number), self._http.max_outbound_frame_size)

    async def _serve(self, stream: Stream) -> None:
        try:
            with self._activity.exchange():
                if stream.header("content-type").startswith("application/grpc"):
                    await grpc_echo.serve(stream, self._identity)
                else:
                    await self._answer(stream)
            if not stream.ended:
                with _gone(stream):
                    self._http.reset_stream(stream.number, ErrorCodes.NO_ERROR)
                await self._flush()
        except StreamGone:
            pass
        except (OSError, TimeoutError):
            self._wire.close()
        finally:
            self._streams.pop(stream.number, None)

    async def _answer(self, stream: Stream) -> None:
        method = stream.header(":method")
        request = Request(
            method=method,
            target=stream.header(":path"),
            host=stream.header(":authority") or stream.header("host"),
            protocol="HTTP/2",
            headers=tuple(h for h in stream.headers if not h[0].startswith(":")),
            port=self._wire.port,
            tls=self._wire.tls,
        )
        body = Body()
        async for part in stream.chunks():
            body.take(part)
        await asyncio.sleep(delay_s(request.target))
        said = answer(self._identity, request, body)
        tell(request, said.status)
        content = b"" if method == "HEAD" else said.body
        head = ((":status", str(said.status)), *said.headers, ("content-length", str(len(said.body))))
        await stream.send_headers(head, ends=not content)
        if content:
            await stream.send_data(content, ends=True)


@contextlib.contextmanager
def _gone(stream: Stream) -> Iterator[None]:
    """What cannot be sent any more was given up by the client."""
    try:
        yield
    except ProtocolError as error:
        stream.gone = True
        raise StreamGone from error
