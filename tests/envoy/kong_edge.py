"""A real Envoy as the gateway of some manifests, and plain HTTP/1.1 to ask it with.

All routes of a test file share one Envoy: `manifests` makes an Ingress for each path.
"""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.native import LIBRARY
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.simulate.live import DEADLINE_S, Serving, running

JSON = "application/json; charset=utf-8"

NATIVE = pytest.mark.parametrize(
    "native",
    [
        pytest.param(True, marks=pytest.mark.skipif(not LIBRARY.is_file(), reason="no C compiler built it")),
        False,
    ],
    ids=["native", "token buckets"],
)
"""Once with our own filters, and once with Envoy's."""

SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
"""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request."""

    path: str
    method: str = "GET"
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    source: str = "127.0.0.1"
    """Address that the client connects from."""
    tls: ssl.SSLContext | None = None
    """Over TLS, in this way."""
    sni: str = "shop.example"


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, tuple[str, ...]]
    """Lower-case name -> values."""
    body: str

    def header(self, name: str) -> str | None:
        """The header's only value; None where it is not there."""
        values = self.headers.get(name.lower(), ())
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def message(self) -> str:
        """Of Kong's error object, which has nothing but the message and the request's id."""
        assert self.header("content-type") in (JSON, "application/json"), self.headers
        said = json.loads(self.body)
        assert set(said) == {"message", "request_id"}
        return str(said["message"])

    @property
    def seen(self) -> Seen:
        """What the service saw; the request must have reached it."""
        assert "x-reached" in self.headers, f"{self.status} {self.body}"
        return Seen(**json.loads(self.body))

    @property
    def reached(self) -> bool:
        """Whether the service answered."""
        return "x-reached" in self.headers


@dataclass(frozen=True, slots=True)
class Seen:
    """A request as the service saw it."""

    method: str
    path: str
    headers: dict[str, list[str]] = field(default_factory=dict)
    body: str = ""


def plugin(name: str, kind: str, config: str) -> str:
    """A KongPlugin; `config` in YAML's flow style."""
    return (
        f"---\napiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {{name: {name}}}\n"
        f"plugin: {kind}\nconfig: {config}\n"
    )


def route(name: str, *plugins: str, annotations: Mapping[str, str] | None = None) -> str:
    """An Ingress for the path `/NAME` with these plugins."""
    every = {"konghq.com/plugins": ", ".join(plugins)} if plugins else {}
    every.update(annotations or {})
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata:\n  name: {name}\n"
        f"  annotations: {json.dumps(every)}\n"
        f"spec: {{rules: [{{http: {{paths: [{{path: /{name}, pathType: Prefix, "
        "backend: {service: {name: shop, port: {number: 80}}}}]}}]}\n"
    )


def consumer(name: str, credentials: Mapping[str, tuple[str, Mapping[str, str]]]) -> str:
    """A KongConsumer; `credentials`: name of a Secret -> (type, its data)."""
    text = (
        f"---\napiVersion: configuration.konghq.com/v1\nkind: KongConsumer\nmetadata: {{name: {name}, "
        f"annotations: {{kubernetes.io/ingress.class: kong}}}}\nusername: {name}\n"
        f"credentials: [{', '.join(credentials)}]\n"
    )
    for secret, (kind, data) in credentials.items():
        text += (
            f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {secret}, "
            f"labels: {{konghq.com/credential: {kind}}}}}\nstringData: {json.dumps(dict(data))}\n"
        )
    return text


@asynccontextmanager
async def gateway(
    text: str,
    folder: Path,
    *,
    service: str = SERVICE,
    listener: str = "http",
    allow_lua: bool = False,
    native: bool = LIBRARY.is_file(),
    answering: Callable[[str], Serving] | None = None,
    lasts_s: float = DEADLINE_S,
) -> AsyncIterator[int]:
    """The port of a gateway by these manifests, which must have no errors. Requests come to a service
    that tells what it saw, or answers with the body of a request that has `x-say`, which is then its type."""
    documents, problems = read_texts({"in.yaml": service + text})
    built = build(documents, allow_lua=allow_lua)
    wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert not wrong, wrong
    config = self_contained(Reader(stand_in(built.model)), gateway_proxy(native_filters=native))
    async with (
        bridging(built.model, folder) as sockets,
        running(config, listener, folder, answering or telling, sockets, lasts_s=lasts_s) as port,
    ):
        yield port


def asked(
    text: str,
    requests: Iterable[Ask],
    folder: Path,
    *,
    service: str = SERVICE,
    listener: str = "http",
    allow_lua: bool = False,
    native: bool = LIBRARY.is_file(),
    beside: Callable[[], AbstractAsyncContextManager[object]] = nullcontext,
) -> list[Answer]:
    """The answers of a gateway (see `gateway`), in order. `beside` runs as long as Envoy does."""

    async def answers() -> list[Answer]:
        edge = gateway(text, folder, service=service, listener=listener, allow_lua=allow_lua, native=native)
        async with beside(), edge as port:
            return [await send(port, request) for request in requests]

    return asyncio.run(answers())


def telling(cluster: str) -> Serving:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                method, path, _ = head[0].split(" ", 2)
                headers = _headers(head[1:])
                body = await _body(reader, headers)
                seen = {"method": method, "path": path, "headers": headers, "body": body.decode("latin-1")}
                told = b"" if method == "HEAD" else json.dumps(seen).encode()
                reply = f"HTTP/1.1 200 OK\r\nx-reached: {cluster}\r\nx-origin: service\r\n"
                if say := headers.get("x-say"):
                    told, reply = body, f"{reply}content-type: {say[0]}\r\n"
                writer.write(f"{reply}content-length: {len(told)}\r\n\r\n".encode() + told)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    return answer


def _headers(lines: Iterable[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            found.setdefault(name.lower(), []).append(value.strip())
    return found


async def _body(reader: asyncio.StreamReader, headers: Mapping[str, list[str]]) -> bytes:
    if "content-length" in headers:
        return await reader.readexactly(int(headers["content-length"][0]))
    body = b""
    while headers.get("transfer-encoding") == ["chunked"]:
        size = int(await reader.readline(), 16)
        body += (await reader.readexactly(size + 2))[:-2]
        if not size:
            break
    return body


async def send(port: int, request: Ask) -> Answer:
    reader, writer = await asyncio.open_connection(
        "127.0.0.1",
        port,
        local_addr=(request.source, 0),
        ssl=request.tls,
        server_hostname=request.sni if request.tls else None,
    )
    try:
        lines = "".join(f"{name}: {value}\r\n" for name, value in request.headers)
        names = {name.lower() for name, _ in request.headers}
        host = "" if "host" in names else "host: shop.example\r\n"
        if request.body and not names & {"content-length", "transfer-encoding"}:
            lines += f"content-length: {len(request.body)}\r\n"
        head = f"{request.method} {request.path} HTTP/1.1\r\n{host}{lines}connection: close\r\n\r\n"
        writer.write(head.encode("latin-1") + request.body)
        reply = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = _headers(reply[1:])
        body = b"" if request.method == "HEAD" else await _reply_body(reader, headers)
    finally:
        writer.close()
    return Answer(int(reply[0].split(" ")[1]), {n: tuple(v) for n, v in headers.items()}, body.decode())


async def _reply_body(reader: asyncio.StreamReader, headers: Mapping[str, list[str]]) -> bytes:
    if "content-length" in headers or "transfer-encoding" in headers:
        return await _body(reader, headers)
    return await reader.read()
