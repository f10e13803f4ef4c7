"""Real receivers of log entries: servers for HTTP and TCP, a socket for datagrams, this machine's syslog."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEADLINE_S = 60.0
SYSLOG = Path("/dev/log")


@dataclass(slots=True)
class Received:
    """What came, as it came."""

    http: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    """(first line, headers, body)."""
    tcp: bytes = b""
    datagrams: list[bytes] = field(default_factory=list)
    syslog: list[bytes] = field(default_factory=list)
    refuse: int = 0
    """So many HTTP requests get 503 first."""
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, enough: Callable[[], bool]) -> None:
        """Waits until that holds."""
        async with asyncio.timeout(DEADLINE_S):
            while not enough():
                self.changed.clear()
                await self.changed.wait()

    @property
    def lines(self) -> list[dict[str, Any]]:
        """The entries that came over TCP."""
        return [json.loads(line) for line in self.tcp.splitlines()]


@dataclass(frozen=True, slots=True)
class Receivers:
    """Where they are."""

    got: Received
    http: int
    tcp: int
    udp: int


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, into: list[bytes], got: Received) -> None:
        self._into, self._got = into, got

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._into.append(data)
        self._got.changed.set()


@asynccontextmanager
async def receiving(*, syslog: bool = False) -> AsyncIterator[Receivers]:
    """All of them, while the context is open; `syslog` takes this machine's socket."""
    got = Received()
    loop = asyncio.get_running_loop()

    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
                headers = {n.lower(): v for n, _, v in (ln.partition(": ") for ln in head[1:]) if n}
                body = await reader.readexactly(int(headers["content-length"]))
                status = "200 OK"
                if got.refuse:
                    got.refuse, status = got.refuse - 1, "503 Service Unavailable"
                else:
                    got.http.append((head[0], headers, body))
                writer.write(f"HTTP/1.1 {status}\r\ncontent-length: 0\r\n\r\n".encode())
                got.changed.set()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            got.tcp += data
            got.changed.set()
        writer.close()

    async with AsyncExitStack() as stack:
        servers = [await asyncio.start_server(one, "127.0.0.1", 0) for one in (http, tcp)]
        for server in servers:
            stack.callback(server.close)
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(got.datagrams, got), local_addr=("127.0.0.1", 0)
        )
        stack.callback(transport.close)
        if syslog:
            local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            local.bind(str(SYSLOG))
            stack.callback(os.unlink, SYSLOG)
            local.setblocking(False)
            transport_of_syslog, _ = await loop.create_datagram_endpoint(
                lambda: _Datagrams(got.syslog, got), sock=local
            )
            stack.callback(transport_of_syslog.close)
        over_http, over_tcp = (server.sockets[0].getsockname()[1] for server in servers)
        yield Receivers(got, over_http, over_tcp, transport.get_extra_info("sockname")[1])
