"""A real Envoy as the gateway, asked with bytes as they are, and a service that writes down what came."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.native import LIBRARY
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.bootstrap import overload_manager
from meshgate.translate.self_contained import self_contained
from tests.simulate.live import DEADLINE_S, Serving, running


@dataclass(slots=True)
class Edge:
    """A running gateway."""

    port: int
    came: list[str] = field(default_factory=list)
    """Method and path of each whole request that reached the service, in order."""

    async def say(self, sent: bytes) -> bytes:
        """All that comes back on one connection until the gateway closes it."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        answer = b""
        try:
            writer.write(sent)
            async with asyncio.timeout(DEADLINE_S):
                while came := await reader.read(65_536):
                    answer += came
        except ConnectionResetError:
            pass  # the gateway did not want to read the rest
        finally:
            writer.transport.abort()
        return answer


def status(answer: bytes) -> int:
    """Of the first answer; 0 where the connection was closed without one."""
    line = answer.split(b"\r\n", 1)[0].split(b" ")
    return int(line[1]) if line[0].startswith(b"HTTP/1") else 0


@asynccontextmanager
async def edge(manifests: str, folder: Path) -> AsyncIterator[Edge]:
    """The gateway of the manifests, which must have no errors."""
    documents, problems = read_texts({"in.yaml": manifests})
    built = build(documents)
    wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert not wrong, wrong
    config = self_contained(Reader(stand_in(built.model)), gateway_proxy(native_filters=LIBRARY.is_file()))
    config.overload_manager.CopyFrom(overload_manager())
    found = Edge(port=0)

    def noting(cluster: str) -> Serving:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                    lines = head.split("\r\n")
                    await _skip_body(reader, head.lower())
                    found.came.append(" ".join(lines[0].split(" ")[:2]))
                    body = head.encode("latin-1")
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
                    await writer.drain()
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()  # the gateway gave the request up

        return answer

    async with running(config, "http", folder, noting) as port:
        found.port = port
        yield found


async def _skip_body(reader: asyncio.StreamReader, head: str) -> None:
    for line in head.split("\r\n"):
        name, _, value = line.partition(":")
        if name == "content-length":
            await reader.readexactly(int(value))
        if name == "transfer-encoding" and "chunked" in value:
            while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
                await reader.readexactly(size + 2)
            await reader.readuntil(b"\r\n")
