"""Connections and datagrams that are no HTTP come back as they are; WebSocket, message by message."""

from __future__ import annotations

import socket

import pytest
from websockets.exceptions import ConnectionClosedOK
from websockets.sync.client import connect

from tests.unit.standins.conftest import StandIn


def _echoed(port: int, data: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as sock:
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\nhost: a\r\n\r\n", b"\x16\x03\x01 no handshake", b"x" * 300_000]
)
def test_a_port_for_plain_connections_echoes_whatever_it_is(stand_in: StandIn, data: bytes) -> None:
    assert _echoed(stand_in.places["7000/tcp"], data) == data


@pytest.mark.parametrize("data", [b"\x00\x01binary", b"hello\n", b"WORD", b"A" * 40])
def test_any_other_port_echoes_what_is_no_http(stand_in: StandIn, data: bytes) -> None:
    assert _echoed(stand_in.http, data) == data


def test_who_hears_who_answers(stand_in: StandIn) -> None:
    assert _echoed(stand_in.places["7000/tcp"], b"who\n") == b"default/catalog-1 v2\n"


def test_datagrams_come_back(stand_in: StandIn) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(30)
        for data, back in ((b"hello", b"hello"), (b"who\n", b"default/catalog-1 v2\n")):
            sock.sendto(data, ("127.0.0.1", stand_in.places["53/udp"]))
            assert sock.recv(65536) == back


def test_a_connection_that_says_nothing_harms_nobody(stand_in: StandIn) -> None:
    assert _echoed(stand_in.http, b"") == b""
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30):
        assert _echoed(stand_in.http, b"hello\n") == b"hello\n"


def test_websocket_messages_come_back(stand_in: StandIn) -> None:
    with connect(f"ws://127.0.0.1:{stand_in.http}/chat", subprotocols=["chat.v2"]) as client:  # type: ignore[list-item]
        assert client.subprotocol == "chat.v2"
        for message in ("hello", "ü" * 200, b"\x00\xff" * 50_000, ""):
            client.send(message)
            assert client.recv(timeout=30) == message
        assert client.ping().wait(timeout=30)
        client.close(1001, "enough")
        with pytest.raises(ConnectionClosedOK) as closed:
            client.recv(timeout=30)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1001


@pytest.mark.parametrize("frame", [b"\x81\x05hello", b"\xc1\x80\0\0\0\0", b"\x80\x81\0\0\0\0x"])
def test_a_bad_frame_closes_a_websocket(stand_in: StandIn, frame: bytes) -> None:
    head = b"GET / HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    asked = head + b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n" + frame
    found = _echoed(stand_in.http, asked)
    opened, _, rest = found.partition(b"\r\n\r\n")
    assert opened.startswith(b"HTTP/1.1 101 ")
    assert b"sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in opened
    assert (rest[0], rest[2:4]) == (0x88, (1002).to_bytes(2))
