"""A client of `talker.py` for a pod: asks by every language it knows and prints what came, as JSON.

python3 talking.py TARGETS     {"name": ["language", "host", port, "authority or server name"], ...}
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import socket
import ssl
import sys
import time

import grpc

TIMEOUT_S = 10


def _connect(host: str, port: int) -> socket.socket:
    return socket.create_connection((host, port), timeout=TIMEOUT_S)


def first(host: str, port: int, _: str) -> str:
    with _connect(host, port) as plain, plain.makefile("rb") as lines:
        greeting = lines.readline().decode().split()
        plain.sendall(b"again\n")
        return f"{greeting[1]} {lines.readline().decode().strip()}"


def tls(host: str, port: int, name: str) -> str:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with _connect(host, port) as plain, context.wrap_socket(plain, server_hostname=name) as secure:
        return secure.makefile("rb").readline().decode().strip()


def call(host: str, port: int, authority: str) -> str:
    options = (("grpc.default_authority", authority), ("grpc.enable_http_proxy", 0))
    with grpc.insecure_channel(f"{host}:{port}", options=options) as channel:
        say = channel.stream_stream("/talk.Talk/Say", bytes, bytes)
        return b",".join(say(iter((b"one", b"two")), timeout=TIMEOUT_S)).decode()


def get(host: str, port: int, authority: str, more: str = "") -> str:
    with _connect(host, port) as plain:
        plain.sendall(f"GET / HTTP/1.1\r\nhost: {authority}\r\n{more}connection: close\r\n\r\n".encode())
        return plain.makefile("rb").read().rpartition(b"\r\n\r\n")[2].decode()


def canary(host: str, port: int, authority: str) -> str:
    return get(host, port, authority, "x-canary: yes\r\n")


def websocket(host: str, port: int, authority: str) -> str:
    key = base64.b64encode(os.urandom(16)).decode()
    upgrade = (
        f"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}"
    )
    with _connect(host, port) as plain, plain.makefile("rb") as answer:
        plain.sendall(f"GET / HTTP/1.1\r\nhost: {authority}\r\n{upgrade}\r\n\r\n".encode())
        if (status := answer.readline().decode()).split()[1] != "101":
            return status.strip()
        while answer.readline().strip():
            pass
        plain.sendall(b"\x81\x82\0\0\0\0hi")
        return answer.read(answer.read(2)[1]).decode()


LANGUAGES = {f.__name__: f for f in (first, tls, call, get, canary, websocket)}


def main() -> None:
    found = {}
    for name, (language, host, port, said) in json.loads(sys.argv[1]).items():
        begun = time.monotonic()
        try:
            answer = LANGUAGES[language](host, port, said)
        except (OSError, IndexError, grpc.RpcError) as error:
            answer = f"failed: {type(error).__name__} {str(error)[:300]}"
        found[name] = (answer, round(time.monotonic() - begun, 3))
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(found))


if __name__ == "__main__":
    main()
