from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime

from meshgate.runtime.status import Phase, PodStatus, StatusQueue
from tests.unit.runtime.tools import run

STATUS = PodStatus(
    name="a",
    namespace="default",
    spec_hash="1",
    workload="a",
    labels={},
    ip="127.0.0.1",
    phase=Phase.PENDING,
    ready=False,
    restarts=0,
    port_map={},
    inbound_ports={},
    service_ports={},
    pids={},
    started_at=datetime(2026, 1, 1, tzinfo=UTC),
)


def test_the_newest_wins_per_pod_and_the_reader_waits() -> None:
    async def body() -> None:
        statuses = StatusQueue()
        reader = asyncio.create_task(statuses.get())
        await asyncio.sleep(0)
        assert not reader.done()
        running, other = replace(STATUS, phase=Phase.RUNNING), replace(STATUS, name="b")
        for status in (STATUS, other, running):
            statuses.put(status)
        assert await reader == other
        assert await statuses.get() == running
        assert statuses.drain() == ()

    run(body())
