"""The whole service over gRPC: two gateways and one Redis, failures, rules files, signals."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import grpc
import pytest

from meshgate.core.clock import SystemClock
from meshgate.core.secret import Secret
from meshgate.model.policy import Limits, LimitStore, RateLimit, RedisTarget
from meshgate.ratelimit.rules_file import write_rules
from meshgate.ratelimit.server import SERVICE, serving
from tests.redis_server import RedisServer, redis_server
from tests.unit.ratelimit.asking import DEADLINE_S, StillClock, asking, refusal, until


def shared(redis: RedisServer, **limits: int) -> RateLimit:
    target = RedisTarget(host=redis.host, port=redis.port)
    return RateLimit(rule_id="shared", limits=Limits(**limits), store=LimitStore.REDIS, redis=target)


@pytest.mark.redis
def test_two_gateways_fifty_clients_and_one_redis_pass_exactly_the_limit(tmp_path: Path) -> None:
    rules = tmp_path / "rules.json"

    async def play() -> None:
        one, two = tmp_path / "one", tmp_path / "two"
        async with (
            serving(rules=rules, listen=f"unix:{one}", clock=StillClock()),
            serving(rules=rules, listen=f"unix:{two}", clock=StillClock()),
            asking(one) as ask_one,
            asking(two) as ask_two,
        ):
            passed: list[int] = []

            async def client(number: int) -> None:
                ask = ask_two if number % 2 else ask_one
                for _ in range(10):
                    accepted, headers = await ask(rule="shared", consumer="alice")
                    if accepted:
                        passed.append(int(headers["X-RateLimit-Remaining-Minute"]))

            await asyncio.gather(*(client(number) for number in range(50)))
            assert len(passed) == 100
            assert sorted(passed) == list(range(100)), "no two were told the same remainder"

    with redis_server(tmp_path) as redis:
        write_rules(rules, [shared(redis, minute=100, hour=1000)])
        asyncio.run(play())


@pytest.mark.redis
def test_redis_killed_and_restarted(tmp_path: Path) -> None:
    rules, socket = tmp_path / "rules.json", tmp_path / "socket"

    async def play(redis: RedisServer) -> None:
        async with (
            serving(rules=rules, listen=f"unix:{socket}", clock=StillClock()),
            asking(socket) as ask,
        ):

            async def works() -> bool:
                try:
                    return (await ask(rule="strict", consumer="probe"))[1] != {}
                except grpc.aio.AioRpcError:
                    return False

            for rule in ("shared", "strict"):
                assert [(await ask(rule=rule))[0] for _ in range(3)] == [True, True, False]
            redis.kill()
            for _ in range(5):
                assert await ask(rule="shared") == (True, {}), "passes without limits"
                assert await refusal(ask(rule="strict")) is grpc.StatusCode.UNAVAILABLE
            redis.start()
            await until(works)
            for rule in ("shared", "strict"):
                assert [(await ask(rule=rule))[0] for _ in range(3)] == [True, True, False]

    with redis_server(tmp_path) as redis:
        tolerant = shared(redis, minute=2)
        write_rules(rules, [tolerant, replace(tolerant, rule_id="strict", fault_tolerant=False)])
        asyncio.run(play(redis))


def test_rules_change_while_it_serves_and_a_broken_file_changes_nothing(tmp_path: Path) -> None:
    rules, socket = tmp_path / "rules.json", tmp_path / "socket"
    write_rules(rules, [RateLimit(rule_id="a", limits=Limits(day=1))])

    async def play() -> None:
        async with (
            serving(rules=rules, listen=f"unix:{socket}", clock=StillClock()) as watch,
            asking(socket) as ask,
        ):

            async def limit_of_a() -> str:
                return (await ask(rule="a"))[1]["X-RateLimit-Limit-Day"]

            async def is_eight() -> bool:
                return await limit_of_a() == "8"

            assert await limit_of_a() == "1"
            write_rules(
                rules,
                [RateLimit(rule_id="a", limits=Limits(day=7)), RateLimit(rule_id="b", limits=Limits(day=1))],
            )
            assert (await ask(rule="b"))[0], "a rule that Envoy names is looked for at once"
            assert await limit_of_a() == "7"

            rules.write_text("{")
            watch.poke()
            assert not watch.refresh()
            assert await limit_of_a() == "7"
            rules.unlink()
            assert not watch.refresh()
            assert await limit_of_a() == "7"

            write_rules(rules, [RateLimit(rule_id="a", limits=Limits(day=8))])
            await until(is_eight)
            assert (await ask(rule="b"))[0] is False, "removed a moment ago: still counted"
            assert await refusal(ask(rule="c")) is grpc.StatusCode.FAILED_PRECONDITION

    asyncio.run(play())


def test_a_request_that_is_none_is_refused(tmp_path: Path) -> None:
    rules, socket = tmp_path / "rules.json", tmp_path / "socket"
    write_rules(rules, [])

    async def play() -> None:
        async with (
            serving(rules=rules, listen=f"unix:{socket}", clock=SystemClock()),
            grpc.aio.insecure_channel(f"unix:{socket}") as channel,
        ):
            call = channel.unary_unary(f"/{SERVICE}/ShouldRateLimit", bytes, bytes)
            assert await refusal(call(b"\x12\xff", timeout=DEADLINE_S)) is grpc.StatusCode.INVALID_ARGUMENT

    asyncio.run(play())


@contextmanager
def process(tmp_path: Path, *extra: str, pass_fds: tuple[int, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "meshgate.ratelimit", "--rules", str(tmp_path / "rules.json")]
    command += ["--listen", f"unix:{tmp_path / 'socket'}", *extra]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, pass_fds=pass_fds
    ) as started:
        try:
            yield started
        finally:
            started.kill()


def test_the_process_says_ready_rereads_on_sighup_and_stops_on_sigterm(tmp_path: Path) -> None:
    secret = RedisTarget(host="127.0.0.1", port=1, password=Secret.of("s3cret"))
    away = RateLimit(rule_id="away", limits=Limits(day=1), store=LimitStore.REDIS, redis=secret)
    write_rules(tmp_path / "rules.json", [away, RateLimit(rule_id="a", limits=Limits(year=1))])

    async def play(pid: int) -> None:
        async with asking(tmp_path / "socket") as ask:
            assert [(await ask(rule="a"))[0] for _ in range(2)] == [True, False]
            assert await ask(rule="away") == (True, {})
            write_rules(tmp_path / "rules.json", [RateLimit(rule_id="a", limits=Limits(year=5))])
            os.kill(pid, signal.SIGHUP)

            async def is_five() -> bool:
                return (await ask(rule="a"))[1]["X-RateLimit-Limit-Year"] == "5"

            await until(is_five)

    read_end, write_end = os.pipe()
    with process(tmp_path, "--ready-fd", str(write_end), pass_fds=(write_end,)) as service:
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.read() == "ready\n"
        assert (tmp_path / "socket").stat().st_mode & 0o077 == 0, "for this user alone"
        asyncio.run(play(service.pid))
        service.send_signal(signal.SIGTERM)
        output, log = service.communicate(timeout=DEADLINE_S)
    assert service.returncode == 0
    assert output == ""
    assert "redis_unavailable" in log
    assert "s3cret" not in log
    assert "Traceback" not in log


def test_a_process_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    with process(tmp_path) as service:
        output, log = service.communicate(timeout=DEADLINE_S)
    assert service.returncode == 1
    assert output == ""
    rules = tmp_path / "rules.json"
    assert log == f"meshgate.ratelimit: cannot read {rules}: No such file or directory\n"
