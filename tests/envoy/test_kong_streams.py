"""TCPIngress and UDPIngress on a real Envoy: by server name, with TLS ended or passed on, and datagrams."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path
from typing import cast

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.certificates import root
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.golden.cases import text_of
from tests.simulate.live import Serving, running

CASE = "kong/stream-ingresses"
RESTRICTED = "kong/stream-plugins"
DEADLINE_S = 60.0


def _config(case: str = CASE) -> bootstrap_pb2.Bootstrap:
    documents, problems = read_texts({"in.yaml": text_of(case)})
    built = build(documents)
    assert not [d for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    return self_contained(Reader(stand_in(built.model)), gateway_proxy())


def _saying_what_came(cluster: str) -> Serving:
    """Answers with the cluster's name and the first bytes that came."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first = await reader.read(5)
        writer.write(cluster.encode() + b" " + first)
        await writer.drain()
        writer.close()

    return answer


async def _said(
    port: int, tls: ssl.SSLContext | None = None, name: str = "", *, source: str = "127.0.0.1"
) -> bytes:
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=tls, server_hostname=name or None, local_addr=(source, 0)
        )
        writer.write(b"hello")
        try:
            return await reader.read()
        finally:
            writer.close()


async def _passed_on(port: int, hello: bytes) -> bytes:
    """What comes back for a first message of TLS as it is."""
    async with asyncio.timeout(DEADLINE_S):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(hello)
        try:
            return await reader.read()
        finally:
            writer.close()


def _client_hello(name: str) -> bytes:
    context = ssl.create_default_context()
    outgoing = ssl.MemoryBIO()
    client = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=name)
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    return outgoing.read()


@pytest.mark.envoy
def test_connections_by_server_name(tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cadata=root().decode())

    async def ask() -> tuple[bytes, bytes, bytes]:
        async with running(_config(), "gateway.9000", tmp_path, _saying_what_came) as port:
            plain = await _said(port)
            passed = await _passed_on(port, _client_hello("passed.example"))
            return plain, passed, await _said(port, trusting, "store.example")

    plain, passed, ended = asyncio.run(ask())
    assert plain == b"outbound|2701||store.default.svc.cluster.local hello"
    assert passed.startswith(b"outbound|2702||store.default.svc.cluster.local \x16\x03\x01")
    assert ended == plain  # decrypted, and shown with the Secret's certificate


@pytest.mark.envoy
def test_a_port_with_certificates_takes_no_plain_connection(tmp_path: Path) -> None:
    trusting = ssl.create_default_context(cadata=root().decode())

    async def ask() -> bytes:
        async with running(_config(), "gateway.9001", tmp_path, _saying_what_came) as port:
            ended = await _said(port, trusting, "store.example")
            for tls, name in ((trusting, "other.example"), (None, "")):
                with pytest.raises((ssl.SSLError, ConnectionError)):
                    await _said(port, tls, name)
            return ended

    assert asyncio.run(ask()) == b"outbound|2701||store.default.svc.cluster.local hello"


@pytest.mark.envoy
def test_whose_connections_are_carried(tmp_path: Path) -> None:
    """Of the Service's own plugin, and of the TCPIngress' own, which comes before it."""

    async def ask(listener: str) -> list[bytes]:
        folder = tmp_path / listener
        folder.mkdir()
        async with running(_config(RESTRICTED), listener, folder, _saying_what_came) as port:
            return [await _said_or_nothing(port, source) for source in ("127.0.0.1", "127.0.0.2")]

    store = b"outbound|2701||store.default.svc.cluster.local hello"
    assert asyncio.run(ask("gateway.9000")) == [b"", store]
    assert asyncio.run(ask("gateway.9001")) == [store, b""]


async def _said_or_nothing(port: int, source: str) -> bytes:
    try:
        return await _said(port, source=source)
    except ConnectionError:  # ended before our first byte was read
        return b""


class _Echo(asyncio.DatagramProtocol):
    """Sends every datagram back with a word before it."""

    def __init__(self) -> None:
        self.seen: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.seen.append(data)
        self._transport.sendto(b"echo " + data, addr)


class _Asking(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.answers: asyncio.Queue[bytes] = asyncio.Queue()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.answers.put_nowait(data)


async def _echoed(case: str, folder: Path, *, refused: str = "") -> tuple[list[bytes], list[bytes]]:
    """What comes back for two datagrams, and what the service saw; `refused` has sent one before."""
    loop = asyncio.get_running_loop()
    echo, service = await loop.create_datagram_endpoint(_Echo, local_addr=("127.0.0.1", 0))
    config = _config(case)
    _lead_datagrams(config, echo.get_extra_info("sockname")[1])
    found: list[bytes] = []
    try:
        async with running(config, "gateway.udp.9000", folder) as port, asyncio.timeout(DEADLINE_S):
            if refused:
                stranger, _ = await loop.create_datagram_endpoint(
                    _Asking, remote_addr=("127.0.0.1", port), local_addr=(refused, 0)
                )
                stranger.sendto(b"zero")
                stranger.close()
            client, asking = await loop.create_datagram_endpoint(
                _Asking, remote_addr=("127.0.0.1", port), local_addr=("127.0.0.1", 0)
            )
            for text in (b"one", b"two"):
                client.sendto(text)
                found.append(await asking.answers.get())
            client.close()
    finally:
        echo.close()
    return found, service.seen


@pytest.mark.envoy
def test_datagrams(tmp_path: Path) -> None:
    assert asyncio.run(_echoed(CASE, tmp_path))[0] == [b"echo one", b"echo two"]


@pytest.mark.envoy
def test_whose_datagrams_are_carried(tmp_path: Path) -> None:
    answers, seen = asyncio.run(_echoed(RESTRICTED, tmp_path, refused="127.0.0.2"))
    assert answers == [b"echo one", b"echo two"]
    assert seen == [b"one", b"two"]


def _lead_datagrams(config: bootstrap_pb2.Bootstrap, port: int) -> None:
    """The cluster of the UDP service leads to a port of this machine; `running` leaves it alone then."""
    (cluster,) = (c for c in config.static_resources.clusters if "names.default" in c.name)
    cluster.type = cluster_pb2.Cluster.STRICT_DNS
    del cluster.transport_socket_matches[:]
    cluster.ClearField("transport_socket")
    cluster.typed_extension_protocol_options.clear()
    cluster.load_assignment.ClearField("endpoints")
    address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port
