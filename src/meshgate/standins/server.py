"""Listens on all ports of a stand-in, and finds out what each connection speaks."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import Coroutine
from dataclasses import dataclass
from functools import cache, partial
from ssl import SSLContext
from typing import cast

from meshgate.standins import http1, http2
from meshgate.standins.activity import Activity
from meshgate.standins.identity import Identity
from meshgate.standins.wire import IDLE_S, Wire

_HTTP2 = b"PRI "
_TLS_RECORD = b"\x16"
_BACKLOG = 256
_LONGEST_METHOD = 21
"""With the blank after it."""
_UNFINISHED = re.compile(rb"[A-Z]{0,20}")
_METHOD = re.compile(rb"[A-Z]{1,20} ")
_WHO = b"who\n"
_FIRST_WORD_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """A port of the container, and where it is really."""

    number: int
    listens_at: int
    """The same where the pod has a network of its own."""
    transport: str = ""
    """`tcp`: bytes for bytes, whatever they look like; `udp`; empty: HTTP where it is HTTP."""


class Server:
    """Serves until it is told to stop."""

    def __init__(self, identity: Identity, address: str, ports: tuple[Port, ...]) -> None:
        self._identity, self._address, self._ports = identity, address, ports
        self._activity = Activity()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self, stop: asyncio.Event) -> None:
        """Raises `OSError` where a port cannot be had."""
        listeners = []
        for port in self._ports:
            if port.transport == "udp":
                await self._take_datagrams(port)
                continue
            listener = socket.create_server((self._address, port.listens_at), backlog=_BACKLOG)
            listener.setblocking(False)
            _tell(port, listener.getsockname())
            listeners.append((listener, self._spawn(self._accept(listener, port))))
        await stop.wait()
        for listener, accepting in listeners:
            accepting.cancel()
            await asyncio.gather(accepting, return_exceptions=True)
            listener.close()
        await self._activity.finish()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _spawn(self, work: Coroutine[None, None, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _take_datagrams(self, port: Port) -> None:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            partial(_Datagrams, self._identity), (self._address, port.listens_at)
        )
        _tell(port, transport.get_extra_info("sockname"))

    async def _accept(self, listener: socket.socket, port: Port) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError:  # too many files are open, or the client has gone already
                await asyncio.sleep(0.1)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._spawn(self._serve(sock, port))

    async def _serve(self, sock: socket.socket, port: Port) -> None:
        wire = None
        try:
            wire = await self._open(sock, port)
            await _speak(wire, self._identity, port, self._activity)
        except (EOFError, OSError, TimeoutError):
            pass
        finally:
            if wire is not None:
                wire.close()
            else:
                sock.close()

    async def _open(self, sock: socket.socket, port: Port) -> Wire:
        """The connection, decrypted where it begins with TLS's handshake."""
        tls = port.transport != "tcp" and await _peek(sock) == _TLS_RECORD
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        context = _tls() if tls else None
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, sock, ssl=context)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        return Wire(reader, writer, port.number, tls=tls)


def _tell(port: Port, address: tuple[str, int]) -> None:
    print(
        f"port {port.number}{port.transport and f'/{port.transport}'} at {address[0]}:{address[1]}",
        flush=True,
    )


async def _peek(sock: socket.socket) -> bytes:
    """The first byte, left where it is; empty where the connection ends without one."""
    loop = asyncio.get_running_loop()
    readable = asyncio.Event()
    loop.add_reader(sock, readable.set)
    try:
        async with asyncio.timeout(IDLE_S):
            await readable.wait()
    finally:
        loop.remove_reader(sock)
    return sock.recv(1, socket.MSG_PEEK)


async def _speak(wire: Wire, identity: Identity, port: Port, activity: Activity) -> None:
    if port.transport == "tcp":
        await _echo(wire, identity)
        return
    await _begin(wire)
    start = bytes(wire.buffer[:_LONGEST_METHOD])
    if start.startswith(_HTTP2):
        await http2.serve(wire, identity, activity)
    elif _METHOD.match(start):
        await http1.serve(wire, identity, activity)
    elif start:
        await _echo(wire, identity)


async def _begin(wire: Wire) -> None:
    """Reads until the first word is there: a method may come in parts, but not slowly."""
    if not await wire.more():
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_FIRST_WORD_S):
            while _UNFINISHED.fullmatch(bytes(wire.buffer[:_LONGEST_METHOD])) and await wire.more():
                pass


async def _echo(wire: Wire, identity: Identity) -> None:
    """Bytes for bytes; the line `who` hears who answers."""
    while data := await wire.some():
        await wire.send(_who(identity) if data == _WHO else data)


def _who(identity: Identity) -> bytes:
    return f"{identity.header} {identity.version}".rstrip().encode() + b"\n"


class _Datagrams(asyncio.DatagramProtocol):
    """Sends each datagram back."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        with contextlib.suppress(OSError):
            self._transport.sendto(_who(self._identity) if data == _WHO else data, addr)


@cache
def _tls() -> SSLContext:
    """Made when somebody first asks for it: most stand-ins never are."""
    from meshgate.standins.certificate import self_signed

    return self_signed()
