"""Sessions that outlive the bridge, and logouts that do."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from meshgate.bridge.request import Identity
from meshgate.bridge.sessions import Content, Sessions, new_session
from meshgate.model.consumer import Consumer
from tests.unit.bridge.tools import StandingClock

ANN = Consumer(id="a", username="ann")


def _content(clock: StandingClock) -> Content:
    return new_session(Identity(consumer=ANN, groups=("x",)), ANN, clock.now().timestamp())


def test_a_session_and_its_end_outlive_the_bridge(tmp_path: Path) -> None:
    async def run() -> None:
        clock = StandingClock()
        before = Sessions(clock, tmp_path)
        one, two = _content(clock), _content(clock)
        for content in (one, two):
            await before.keep("session", content, 60)
            await before.keep("remember", content, 600)
        newer = replace(one, times=one.times.touched(clock.now().timestamp() + 1))
        await before.keep("session", newer, 60)
        await before.end(two.id, 600)

        after = Sessions(clock, tmp_path)
        assert await after.get("session", one.id) == newer
        assert await after.get("remember", one.id) == one
        assert await after.get("other", one.id) is None
        assert await after.get("session", one.id[:-1]) is None
        for cookie in ("session", "remember"):
            assert await after.get(cookie, two.id) is None
        assert await after.has_ended(two.id)
        # A request that was on its way does not bring it back, for this or a later start.
        await after.keep("session", two, 60)
        assert await after.has_ended(two.id)
        assert await Sessions(clock, tmp_path).get("session", two.id) is None

        clock.forward(61)
        later = Sessions(clock, tmp_path)
        assert await later.get("session", one.id) is None
        assert await later.get("remember", one.id) == one
        clock.forward(600)
        assert not await Sessions(clock, tmp_path).has_ended(two.id)
        kept = b"".join(file.read_bytes() for file in tmp_path.iterdir())
        assert one.id.encode() not in kept
        assert two.id.encode() not in kept

    asyncio.run(run())


def test_without_a_folder_it_is_memory_alone() -> None:
    async def run() -> None:
        clock = StandingClock()
        sessions = Sessions(clock)
        content = _content(clock)
        await sessions.keep("session", content, 60)
        assert await sessions.get("session", content.id) == content
        await sessions.end(content.id, 60)
        assert await sessions.has_ended(content.id)

    asyncio.run(run())
