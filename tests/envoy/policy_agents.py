"""Agents that decide for Kong's `opa`: a small one of OPA's REST form, and the real one where it is."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

DEADLINE_S = 60.0
NOBODY = 1
"""A port at which nobody listens."""
OPA = shutil.which("opa")
"""The real agent; it is in no package of Debian's or PyPI's."""

Decide = Callable[[Mapping[str, Any]], object]
"""`input` -> the whole answer, or an HTTP status."""


@dataclass(slots=True)
class SmallAgent:
    """Answers `POST /v1/data/PATH` as OPA does, by functions."""

    policies: Mapping[str, Decide]
    port: int = 0
    told: list[Mapping[str, Any]] = field(default_factory=list)
    """Each `input`."""

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serves at `port`."""
        app = web.Application()
        app.router.add_post("/v1/data/{path:.*}", self._answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()
        try:
            yield
        finally:
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        said = (await request.json())["input"]
        self.told.append(said)
        answer = self.policies[request.match_info["path"]](said)
        return web.Response(status=answer) if isinstance(answer, int) else web.json_response(answer)


@asynccontextmanager
async def real_agent(port: int, policy: str, folder: Path) -> AsyncIterator[None]:
    """OPA itself with a policy in Rego."""
    assert OPA is not None
    file = folder / "policy.rego"
    file.write_text(policy)
    arguments = ("run", "--server", "--addr", f"127.0.0.1:{port}", "--log-level", "error", str(file))
    process = await asyncio.create_subprocess_exec(OPA, *arguments)
    try:
        async with asyncio.timeout(DEADLINE_S), aiohttp.ClientSession() as session:
            while not await _is_healthy(session, port):
                assert process.returncode is None, "opa ended; its words are above"
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def _is_healthy(session: aiohttp.ClientSession, port: int) -> bool:
    try:
        async with session.get(f"http://127.0.0.1:{port}/health") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False
