"""WebSocket (RFC 6455): every message comes back as it was; without extensions."""

from __future__ import annotations

from wsproto.connection import Connection, ConnectionState, ConnectionType
from wsproto.events import CloseConnection, Event, Message, Ping
from wsproto.utilities import generate_accept_token

from meshgate.standins.answer import Request
from meshgate.standins.identity import Identity
from meshgate.standins.wire import Wire


def asked_for(request: Request) -> bool:
    """Whether the request asks for one."""
    return request.header("upgrade").lower() == "websocket" and bool(request.header("sec-websocket-key"))


async def serve(wire: Wire, request: Request, identity: Identity) -> None:
    """Opens it and echoes part by part, until the client closes it."""
    accepted = generate_accept_token(request.header("sec-websocket-key").encode("latin-1")).decode()
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "upgrade: websocket",
        "connection: Upgrade",
        f"sec-websocket-accept: {accepted}",
        f"x-stand-in: {identity.header}",
    ]
    if protocols := request.header("sec-websocket-protocol"):
        lines.append(f"sec-websocket-protocol: {protocols.partition(',')[0].strip()}")
    await wire.send(("\r\n".join(lines) + "\r\n\r\n").encode("latin-1"))
    socket = Connection(ConnectionType.SERVER)
    while socket.state is ConnectionState.OPEN and (data := await wire.some()):
        socket.receive_data(data)
        for event in socket.events():
            if answer := _answer(event):
                await wire.send(socket.send(answer))
    await wire.linger()


def _answer(event: Event) -> Event | None:
    match event:
        case Message() | CloseConnection():
            return event
        case Ping():
            return event.response()
        case _:
            return None
