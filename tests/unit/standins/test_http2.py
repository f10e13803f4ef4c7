"""HTTP/2: what curl asks, what clients do wrong, and the headers' compression by itself."""

from __future__ import annotations

import enum
import hashlib
import json
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from h2.errors import ErrorCodes
from hpack import Encoder

from tests.unit.standins.conftest import StandIn

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


class Kind(enum.IntEnum):
    """Types of frames (RFC 9113, 6)."""

    DATA = 0
    HEADERS = 1
    RST_STREAM = 3
    SETTINGS = 4
    PING = 6
    GOAWAY = 7
    WINDOW_UPDATE = 8
    CONTINUATION = 9


def frame(kind: Kind, stream: int, payload: bytes = b"", flags: int = 0) -> bytes:
    """One frame as a client sends it."""
    return len(payload).to_bytes(3) + struct.pack("!BBI", kind, flags, stream) + payload


def _block(*headers: tuple[str, str]) -> bytes:
    return Encoder().encode(headers)


_SETTINGS = frame(Kind.SETTINGS, 0)
_ASKED = ((":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a"))
_HEADERS = _block(*_ASKED)


def _curl(stand_in: StandIn, *arguments: str) -> str:
    url = f"http://127.0.0.1:{stand_in.http}/a?b=c"
    argv = ["curl", "-sS", "--max-time", "60", "--http2-prior-knowledge", *arguments, url]
    return subprocess.run(argv, capture_output=True, text=True, timeout=90, check=True).stdout


def _frames(stand_in: StandIn, *sent: bytes) -> list[tuple[int, int, int, bytes]]:
    """(type, flags, stream, payload) of all that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30) as sock:
        sock.sendall(b"".join(sent))
        sock.shutdown(socket.SHUT_WR)
        data = b"".join(iter(lambda: sock.recv(65536), b""))
    found = []
    while data:
        size, kind, flags, stream = int.from_bytes(data[:3]), data[3], data[4], int.from_bytes(data[5:9])
        found.append((kind, flags, stream, data[9 : 9 + size]))
        data = data[9 + size :]
    return found


def test_curl_hears_what_arrived(stand_in: StandIn) -> None:
    told = json.loads(_curl(stand_in, "-H", "x-one: 1", "-d", "hello"))
    assert (told["protocol"], told["method"], told["path"]) == ("HTTP/2", "POST", "/a?b=c")
    assert told["headers"]["x-one"] == "1"
    assert told["body"]["text"] == "hello"


def test_a_large_body_is_let_in_window_by_window(stand_in: StandIn, tmp_path: Path) -> None:
    upload = tmp_path / "upload"
    upload.write_bytes(b"0123456789" * 50_000)
    told = json.loads(_curl(stand_in, "--data-binary", f"@{upload}"))
    assert told["body"] == {"bytes": 500_000, "sha256": hashlib.sha256(upload.read_bytes()).hexdigest()}


class _Client:
    """A connection whose frames are taken one by one."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock, self._data = sock, b""
        sock.sendall(PREFACE)

    def send(self, *sent: bytes) -> None:
        self._sock.sendall(b"".join(sent))

    def take(self) -> tuple[int, int, int, bytes]:
        """(type, flags, stream, payload) of the next one."""
        while len(self._data) < 9 or len(self._data) < 9 + int.from_bytes(self._data[:3]):
            more = self._sock.recv(65536)
            assert more, "the connection has ended"
            self._data += more
        size, kind, flags = int.from_bytes(self._data[:3]), self._data[3], self._data[4]
        stream, payload = int.from_bytes(self._data[5:9]), self._data[9 : 9 + size]
        self._data = self._data[9 + size :]
        return kind, flags, stream, payload

    def until(self, wanted: Kind) -> tuple[int, bytes]:
        """Flags and payload of the next one of a type."""
        while True:
            kind, flags, _, payload = self.take()
            if kind == wanted:
                return flags, payload


@pytest.fixture
def client(stand_in: StandIn) -> Iterator[_Client]:
    """A fresh connection."""
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30) as sock:
        yield _Client(sock)


def test_no_more_goes_out_than_the_client_lets(client: _Client) -> None:
    narrow = frame(Kind.SETTINGS, 0, struct.pack("!HI", 4, 10))
    client.send(narrow, frame(Kind.HEADERS, 1, _HEADERS, 0x5))
    assert client.until(Kind.DATA) == (0, b'{\n  "stand')
    client.send(frame(Kind.PING, 0, b"nothing?"))
    assert client.take()[0] == Kind.PING
    client.send(frame(Kind.SETTINGS, 0, struct.pack("!HI", 4, 12)))
    assert client.until(Kind.DATA) == (0, b"_i")
    client.send(frame(Kind.WINDOW_UPDATE, 1, struct.pack("!I", 10_000)))
    flags, rest = client.until(Kind.DATA)
    assert (flags, rest[:3], rest[-2:]) == (1, b"n_f", b"}\n")


def test_many_at_once(client: _Client) -> None:
    client.send(_SETTINGS, *(frame(Kind.HEADERS, 2 * n + 1, _HEADERS, 0x5) for n in range(40)))
    ended: set[int] = set()
    while len(ended) < 40:
        kind, flags, stream, _ = client.take()
        if kind == Kind.DATA and flags & 1:
            ended.add(stream)
    assert ended == {2 * n + 1 for n in range(40)}


def test_a_request_that_is_given_up_takes_nothing_with_it(client: _Client) -> None:
    waits = _block(*_ASKED[:2], (":path", "/delay/10"), _ASKED[3])
    client.send(_SETTINGS, frame(Kind.HEADERS, 1, waits, 0x5), frame(Kind.RST_STREAM, 1, bytes(4)))
    client.send(frame(Kind.HEADERS, 3, _HEADERS, 0x5))
    assert client.until(Kind.DATA)[0] == 1


_BROKEN = {
    "data of no stream": frame(Kind.DATA, 1, b"x"),
    "an even stream": frame(Kind.HEADERS, 2, _HEADERS, 0x5),
    "headers that are none": frame(Kind.HEADERS, 1, b"\xff\xff\xff\xff\xff\xff", 0x5),
    "more padding than frame": frame(Kind.HEADERS, 1, b"\x09\x00", 0xD),
    "something within headers": frame(Kind.HEADERS, 1, _HEADERS, 0x1) + frame(Kind.PING, 0, b"12345678"),
    "settings of half a length": frame(Kind.SETTINGS, 0, b"123"),
    "a window that is too wide": frame(Kind.WINDOW_UPDATE, 0, struct.pack("!I", 2**31 - 1)),
}


@pytest.mark.parametrize("name", _BROKEN)
def test_who_breaks_the_protocol_is_told_so(stand_in: StandIn, name: str) -> None:
    *_, last = _frames(stand_in, PREFACE, _SETTINGS, _BROKEN[name])
    assert last[0] == Kind.GOAWAY
    assert int.from_bytes(last[3][4:8]) != ErrorCodes.NO_ERROR


def test_pings_are_answered_and_unknown_frames_passed_over(stand_in: StandIn) -> None:
    unknown = b"\0\0\1" + bytes([0xBE, 0xFF]) + b"\0\0\0\0x"
    found = _frames(stand_in, PREFACE, _SETTINGS, unknown, frame(Kind.PING, 0, b"12345678"))
    assert (Kind.PING, 1, 0, b"12345678") in found
