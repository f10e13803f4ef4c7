"""Real Envoys as gateways of the same manifests, which one rate limit service of ours counts for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from meshgate.app.limits import response_rules, shared_rules
from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.native import LIBRARY
from meshgate.pipeline import build, read_texts
from meshgate.policies.rate_limit_service import CLUSTER
from meshgate.ratelimit.rules_file import write_rules
from meshgate.ratelimit.server import serving
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.kong_edge import SERVICE, Answer, Ask, send, telling
from tests.simulate.live import Serving, running


class Noon:
    """A calendar that stands still, so that no window ends while a test looks at it."""

    def now(self) -> datetime:
        return datetime(2026, 3, 31, 12, 30, 15, 250_000, tzinfo=UTC)

    def monotonic(self) -> float:
        return asyncio.get_running_loop().time()


@asynccontextmanager
async def gateways(
    text: str,
    folder: Path,
    count: int = 1,
    *,
    service: bool = True,
    answering: Callable[[str], Serving] = telling,
) -> AsyncIterator[tuple[int, ...]]:
    """The ports of so many gateways; with `service=False` they find nobody who counts."""
    documents, problems = read_texts({"in.yaml": SERVICE + text})
    built = build(documents)
    wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert not wrong, wrong
    rules, socket = folder / "rules.json", folder / "limits.sock"
    write_rules(rules, shared_rules(built.model, {}), response_rules(built.model, {}))
    async with AsyncExitStack() as stack:
        if service:
            await stack.enter_async_context(serving(rules=rules, listen=f"unix:{socket}", clock=Noon()))
        ports = []
        for number in range(count):
            config = self_contained(
                Reader(stand_in(built.model)), gateway_proxy(native_filters=LIBRARY.is_file())
            )
            own = folder / str(number)
            own.mkdir()
            one = running(config, "http", own, answering, {CLUSTER: socket})
            ports.append(await stack.enter_async_context(one))
        yield tuple(ports)


async def ask_many(port: int, request: Ask, times: int) -> list[Answer]:
    """The same request, one after the other."""
    return [await send(port, request) for _ in range(times)]
