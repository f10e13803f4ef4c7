"""A backend that answers with what arrived, and does as the query says.

    python3 echo.py NAME PORT [TCP-PORT [TLS-PORT PEM-FILE]]

`?delay=MS` waits, `?statuses=503,503,200&key=K` answers these in turn for one key, `?count=/path`
says how many requests for that path came. `?wave=N&key=K` answers the first N tries of a key when all of them
are there, and later ones when `?release=K` has come. A WebSocket gets its bytes back. At the second port
connections and datagrams get `NAME:` and their bytes back; at the third HTTPS is spoken,
to clients with a certificate (which is told as `client`) and without; the file holds the authority too.
Requests in HTTP/2 are told by their preface alone, and counted in `seen`.
"""

from __future__ import annotations

import asyncio
import base64
import collections
import hashlib
import json
import os
import ssl
import sys
from typing import cast
from urllib.parse import parse_qs, urlsplit

_MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_counts: collections.Counter[str] = collections.Counter()
_turns: collections.Counter[str] = collections.Counter()
_seen: collections.Counter[str] = collections.Counter()
_waves: collections.Counter[str] = collections.Counter()
_released: set[str] = set()
_changed = asyncio.Condition()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while await _request(reader, writer):
            pass
    except (OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def _hold(query: dict[str, str]) -> None:
    """Until all of a wave are there, or who came after it is released."""
    key, wave = query.get("key", ""), int(query.get("wave", "0"))
    async with _changed:
        if "release" in query:
            _released.add(query["release"])
        if wave:
            _waves[key] += 1
            number = _waves[key]
            _changed.notify_all()
            await _changed.wait_for(lambda: _waves[key] >= wave if number <= wave else key in _released)
        _changed.notify_all()


async def _request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
    line = await reader.readline()
    if not line:
        return False
    method, target, version = line.decode().split()
    _seen[version] += 1
    if version == "HTTP/2.0":
        writer.write(b"\0\0\0\x04\0\0\0\0\0")
        await writer.drain()
        return False
    headers: list[tuple[str, str]] = []
    while (text := (await reader.readline()).decode().rstrip("\r\n")) != "":
        name, _, value = text.partition(":")
        headers.append((name.lower(), value.strip()))
    lookup = dict(headers)
    if length := int(lookup.get("content-length", "0")):
        await reader.readexactly(length)
    url = urlsplit(target)
    query = {name: values[0] for name, values in parse_qs(url.query).items()}
    if "count" not in query:
        _counts[url.path] += 1
    if lookup.get("upgrade", "").lower() == "websocket":
        accept = base64.b64encode(hashlib.sha1(lookup["sec-websocket-key"].encode() + _MAGIC).digest())
        head = b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n"
        writer.write(head + b"sec-websocket-accept: " + accept + b"\r\n\r\n")
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
        return False
    await asyncio.sleep(int(query.get("delay", "0")) / 1000)
    await _hold(query)
    status = 200
    if "statuses" in query:
        turns = query["statuses"].split(",")
        number = _turns[query["key"]]
        _turns[query["key"]] += 1
        status = int(turns[min(number, len(turns) - 1)])
    shown = writer.get_extra_info("peercert") or {}
    body = {
        "pod": sys.argv[1],
        "client": [value for _, value in shown.get("subjectAltName", ())],
        "method": method,
        "path": target,
        "host": lookup.get("host", ""),
        "headers": {n: ",".join(v for k, v in headers if k == n) for n, _ in headers},
        "count": _counts[query.get("count", url.path)],
        "tries": _turns[query.get("key", "")],
        "seen": dict(_seen),
    }
    content = b"" if method == "HEAD" else json.dumps(body).encode()
    extra = "".join(f"{pair.strip()}\r\n" for pair in lookup.get("x-echo-set-header", "").split(",") if pair)
    head_text = f"HTTP/1.1 {status} X\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n"
    writer.write(f"{head_text}{extra}\r\n".encode() + content)
    await writer.drain()
    return True


async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(4096):
        writer.write(f"{sys.argv[1]}:".encode() + data)
        await writer.drain()
    writer.close()


class Datagrams(asyncio.DatagramProtocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, int]) -> None:
        self._transport.sendto(f"{sys.argv[1]}:".encode() + data, addr)


async def main() -> None:
    pod_ip = os.environ.get("POD_IP", "")
    host = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    server = await asyncio.start_server(serve, host, int(os.environ.get("PORT", sys.argv[2])), backlog=256)
    if len(sys.argv) > 3:
        port = int(os.environ.get(f"PORT_{sys.argv[3]}", sys.argv[3]))
        await asyncio.start_server(plain, host, port)
        await asyncio.get_running_loop().create_datagram_endpoint(Datagrams, (host, port))
    if len(sys.argv) > 5:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[5])
        context.load_verify_locations(sys.argv[5])
        context.verify_mode = ssl.CERT_OPTIONAL
        port = int(os.environ.get(f"PORT_{sys.argv[4]}", sys.argv[4]))
        await asyncio.start_server(serve, host, port, ssl=context)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
