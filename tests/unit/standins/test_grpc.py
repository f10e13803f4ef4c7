"""gRPC: messages come back, health checks hear SERVING, by the real client."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import grpc
import pytest

from meshgate.standins.grpc_echo import _SERVING
from tests.unit.standins.conftest import StandIn


@pytest.fixture(scope="module")
def channel(stand_in: StandIn) -> Iterator[grpc.Channel]:
    """To the one stand-in of this module."""
    with grpc.insecure_channel(f"127.0.0.1:{stand_in.http}") as found:
        yield found


@pytest.mark.parametrize("message", [b"", b"\x0a\x05hello", b"x" * 300_000])
def test_a_message_comes_back(channel: grpc.Channel, message: bytes) -> None:
    call = channel.unary_unary("/shop.Catalog/Find", bytes, bytes)
    answer, done = call.with_call(message, timeout=30)
    assert answer == message
    metadata = dict(done.initial_metadata())
    assert metadata["x-stand-in"] == "default/catalog-1"
    assert metadata["x-stand-in-version"] == "v2"


def test_each_message_of_a_stream_comes_back_before_the_next(channel: grpc.Channel) -> None:
    came: queue.Queue[bytes] = queue.Queue()

    def asked() -> Iterator[bytes]:
        for n in range(5):
            yield b"%d" % n
            assert came.get(timeout=30) == b"%d" % n

    for answer in channel.stream_stream("/shop.Catalog/Talk", bytes, bytes)(asked(), timeout=60):
        came.put(answer)
    assert came.empty()


def test_a_health_check_hears_that_it_serves(channel: grpc.Channel) -> None:
    check = channel.unary_unary("/grpc.health.v1.Health/Check", bytes, bytes)
    assert check(b"\x0a\x03any", timeout=30) == _SERVING


def test_it_says_that_it_knows_no_services(channel: grpc.Channel) -> None:
    call = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", bytes, bytes)
    with pytest.raises(grpc.RpcError) as refused:
        list(call(iter([b"\x3a\x00"]), timeout=30))
    assert refused.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_message_that_is_too_long_is_refused(channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        channel.unary_unary("/shop.Catalog/Find", bytes, bytes)(b"x" * (5 << 20), timeout=30)
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
