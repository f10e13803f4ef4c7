"""A database with one row and one column that speaks as much of MySQL's protocol as that takes.

    python3 database.py RATING PORT
    python3 database.py ask HOST PORT

As MySQL does, the server speaks first: a client waits for its greeting and only then says
who it is. Anybody may log in, and every query is answered with the rating. `ask` is a client
that prints it, or `refused`.
"""

from __future__ import annotations

import os
import socket
import socketserver
import sys
from typing import BinaryIO

_SPEAKS_41, _SECURE, _PLUGIN = 0x0200, 0x8000, 0x0008_0000
_CAPABILITIES = 1 | _SPEAKS_41 | _SECURE | _PLUGIN
_METHOD = b"mysql_native_password\0"
_AUTOCOMMIT = b"\x02\0"
_OK, _EOF = b"\0\0\0" + _AUTOCOMMIT + b"\0\0", b"\xfe\0\0" + _AUTOCOMMIT
_QUIT, _QUERY = 1, 3


def _send(stream: BinaryIO, number: int, payload: bytes) -> None:
    stream.write(len(payload).to_bytes(3, "little") + bytes((number,)) + payload)
    stream.flush()


def _receive(stream: BinaryIO) -> bytes:
    head = stream.read(4)
    if len(head) < 4:
        raise EOFError("the connection ended")
    return stream.read(int.from_bytes(head[:3], "little"))


def _text(value: bytes) -> bytes:
    """A short text with its length before it."""
    return bytes((len(value),)) + value


def greeting() -> bytes:
    """What the server says first (protocol version 10)."""
    low, high = _CAPABILITIES.to_bytes(4, "little")[:2], _CAPABILITIES.to_bytes(4, "little")[2:]
    salt = b"notsecret" * 3
    head = b"\x0a8.0.0-bookinfo\0" + (1).to_bytes(4, "little") + salt[:8] + b"\0"
    return head + low + b"\x21" + _AUTOCOMMIT + high + b"\x15" + bytes(10) + salt[8:20] + b"\0" + _METHOD


class Session(socketserver.StreamRequestHandler):
    """One connection."""

    disable_nagle_algorithm = True
    rating = b""

    def handle(self) -> None:
        try:
            _send(self.wfile, 0, greeting())
            _receive(self.rfile)
            _send(self.wfile, 2, _OK)
            while (command := _receive(self.rfile)) and command[0] != _QUIT:
                if command[0] == _QUERY:
                    self._answer()
                else:
                    _send(self.wfile, 1, _OK)
        except (EOFError, ConnectionError):
            return

    def _answer(self) -> None:
        names = _text(b"def") + _text(b"") * 3 + _text(b"rating") * 2
        column = names + b"\x0c\x21\0" + (255).to_bytes(4, "little") + b"\xfd\0\0\0\0\0"
        for number, packet in enumerate((b"\x01", column, _EOF, _text(self.rating), _EOF), start=1):
            _send(self.wfile, number, packet)


def query(host: str, port: int, statement: str, timeout_s: float) -> str:
    """The first value of the first row; raises `OSError` or `EOFError` where none comes."""
    with socket.create_connection((host, port), timeout=timeout_s) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        stream = connection.makefile("rwb")
        _receive(stream)
        capabilities = (_SPEAKS_41 | _SECURE | _PLUGIN).to_bytes(4, "little")
        login = (
            capabilities + (1 << 24).to_bytes(4, "little") + b"\x21" + bytes(23) + b"ratings\0\0" + _METHOD
        )
        _send(stream, 1, login)
        if not _receive(stream).startswith(b"\0"):
            raise ConnectionError("the database refused the login")
        _send(stream, 0, bytes((_QUERY,)) + statement.encode())
        for _ in range(3):  # how many columns, the column, the end of the columns
            _receive(stream)
        row = _receive(stream)
        return row[1 : 1 + row[0]].decode()


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 128


def ask(host: str, port: int) -> str:
    """The rating, or that the database does not tell it."""
    try:
        return query(host, port, "SELECT rating FROM ratings", 5)
    except (OSError, EOFError):
        return "refused"


def main() -> None:
    """Serves until it is ended, or asks; locally the port is the one that `PORT` says."""
    if sys.argv[1] == "ask":
        print(ask(sys.argv[2], int(sys.argv[3])))
        return
    Session.rating = sys.argv[1].encode()
    pod = os.environ.get("POD_IP", "")
    host = pod if pod.startswith("127.") else "0.0.0.0"
    Server((host, int(os.environ.get("PORT", sys.argv[2]))), Session).serve_forever()


if __name__ == "__main__":
    main()
