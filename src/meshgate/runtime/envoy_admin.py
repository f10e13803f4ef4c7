"""Asks a running Envoy over its admin Unix socket: ready, draining, requests in flight."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import quote

from meshgate.runtime.http_ask import Answer, BadAnswer, ask

_DEADLINE_S = 2
_POLL_S = 0.05


async def _ask(socket: Path, method: str, path: str) -> Answer | None:
    """The answer; None where Envoy does not answer in time."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            streams = await asyncio.open_unix_connection(str(socket))
            return await ask(streams, method, path, (("Host", "admin"),))
    except (OSError, TimeoutError, BadAnswer):
        return None


async def is_ready(socket: Path) -> bool:
    """Whether Envoy has its first configuration and serves."""
    answer = await _ask(socket, "GET", "/ready")
    return answer is not None and answer.status == 200


async def wait_ready(socket: Path) -> None:
    """Returns once Envoy is ready; the caller ends it when the process dies."""
    while not await is_ready(socket):
        await asyncio.sleep(_POLL_S)


async def stats(socket: Path, name_pattern: str) -> dict[str, int] | None:
    """Counters and gauges whose names match the regular expression; None where Envoy does not answer."""
    answer = await _ask(socket, "GET", f"/stats?filter={quote(name_pattern)}&format=text")
    if answer is None or answer.status != 200:
        return None
    pairs = (line.partition(": ") for line in answer.body.decode(errors="replace").splitlines())
    return {name: int(value) for name, _, value in pairs if value.isdigit()}


async def prometheus(socket: Path, name_pattern: str, max_body: int) -> str | None:
    """Those stats in Prometheus' format, used ones only; None where Envoy does not answer."""
    path = f"/stats/prometheus?usedonly&filter={quote(name_pattern)}"
    try:
        streams = await asyncio.open_unix_connection(str(socket))
        answer = await ask(streams, "GET", path, (("Host", "admin"),), max_body)
    except (OSError, BadAnswer):
        return None
    return answer.body.decode(errors="replace") if answer.status == 200 else None


async def clusters(socket: Path, max_body: int) -> str | None:
    """Each cluster with its hosts and their health, as JSON; None where Envoy does not answer."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            streams = await asyncio.open_unix_connection(str(socket))
            answer = await ask(streams, "GET", "/clusters?format=json", (("Host", "admin"),), max_body)
    except (OSError, TimeoutError, BadAnswer):
        return None
    return answer.body.decode(errors="replace") if answer.status == 200 else None


async def active_requests(socket: Path) -> int | None:
    """Requests in flight over all listeners but the admin's; None where Envoy does not answer."""
    found = await stats(socket, r"^http\..*\.downstream_rq_active$")
    if found is None:
        return None
    return sum(value for name, value in found.items() if not name.startswith("http.admin."))


async def drain(socket: Path, longest_s: float, *, inbound_only: bool) -> None:
    """Tells clients to go elsewhere, then waits until no request is in flight, at most `longest_s`.

    The health check fails first, so that connections close after their answer
    (`Connection: close`, GOAWAY); then the listeners close gracefully. A sidecar keeps its
    outbound side: the application may still have to call others.
    """
    if await _ask(socket, "POST", "/healthcheck/fail") is None:
        return
    scope = "&inboundonly" if inbound_only else ""
    await _ask(socket, "POST", f"/drain_listeners?graceful{scope}")
    quiet = 0
    try:
        async with asyncio.timeout(longest_s):
            while quiet < 2:
                active = await active_requests(socket)
                if active is None:
                    return
                quiet = quiet + 1 if active == 0 else 0
                await asyncio.sleep(_POLL_S)
    except TimeoutError:
        return
