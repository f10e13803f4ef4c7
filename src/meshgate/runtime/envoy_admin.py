"""Asks a running Envoy over its admin Unix socket: ready, draining, requests in flight."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from urllib.parse import quote

from meshgate.runtime.http_ask import Answer, BadAnswer, ask

_DEADLINE_S = 2
_POLL_S = 0.05
_QUIET, _QUIET_AND_ALONE = 20, 2
"""Looks in a row that found no request, with connections and without."""


async def _ask(socket: Path, method: str, path: str) -> Answer | None:
    """The answer; None where Envoy does not answer in time."""
    try:
        async with asyncio.timeout(_DEADLINE_S):
            return await _asked(socket, method, path)
    except (OSError, TimeoutError, BadAnswer):
        return None


async def _asked(socket: Path, method: str, path: str) -> Answer:
    """The answer, however long it takes; raises `OSError` or `BadAnswer` where Envoy is gone."""
    streams = await asyncio.open_unix_connection(str(socket))
    return await ask(streams, method, path, (("Host", "admin"),))


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
    answer = await _ask(socket, "GET", _stats_path(name_pattern))
    return None if answer is None or answer.status != 200 else _numbers(answer)


def _stats_path(name_pattern: str) -> str:
    return f"/stats?filter={quote(name_pattern)}&format=text"


def _numbers(answer: Answer) -> dict[str, int]:
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
    answer = await _ask(socket, "GET", _ACTIVE)
    return None if answer is None else _active(answer)[0]


_ACTIVE = _stats_path(r"^http\..*\.downstream_(rq|cx)_active$")


def _active(answer: Answer) -> tuple[int, int]:
    """Requests in flight, and connections of clients: not those of the pod's own program."""
    found = {name: value for name, value in _numbers(answer).items() if not name.startswith("http.admin.")}
    return (
        sum(value for name, value in found.items() if name.endswith("_rq_active")),
        sum(
            value
            for name, value in found.items()
            if name.endswith("_cx_active") and not name.startswith("http.outbound")
        ),
    )


async def drain(socket: Path, longest_s: float, *, close: str) -> None:
    """Tells clients to go elsewhere, then waits until no request is in flight, at most `longest_s`.

    The health check fails first, so that connections close after their answer
    (`Connection: close`, GOAWAY); then the listeners close, as `close` says. A connection without a
    request has a second more: whoever knows that the pod goes closes it, and whoever does not may be
    about to use it.
    """
    with contextlib.suppress(OSError, BadAnswer, TimeoutError):
        # No shorter deadline for each question: an Envoy that is slow to answer has requests to end too.
        async with asyncio.timeout(longest_s):
            await _asked(socket, "POST", "/healthcheck/fail")
            await _asked(socket, "POST", f"/drain_listeners{close}")
            quiet = 0
            while quiet < _QUIET:
                requests, connections = _active(await _asked(socket, "GET", _ACTIVE))
                quiet = 0 if requests else quiet + 1
                if quiet >= _QUIET_AND_ALONE and not connections:
                    return
                await asyncio.sleep(_POLL_S)
