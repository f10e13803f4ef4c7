"""The ways to those who take log entries: HTTP, TCP, UDP, files and this machine's syslog."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

import aiohttp

from meshgate.bridge.meter_lines import packed
from meshgate.bridge.places import HttpTarget, Places
from meshgate.core.clock import Clock
from meshgate.model.policies.logs import FileLog, HttpLog, TcpLog
from meshgate.model.policies.meters import Datadog, Statsd

_FILE_MODE = 0o644
"""As in Kong: those who ship logs are other users."""

_SYSLOG_TIMEOUT_S = 1.0
_METER_TIMEOUT_MS = 1000


class Receiver(Protocol):
    """Takes batches of entries."""

    async def send(self, batch: Sequence[bytes]) -> None:
        """Hands a batch over; raises where that is not possible."""
        ...

    async def close(self) -> None:
        """Ends connections."""
        ...


class HttpReceiver:
    """`http-log`'s: one entry as an object, or several in a list."""

    def __init__(self, policy: HttpLog, places: Places) -> None:
        self._policy = policy
        self._session: aiohttp.ClientSession | None = None
        self._target = HttpTarget(policy.endpoint, places)
        parts = urlsplit(policy.endpoint.reveal_text())
        self._headers = {name: value.reveal_text() for name, value in policy.headers}
        self._headers["Content-Type"] = policy.content_type
        if parts.username is not None:
            login = aiohttp.BasicAuth(unquote(parts.username), unquote(parts.password or ""), "utf-8")
            self._headers["Authorization"] = login.encode()

    async def send(self, batch: Sequence[bytes]) -> None:
        single = self._policy.queue.max_batch_size == 1
        body = batch[0] if single else b"[" + b",".join(batch) + b"]"
        if self._session is None:
            # Kong does not verify the receiver's certificate either.
            connector = aiohttp.TCPConnector(ssl=False, keepalive_timeout=self._policy.keepalive_ms / 1000)
            self._session = aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())
        async with self._session.request(
            self._policy.method,
            self._target.url(),
            data=body,
            headers={"Host": self._target.host, **self._headers},
            allow_redirects=False,
            timeout=aiohttp.ClientTimeout(total=self._policy.timeout_ms / 1000),
            server_hostname=self._target.tls_name,
        ) as reply:
            await reply.read()
        if reply.status >= 300:
            raise OSError(f"status {reply.status}")

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


class TcpReceiver:
    """`tcp-log`'s: one line an entry, over a connection that is kept for a while."""

    def __init__(self, policy: TcpLog, clock: Clock, places: Places) -> None:
        self._policy, self._clock, self._places = policy, clock, places
        self._open: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def send(self, batch: Sequence[bytes]) -> None:
        async with asyncio.timeout(self._policy.timeout_ms / 1000):
            try:
                writer = await self._connection()
                writer.write(b"".join(entry + b"\n" for entry in batch))
                await writer.drain()
            except BaseException:
                await self.close()
                raise
        self._used = self._clock.monotonic()

    async def _connection(self) -> asyncio.StreamWriter:
        if self._open is not None:
            reader, writer = self._open
            idle_ms = (self._clock.monotonic() - self._used) * 1000
            if not reader.at_eof() and not writer.is_closing() and idle_ms < self._policy.keepalive_ms:
                return writer
            await self.close()
        tls = _trusting() if self._policy.tls else None
        name = (self._policy.tls_sni or self._policy.host) if tls else None
        host, port = self._places.of(self._policy.host, self._policy.port)
        self._open = await asyncio.open_connection(host, port, ssl=tls, server_hostname=name)
        return self._open[1]

    async def close(self) -> None:
        if self._open is not None:
            self._open[1].close()
            self._open = None


class UdpReceiver:
    """One datagram an entry."""

    def __init__(self, host: str, port: int, timeout_ms: float, places: Places) -> None:
        self._host, self._port, self._timeout_s = host, port, timeout_ms / 1000
        self._places = places

    async def send(self, batch: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        host, port = self._places.of(self._host, self._port)
        async with asyncio.timeout(self._timeout_s):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        # IPv4 first, as Kong looks names up: nobody tells us of datagrams that are lost.
        family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
        with socket.socket(family, kind, protocol) as sender:
            sender.setblocking(False)
            for entry in batch:
                sender.sendto(entry, address)

    async def close(self) -> None:
        pass


class MeterReceiver:
    """`statsd`'s and `datadog`'s: an entry is some lines, each a datagram or several in one."""

    def __init__(self, policy: Statsd | Datadog, clock: Clock, places: Places) -> None:
        self._datagram_bytes = policy.udp_packet_size if isinstance(policy, Statsd) else 0
        self._inner: Receiver
        if isinstance(policy, Statsd) and policy.use_tcp:
            stream = TcpLog(host=policy.host, port=policy.port, timeout_ms=_METER_TIMEOUT_MS)
            self._tcp, self._inner = True, TcpReceiver(stream, clock, places)
        else:
            self._tcp = False
            self._inner = UdpReceiver(policy.host, policy.port, _METER_TIMEOUT_MS, places)

    async def send(self, batch: Sequence[bytes]) -> None:
        lines = [line for entry in batch for line in entry.split(b"\n")]
        await self._inner.send(lines if self._tcp else packed(lines, self._datagram_bytes))

    async def close(self) -> None:
        await self._inner.close()


class SyslogReceiver:
    """This machine's syslog, by its socket. In a thread, for it takes few messages at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def send(self, batch: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._write, batch)

    def _write(self, batch: Sequence[bytes]) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.settimeout(_SYSLOG_TIMEOUT_S)
            sender.connect(str(self._path))
            for entry in batch:
                sender.send(entry)

    async def close(self) -> None:
        pass


class FileReceiver:
    """`file-log`'s: one line an entry. In a thread, for a disk may be slow."""

    def __init__(self, policy: FileLog) -> None:
        self._policy = policy
        self._file: int | None = None

    async def send(self, batch: Sequence[bytes]) -> None:
        await asyncio.to_thread(self._write, b"".join(entry + b"\n" for entry in batch))

    def _write(self, text: bytes) -> None:
        if self._policy.reopen:
            self._close()
        if self._file is None:
            self._file = _opened(self._policy.path)
        left = memoryview(text)
        while left:
            left = left[os.write(self._file, left) :]

    def _close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None

    async def close(self) -> None:
        self._close()


def _opened(path: str) -> int:
    """The file, at its end. A pipe that nobody reads from is an error and holds nobody up."""
    flags = os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        made = os.open(path, flags | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    except FileExistsError:
        return os.open(path, flags)
    os.fchmod(made, _FILE_MODE)  # whatever the process' umask
    return made


def _trusting() -> ssl.SSLContext:
    """TLS without a look at the certificate, as in Kong."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
