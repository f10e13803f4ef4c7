"""HTTP/1.1 and 1.0, one request after the other on a connection (RFC 9112)."""

from __future__ import annotations

import asyncio
import contextlib
from http import HTTPStatus

import h11

from meshgate.standins import websocket
from meshgate.standins.activity import Activity
from meshgate.standins.answer import Answer, Body, Request, answer, delay_s, tell
from meshgate.standins.identity import Identity
from meshgate.standins.wire import Wire

_HEAD_LIMIT = 128 << 10


async def serve(wire: Wire, identity: Identity, activity: Activity) -> None:
    """Answers until one of the two sides has enough."""
    await _Connection(wire, identity, activity).run()


class _Connection:
    def __init__(self, wire: Wire, identity: Identity, activity: Activity) -> None:
        self._wire, self._identity, self._activity = wire, identity, activity
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=_HEAD_LIMIT)

    async def run(self) -> None:
        try:
            while await self._one():
                self._http.start_next_cycle()
        except h11.RemoteProtocolError as error:
            said = Answer(
                status=error.error_status_hint,
                headers=(("x-stand-in", self._identity.header), ("content-type", "text/plain")),
                body=f"{error}\n".encode(),
            )
            with contextlib.suppress(h11.LocalProtocolError):  # an answer is on its way already
                await self._send(said, close=True)
                await self._wire.linger()

    async def _one(self) -> bool:
        """One request and its answer; whether another may follow."""
        event = await self._next()
        if not isinstance(event, h11.Request):
            return False
        request = self._request(event)
        if websocket.asked_for(request):
            self._wire.put_back(self._http.trailing_data[0])
            await websocket.serve(self._wire, request, self._identity)
            return False
        with self._activity.exchange():
            body = Body()
            while not isinstance(part := await self._next(), h11.EndOfMessage):
                if not isinstance(part, h11.Data):
                    return False
                body.take(bytes(part.data))
            await asyncio.sleep(delay_s(request.target))
            said = answer(self._identity, request, body)
            tell(request, said.status)
            closing = self._activity.stopping.is_set()
            await self._send(said, close=closing, head_only=request.method == "HEAD")
        return self._http.our_state is h11.DONE

    async def _next(self) -> object:
        while True:
            event = self._http.next_event()
            if event is not h11.NEED_DATA:
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._write(h11.InformationalResponse(status_code=100, headers=[], reason="Continue"))
            self._http.receive_data(await self._wire.some())

    def _request(self, event: h11.Request) -> Request:
        headers = tuple((name.decode("latin-1"), value.decode("latin-1")) for name, value in event.headers)
        return Request(
            method=event.method.decode("latin-1"),
            target=event.target.decode("latin-1"),
            host=next((value for name, value in headers if name == "host"), ""),
            protocol=f"HTTP/{event.http_version.decode()}",
            headers=headers,
            port=self._wire.port,
            tls=self._wire.tls,
        )

    async def _send(self, said: Answer, *, close: bool, head_only: bool = False) -> None:
        headers = [*said.headers]
        if said.status not in (204, 304):
            headers.append(("content-length", str(len(said.body))))
        if close:
            headers.append(("connection", "close"))
        await self._write(h11.Response(status_code=said.status, headers=headers, reason=_phrase(said.status)))
        if not head_only:
            await self._write(h11.Data(data=said.body))
        await self._write(h11.EndOfMessage())

    async def _write(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            await self._wire.send(data)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "-"
