"""Kong's `ldap-auth`: names that break out of nothing, answers of odd directories, and what is remembered."""

from __future__ import annotations

import asyncio
import base64
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.bridge.ldap_auth import LdapCheck
from meshgate.bridge.ldap_bind import DirectoryError, Place, binds, escaped
from meshgate.bridge.request import Allow, Deny, Request, Verdict
from meshgate.core.secret import Secret
from meshgate.model.policies.directory import LdapAuth
from tests.unit.bridge.tools import StandingClock, tools

REQUEST = Request(
    method="GET", scheme="http", host="shop.example", path="/", headers=(("x-request-id", "r"),)
)
GOOD = bytes.fromhex("300c02010161070a010004000400")
"""A bind's answer: success."""
BAD = bytes.fromhex("300c02010161070a013104000400")
"""Invalid credentials."""
POLICY = LdapAuth(host="127.0.0.1", base_dn="dc=shop", attribute="uid", timeout_ms=2000)


def _header(text: str, scheme: str = "ldap") -> str:
    return f"{scheme} {base64.b64encode(text.encode()).decode()}"


class Directory:
    """Says the same to everybody, and counts."""

    def __init__(self, says: bytes) -> None:
        self.says, self.asked = says, []  # type: tuple[bytes, list[bytes]]
        self.answers = Answers()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with self.answers.one(writer):
            self.asked.append(await reader.read(4096))
            writer.write(self.says)
            await writer.drain()


class Answers:
    """Connections that a server has; none is left open when its test ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[object]] = set()

    @asynccontextmanager
    async def one(self, writer: asyncio.StreamWriter) -> AsyncIterator[None]:
        """Closes the connection at its end."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            with contextlib.suppress(ConnectionError):
                yield
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def ended(self) -> None:
        """Returns when all are closed."""
        async with asyncio.timeout(10):
            await asyncio.gather(*self._tasks)


def _before(directory: Directory, scenario: Callable[[int], Awaitable[None]]) -> None:
    async def run() -> None:
        async with await asyncio.start_server(directory.serve, "127.0.0.1", 0) as server:
            await scenario(server.sockets[0].getsockname()[1])
            await directory.answers.ended()

    asyncio.run(run())


@given(st.text(min_size=1))
def test_a_value_stays_one_value(text: str) -> None:
    value = escaped(text)
    assert not set(value) & set(',+"<>;=#\0 \n')
    read = bytearray()
    parts = iter(value)
    for c in parts:
        read += bytes.fromhex(next(parts) + next(parts)) if c == "\\" else c.encode()
    assert read.decode() == text


@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
        b"\x30\x00",
        b"\x30\x80",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x89" + b"\x00" * 9,
        bytes.fromhex("300c02010178070a010004000400"),
        bytes.fromhex("300c020101610702010004000400"),
        bytes.fromhex("3005020101617f"),
        GOOD[:-1],
    ],
)
def test_an_answer_that_is_none_lets_nobody_in(says: bytes) -> None:
    async def scenario(port: int) -> None:
        place = Place(address="127.0.0.1", port=port, name="a", timeout_s=2)
        with pytest.raises(DirectoryError):
            await binds(place, "uid=ann", Secret.of("pw"))

    _before(Directory(says), scenario)


def test_a_directory_that_says_nothing_is_not_waited_for() -> None:
    async def scenario() -> None:
        answers = Answers()

        async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            async with answers.one(writer):
                await reader.read()

        async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            plain = Place(address="127.0.0.1", port=port, name="a", timeout_s=0.05)
            for place in (plain, replace(plain, ldaps=True), replace(plain, start_tls=True)):
                with pytest.raises(DirectoryError, match="in time"):
                    await binds(place, "uid=ann", Secret.of("pw"))
            await answers.ended()

    asyncio.run(scenario())


def test_an_empty_password_asks_nobody() -> None:
    place = Place(address="127.0.0.1", port=1, name="a")
    assert asyncio.run(binds(place, "uid=ann", Secret.of(""))) is False


def test_a_good_password_is_remembered_for_a_while_and_a_bad_one_is_not() -> None:
    directory, clock = Directory(GOOD), StandingClock()

    async def scenario(port: int) -> None:
        with_tools = tools(clock=clock)

        async def ask(text: str, policy: LdapAuth = POLICY) -> Verdict:
            check = LdapCheck(replace(policy, port=port), with_tools)
            request = replace(REQUEST, headers=(*REQUEST.headers, ("authorization", _header(text))))
            return await check.ask(request, None)

        for _ in range(3):
            assert isinstance(await ask("ann:pw:1"), Allow)
        assert len(directory.asked) == 1
        assert b"uid=ann,dc=shop" in directory.asked[0]
        assert directory.asked[0].endswith(b"pw:1")
        assert isinstance(await ask("ann:pw:1", replace(POLICY, base_dn="dc=other")), Allow)
        clock.forward(61)
        assert isinstance(await ask("ann:pw:1"), Allow)
        assert len(directory.asked) == 3
        directory.says = BAD
        for _ in range(2):
            assert isinstance(await ask("ann:pw:2"), Deny)
        assert len(directory.asked) == 5
        assert isinstance(await ask("ann:pw:1"), Allow)
        assert "pw:1" not in repr(vars(with_tools.kept.logins))

    _before(directory, scenario)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "ldap",
        "ldap %%%",
        _header("ann:pw", "Basic"),
        _header("ann"),
        _header("ann:"),
        _header(":pw"),
        _header(" :pw"),
        _header("ann\0:pw"),
        _header("ann:p\0w"),
        _header("ann\n:pw"),
        "ldap /w==",
        f"x {_header('ann:pw')}",
    ],
)
def test_what_is_no_login_asks_nobody(header: str) -> None:
    directory = Directory(GOOD)

    async def scenario(port: int) -> None:
        request = replace(REQUEST, headers=(*REQUEST.headers, ("authorization", header)))
        verdict = await LdapCheck(replace(POLICY, port=port), tools()).ask(request, None)
        assert isinstance(verdict, Deny)
        assert (verdict.status, verdict.stranger) == (401, True)
        assert directory.asked == []

    _before(directory, scenario)
