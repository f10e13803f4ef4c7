"""What a stand-in answers in HTTP/1.1, to good requests and to bad ones."""

from __future__ import annotations

import hashlib
import http.client
import json
import socket
import ssl

import pytest

from tests.unit.standins.conftest import StandIn, start

_HELLO = b"GET /a?b=c HTTP/1.1\r\nhost: shop.test\r\n"


def _raw(stand_in: StandIn, *parts: bytes) -> bytes:
    """All that comes back until the connection ends."""
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30) as sock:
        for part in parts:
            sock.sendall(part)
        sock.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: sock.recv(65536), b""))


def test_it_tells_who_it_is_and_what_arrived(stand_in: StandIn) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stand_in.http, timeout=30)
    connection.putrequest("POST", "/a?b=c", skip_host=True, skip_accept_encoding=True)
    for name, value in (("Host", "shop.test"), ("X-One", "1"), ("X-Two", "a"), ("X-Two", "b")):
        connection.putheader(name, value)
    connection.putheader("Content-Length", "5")
    connection.endheaders(b"hello")
    answer = connection.getresponse()
    assert answer.status == 200
    assert answer.headers["x-stand-in"] == "default/catalog-1"
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.read()) == {
        "stand_in_for": "catalog:2",
        "workload": "catalog",
        "namespace": "default",
        "pod": "catalog-1",
        "container": "app",
        "version": "v2",
        "port": 8080,
        "protocol": "HTTP/1.1",
        "method": "POST",
        "path": "/a?b=c",
        "host": "shop.test",
        "headers": {"host": "shop.test", "x-one": "1", "x-two": ["a", "b"], "content-length": "5"},
        "body": {"bytes": 5, "sha256": hashlib.sha256(b"hello").hexdigest(), "text": "hello"},
    }
    connection.request("HEAD", "/again")  # the connection is kept
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (200, b"")
    assert int(answer.headers["content-length"]) > 0
    connection.close()


@pytest.mark.parametrize(
    ("path", "status"),
    [("/status/503", 503), ("/shop/status/204", 204), ("/status/600", 200), ("/status/503/more", 200)],
)
def test_a_path_may_ask_for_a_status(stand_in: StandIn, path: str, status: int) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", stand_in.http, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status == status
    answer.read()
    connection.request("GET", "/")
    assert connection.getresponse().status == 200
    connection.close()


def test_a_body_in_chunks_is_counted_and_a_large_one_is_not_shown(stand_in: StandIn) -> None:
    head = b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\n\r\n"
    chunk = b"2710;ext=1\r\n" + b"x" * 10_000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30) as sock:
        sock.sendall(head)
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(chunk * 3 + b"0\r\nx-trailer: 1\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
        rest = b"".join(iter(lambda: sock.recv(65536), b""))
    body = json.loads(rest.partition(b"\r\n\r\n")[2])["body"]
    assert body == {"bytes": 30_000, "sha256": hashlib.sha256(b"x" * 30_000).hexdigest()}


def test_one_after_the_other_and_byte_by_byte(stand_in: StandIn) -> None:
    request = _HELLO + b"\r\n"
    found = _raw(stand_in, *(bytes([octet]) for octet in request), request, request)
    assert found.count(b"HTTP/1.1 200 OK\r\n") == 3


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (_HELLO + b"content-length: 1\r\ntransfer-encoding: chunked\r\n\r\n", 400),
        (_HELLO + b"content-length: 1\r\ncontent-length: 2\r\n\r\n", 400),
        (_HELLO + b"content-length: +1\r\n\r\n", 400),
        (_HELLO + b"transfer-encoding: gzip\r\n\r\n", 501),
        (_HELLO + b"transfer-encoding: chunked\r\n\r\nzz\r\n", 400),
        (_HELLO + b"transfer-encoding: chunked\r\n\r\n1\r\nabc\r\n", 400),
        (_HELLO + b"name : x\r\n\r\n", 400),
        (_HELLO + b"a: " + b"x" * 2_000_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(
    stand_in: StandIn, request_: bytes, status: int
) -> None:
    found = _raw(stand_in, request_)
    head, _, body = found.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status)
    assert b"connection: close" in head
    assert body.endswith(b"\n")
    assert body.count(b"HTTP/1.1") == 0


def test_the_log_has_a_line_for_each_request_without_its_query() -> None:
    fresh = start()
    _raw(fresh, b"GET /logged?apikey=geheim HTTP/1.1\r\nhost: a\r\n\r\n")
    assert fresh.end() == 0
    assert "GET '/logged' 200\n" in fresh.lines
    assert not any("geheim" in line for line in fresh.lines)


def test_tls_is_spoken_to_those_who_begin_it(stand_in: StandIn) -> None:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    connection = http.client.HTTPSConnection("127.0.0.1", stand_in.http, timeout=30, context=context)
    connection.request("GET", "/")
    assert json.loads(connection.getresponse().read())["protocol"] == "HTTP/1.1 over TLS"
    connection.close()


def test_a_request_in_flight_is_answered_before_the_end() -> None:
    stand_in = start()
    with socket.create_connection(("127.0.0.1", stand_in.http), timeout=30) as sock:
        sock.sendall(b"POST /slow HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n")
        assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"  # so it has begun
        stand_in.process.terminate()
        sock.sendall(b"ab")
        found = b"".join(iter(lambda: sock.recv(65536), b""))
    assert found.startswith(b"HTTP/1.1 200 OK\r\n")
    assert stand_in.ended() == 0
