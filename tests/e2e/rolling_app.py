"""An application for tests of rollouts: `rolling_app.py http|grpc NAME VERSION PORT`.

`http` is the shop's service, which answers `/?seconds=0.4` that much later. `grpc` answers
`/rolling.Rolling/Count` with 20 messages, 50 ms apart, each with the name of its pod. Both
finish what they have begun when they are told to end.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).parents[2] / "examples/shop"))

from service import Body, Request, Service, address, describe, serve

MESSAGES, APART_S = 20, 0.05


def respond(service: Service, request: Request) -> tuple[int, Body]:
    """The shop's answer, later."""
    time.sleep(float(request.query.get("seconds", ["0"])[0]))
    found: tuple[int, Body] = describe(service, request)
    return found


async def count(request: bytes, context: object) -> AsyncIterator[bytes]:
    """A stream that takes a second."""
    for number in range(MESSAGES):
        yield f"{os.environ['HOSTNAME']} {number}".encode()
        await asyncio.sleep(APART_S)


async def serve_grpc(port: int) -> None:
    """Listens until SIGTERM."""
    server = grpc.aio.server()
    method = grpc.unary_stream_rpc_method_handler(count)
    server.add_generic_rpc_handlers(
        [grpc.method_handlers_generic_handler("rolling.Rolling", {"Count": method})]
    )
    host, chosen = address(port)
    server.add_insecure_port(f"{host}:{chosen}")
    await server.start()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await server.stop(10)


if __name__ == "__main__":
    kind, name, version, number = sys.argv[1:]
    if kind == "grpc":
        asyncio.run(serve_grpc(int(number)))
    else:
        serve(name, version, int(number), respond)
