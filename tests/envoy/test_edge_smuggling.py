"""Requests that two parsers could read in two ways: none brings a second request past the gateway."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from tests.envoy.raw_edge import edge, status

pytestmark = pytest.mark.envoy

MANIFESTS = """
apiVersion: v1
kind: Service
metadata: {name: shop}
spec: {ports: [{name: http, port: 80}]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: open}
spec:
  rules:
  - http:
      paths: [{path: /open, pathType: Prefix, backend: {service: {name: shop, port: {number: 80}}}}]
"""
HOST = b"host: shop.example\r\n"
SMUGGLED = b"GET /open/PLACE/smuggled HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n"
CHUNKED = b"0\r\n\r\n"


def _post(*lines: bytes, body: bytes = b"") -> bytes:
    return (
        b"POST /open/PLACE HTTP/1.1\r\n" + HOST + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    )


REFUSED: Mapping[str, bytes] = {
    "CL.TE": _post(b"content-length: 4", b"transfer-encoding: chunked", body=CHUNKED + SMUGGLED),
    "TE.CL": _post(b"transfer-encoding: chunked", b"content-length: 4", body=b"5c\r\n" + SMUGGLED),
    "two lengths": _post(b"content-length: 0", b"content-length: 5", body=SMUGGLED),
    "a list of lengths": _post(b"content-length: 0, 5", body=SMUGGLED),
    "a signed length": _post(b"content-length: +5", body=b"12345" + SMUGGLED),
    "a negative length": _post(b"content-length: -1", body=SMUGGLED),
    "a hexadecimal length": _post(b"content-length: 0x5", body=b"12345" + SMUGGLED),
    "a huge length": _post(b"content-length: 99999999999999999999999", body=SMUGGLED),
    "TE of another name": _post(b"transfer-encoding: xchunked", body=CHUNKED + SMUGGLED),
    "TE twice": _post(b"transfer-encoding: chunked", b"transfer-encoding: identity", body=CHUNKED + SMUGGLED),
    "chunked not last": _post(b"transfer-encoding: chunked, identity", body=CHUNKED + SMUGGLED),
    "space before the colon": _post(b"transfer-encoding : chunked", body=CHUNKED + SMUGGLED),
    "tab before the colon": _post(b"content-length\t: 5", body=b"12345" + SMUGGLED),
    "NUL in a value": _post(b"x: a\x00b", b"content-length: 0") + SMUGGLED,
    "a header without a colon": _post(b"nothing", b"content-length: 0") + SMUGGLED,
    "an empty name": _post(b": x", b"content-length: 0") + SMUGGLED,
    "the same length twice": _post(b"content-length: 1", b"content-length: 1", body=b"x" + SMUGGLED),
    "a folded line first": b"GET /open/PLACE HTTP/1.1\r\n x: y\r\n" + HOST + b"\r\n" + SMUGGLED,
    "a chunk size that is no number": _post(b"transfer-encoding: chunked", body=b"zz\r\n\r\n" + SMUGGLED),
    "a chunk size that is too large": _post(
        b"transfer-encoding: chunked", body=b"fffffffffffffffff\r\n\r\n" + SMUGGLED
    ),
    "HTTP/0.9": b"GET /open/PLACE\r\n" + SMUGGLED,
    "a space in the path": b"GET /open/PLACE /x HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
    "two hosts": b"GET /open/PLACE HTTP/1.1\r\n" + HOST + HOST.replace(b"shop", b"evil") + b"\r\n" + SMUGGLED,
    "no host": b"GET /open/PLACE HTTP/1.1\r\n\r\n" + SMUGGLED,
    "a method that is no token": b"GE(T /open/PLACE HTTP/1.1\r\n" + HOST + b"\r\n" + SMUGGLED,
}
"""What is refused: 400, or the connection ends; and nothing of it reaches the service."""

ONE_MEANING: Mapping[str, bytes] = {
    "CR in a value": _post(b"x: a\rb", b"content-length: 0", b"connection: close"),
    "a chunk longer than it says": _post(
        b"transfer-encoding: chunked", b"connection: close", body=b"1\r\nabc\r\n0\r\n\r\n"
    ),
    "HTTP/9.9": b"GET /open/PLACE HTTP/9.9\r\n" + HOST + b"connection: close\r\n\r\n",
    "a folded value": _post(b"x: a", b" b", b"content-length: 0", b"connection: close"),
    "bare LF": b"GET /open/PLACE HTTP/1.1\n" + HOST.replace(b"\r", b"") + b"connection: close\n\n",
    "TE in capitals": _post(b"Transfer-Encoding: CHUNKED", b"connection: close", body=CHUNKED),
    "a chunk extension": _post(
        b"transfer-encoding: chunked", b"connection: close", body=b"1;a=b\r\nx\r\n0\r\n\r\n"
    ),
    "a trailer": _post(b"transfer-encoding: chunked", b"connection: close", body=b"0\r\nx: y\r\n\r\n"),
    "an absolute URI": b"GET http://shop.example/open/PLACE HTTP/1.1\r\n"
    b"host: evil.example\r\nconnection: close\r\n\r\n",
}
"""What may be refused or taken, but as one request, and rewritten so that nobody reads it otherwise."""


@dataclass(frozen=True, slots=True)
class Outcome:
    answer: bytes
    came: tuple[str, ...]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Outcome]:
    """What became of every request, each on a connection of its own."""

    async def ask() -> dict[str, Outcome]:
        sent = {**REFUSED, **ONE_MEANING}
        places = {name: f"/open/{number}/" for number, name in enumerate(sent)}
        async with edge(MANIFESTS, tmp_path_factory.mktemp("edge")) as gateway:
            told = (
                gateway.say(data.replace(b"/open/PLACE", places[name].rstrip("/").encode()))
                for name, data in sent.items()
            )
            answers = await asyncio.gather(*told)
            return {
                name: Outcome(answer, tuple(c for c in gateway.came if places[name] in f"{c}/"))
                for name, answer in zip(sent, answers, strict=True)
            }

    return asyncio.run(ask())


@pytest.mark.parametrize("name", sorted(REFUSED))
def test_what_can_be_read_in_two_ways_is_refused(name: str, outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert status(outcome.answer) in (0, 400, 411, 426, 501, 505), outcome.answer
    assert outcome.came == ()


@pytest.mark.parametrize("name", sorted(ONE_MEANING))
def test_what_is_odd_has_one_meaning(name: str, outcomes: Mapping[str, Outcome]) -> None:
    outcome = outcomes[name]
    assert len(outcome.came) <= 1
    assert outcome.answer.count(b"HTTP/1.1 ") <= 2  # the answer, and the head that the service tells
    if outcome.came:
        assert b"evil.example" not in outcome.answer
        head = outcome.answer.partition(b"\r\n\r\n")[2].lower()
        assert b"\n " not in head
        assert b"\n" not in head.replace(b"\r\n", b"")
        lengths = head.count(b"content-length:") + head.count(b"transfer-encoding:")
        assert lengths <= 1, head
