"""An application that speaks one language per port, each with its version in every answer.

python3 talker.py VERSION ROLE:PORT ...

first  greets before the client says anything, then echoes lines
grpc   /talk.Talk/Say, a stream each way
web    HTTP/1.1, and WebSocket where it is asked for
tls    like `first`, in TLS, and says by which name it was asked
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import ssl
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeAlias

import grpc.aio

from meshgate.simulate.certificates import leaf

Reader: TypeAlias = asyncio.StreamReader
Writer: TypeAlias = asyncio.StreamWriter
NAMES = ("a.talk.example", "b.talk.example", "c.talk.example")


def _where(port: str) -> tuple[str, int]:
    pod = os.environ.get("POD_IP", "")
    return pod if pod.startswith("127.") else "0.0.0.0", int(os.environ.get(f"PORT_{port}", port))


def first(version: str) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def talk(reader: Reader, writer: Writer) -> None:
        secure = writer.get_extra_info("ssl_object")
        writer.write(f"hello {version} {getattr(secure, 'asked', '')}\n".encode())
        while line := await reader.readline():
            writer.write(version.encode() + b" " + line)
        writer.close()

    return talk


def web(version: str) -> Callable[[Reader, Writer], Awaitable[None]]:
    async def talk(reader: Reader, writer: Writer) -> None:
        while head := (await reader.readuntil(b"\r\n\r\n")).decode("latin-1"):
            fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)
            if fields.get("upgrade") != "websocket":
                text = f"HTTP/1.1 200 OK\r\ncontent-length: {len(version)}\r\n\r\n{version}"
                writer.write(text.encode())
                continue
            key = next(ln[19:] for ln in head.split("\r\n") if ln.lower().startswith("sec-websocket-key: "))
            digest = hashlib.sha1(f"{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11".encode()).digest()
            accept = base64.b64encode(digest).decode()
            upgrade = "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
            writer.write(f"{upgrade}sec-websocket-accept: {accept}\r\n\r\n".encode())
            _, length = await reader.readexactly(2)
            mask = await reader.readexactly(4)
            data = bytes(b ^ mask[i % 4] for i, b in enumerate(await reader.readexactly(length & 127)))
            answer = version.encode() + b" " + data
            writer.write(bytes((0x81, len(answer))) + answer)

    async def quiet(reader: Reader, writer: Writer) -> None:
        try:
            await talk(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return quiet


async def _say(requests: AsyncIterator[bytes], context: object) -> AsyncIterator[bytes]:
    async for request in requests:
        yield sys.argv[1].encode() + b" " + request


def _tls() -> ssl.SSLContext:
    chain, key = leaf(NAMES[0], NAMES)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(chain + key.reveal())
        pair.flush()
        context.load_cert_chain(pair.name)

    def asked(secure: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> None:
        secure.asked = name  # type: ignore[attr-defined]

    context.sni_callback = asked
    return context


async def main(version: str, *roles: str) -> None:
    kept = []
    for role, _, port in (text.partition(":") for text in roles):
        host, number = _where(port)
        if role == "grpc":
            server = grpc.aio.server()
            handler = grpc.stream_stream_rpc_method_handler(_say)
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler("talk.Talk", {"Say": handler}),)
            )
            server.add_insecure_port(f"{host}:{number}")
            await server.start()
            kept.append(server)  # else it ends with its last reference
            continue
        talk = web(version) if role == "web" else first(version)
        await asyncio.start_server(talk, host, number, ssl=_tls() if role == "tls" else None)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
