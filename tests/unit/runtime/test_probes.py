from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from meshgate.runtime.placement import Placement
from meshgate.runtime.probes import Prober, Verdict, first_success, startup, until_failed
from meshgate.runtime.spec import Exec, Grpc, HttpGet, Isolation, Probe, ProbeAction, TcpSocket
from tests.unit.runtime.tools import run

NOWHERE = Path("/nonexistent")


def prober(port: int) -> Prober:
    """A prober to which container port 8080 is `port` on this machine."""
    placement = Placement(
        isolation=Isolation.PORTS,
        ip="127.0.0.1",
        app_ports={8080: port},
        inbound_ports={},
        outbound_port=0,
        service_ports={},
        run_dir=NOWHERE,
        admin_socket=NOWHERE,
        xds_socket=NOWHERE,
    )
    return Prober(placement=placement, env=dict(os.environ))


async def served(answer: bytes, action: ProbeAction, timeout_s: float = 5) -> tuple[Verdict, bytes]:
    """Asks a server that gives `answer` to everything; the verdict and what it was asked."""
    asked = b""
    handled = asyncio.Event()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        asked = await reader.read(4096)
        if answer:
            writer.write(answer)
        else:
            await reader.read()
        writer.close()
        handled.set()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        verdict = await prober(port).check(Probe(action=action, timeout_s=timeout_s))
        await handled.wait()
        return verdict, asked


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 200 OK\r\n\r\n", ""),
        (b"HTTP/1.0 302 Found\r\nLocation: /x\r\n\r\n", ""),
        (b"HTTP/1.1 503 Busy\r\n\r\n", "HTTP status 503"),
        (b"SSH-2.0-x\r\n", "no HTTP/1.1 status line"),
    ],
)
def test_http(answer: bytes, reason: str) -> None:
    action = HttpGet(path="healthz?x=1", port=8080, headers=(("X-Probe", "yes"),))
    verdict, asked = run(served(answer, action))
    assert verdict == Verdict(ok=not reason, reason=reason)
    lines = asked.decode().split("\r\n")
    assert lines[0] == "GET /healthz?x=1 HTTP/1.1"
    assert "X-Probe: yes" in lines


def test_no_answer_in_time() -> None:
    verdict, _ = run(served(b"", HttpGet(port=8080), timeout_s=0.05))
    assert verdict == Verdict(ok=False, reason="no answer within 0.05 s")


def test_tcp_and_a_closed_port() -> None:
    verdict, _ = run(served(b"x", TcpSocket(port=8080)))
    assert verdict.ok
    refused = run(prober(1).check(Probe(action=TcpSocket(port=8080))))
    assert not refused.ok
    assert refused.reason == "Connection refused"


def frame(kind: int, payload: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """One of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def test_a_command_is_killed_at_the_deadline() -> None:
    async def body() -> None:
        ask = prober(1)
        probe = Probe(action=Exec(argv=("sh", "-c", "exit 0")), timeout_s=20)
        assert (await ask.check(probe)).ok
        failing = await ask.check(replace(probe, action=Exec(argv=("sh", "-c", "exit 7"))))
        assert failing == Verdict(ok=False, reason="sh ended with 7")
        late = await ask.check(replace(probe, action=Exec(argv=("sleep", "60")), timeout_s=0.05))
        assert late == Verdict(ok=False, reason="no answer within 0.05 s")

    run(body())


def test_grpc_health() -> None:
    statuses = {b"": b"\x08\x01", b"\x0a\x04down": b"\x08\x02"}

    async def body() -> None:
        async def check(request: bytes, _: object) -> bytes:
            return statuses[request]

        server = grpc.aio.server()
        handler = grpc.unary_unary_rpc_method_handler(check)
        server.add_generic_rpc_handlers(
            (grpc.method_handlers_generic_handler("grpc.health.v1.Health", {"Check": handler}),)
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            probe = Probe(action=Grpc(port=8080), timeout_s=20)
            assert (await prober(port).check(probe)).ok
            down = await prober(port).check(replace(probe, action=Grpc(port=8080, service="down")))
            assert down == Verdict(ok=False, reason="it does not say SERVING")
            unknown = await prober(port).check(replace(probe, action=Grpc(port=8080, service="x" * 200)))
            assert unknown == Verdict(ok=False, reason="gRPC status 2")
        finally:
            await server.stop(None)

    run(body())


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n" + b"x" * 64, "no HTTP/2"),
        (b"", "the connection ended before an answer"),
        (frame(4) + frame(3, bytes([0, 0, 0, 8]), stream=1), "the call was reset"),
        (frame(4) + frame(1, b"\x8d", flags=5, stream=1), "HTTP status 404"),
        (frame(4) + frame(1, b"\x88", flags=5, stream=1), "gRPC status missing"),
        (
            frame(4) + frame(1, b"\x88", flags=4, stream=1) + frame(0, b"x" * 2000, stream=1),
            "no health check",
        ),
    ],
)
def test_who_speaks_no_grpc_does_not_serve(said: bytes, reason: str) -> None:
    async def body() -> None:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(65536)
            writer.write(said)
            await writer.drain()
            while said and await reader.read(65536):
                pass
            writer.close()
            await writer.wait_closed()
            gone.set()

        gone = asyncio.Event()
        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        async with server:
            port = server.sockets[0].getsockname()[1]
            verdict = await prober(port).check(Probe(action=Grpc(port=8080), timeout_s=20))
            await gone.wait()
        assert not verdict.ok
        assert reason in verdict.reason

    run(body())


def scripted(*answers: bool) -> tuple[Callable[[Probe], object], list[bool]]:
    left = list(answers)

    async def check(_: Probe) -> Verdict:
        ok = left.pop(0)
        return Verdict(ok=ok, reason="" if ok else f"{len(left)} left")

    return check, left


QUICK = Probe(action=TcpSocket(port=8080), period_s=0, success_threshold=2, failure_threshold=3)


def test_thresholds_count_in_a_row() -> None:
    async def body() -> None:
        notes: list[str] = []
        check, left = scripted(True, False, True, True, True)
        await first_success(QUICK, check, notes.append)  # type: ignore[arg-type]
        assert (left, notes) == ([True], ["3 left"])
        check, left = scripted(False, False, True, False, False, False, True)
        assert await until_failed(QUICK, check) == "1 left"  # type: ignore[arg-type]

    run(body())


def test_startup_gives_up_after_its_patience() -> None:
    async def never(_: Probe) -> Verdict:
        return Verdict(ok=False, reason="no")

    async def at_once(_: Probe) -> Verdict:
        return Verdict(ok=True)

    probe = replace(QUICK, period_s=0.01)
    notes: list[str] = []
    assert run(startup(probe, never, notes.append)) is False
    assert notes
    assert run(startup(probe, at_once, notes.append)) is True
