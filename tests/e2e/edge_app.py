"""An application for real clients of the gateway: WebSocket by `websockets`, and gRPC.

python3 edge_app.py
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator

import grpc
import grpc.aio
from websockets.asyncio.server import ServerConnection, serve

PLACES = {"ws": 8080, "grpc": 9090}


def _where(role: str) -> tuple[str, int]:
    pod = os.environ.get("POD_IP", "")
    port = PLACES[role]
    return pod if pod.startswith("127.") else "0.0.0.0", int(os.environ.get(f"PORT_{port}", port))


async def _talk(connection: ServerConnection) -> None:
    """Echoes what comes; `close CODE REASON` closes, `who` tells which consumer asks."""
    assert connection.request is not None
    async for message in connection:
        if isinstance(message, str) and message.startswith("close "):
            _, code, reason = message.split(" ", 2)
            await connection.close(int(code), reason)
        elif message == "who":
            await connection.send(connection.request.headers.get("x-consumer-username", ""))
        else:
            await connection.send(message)


async def _say(
    requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]
) -> AsyncIterator[bytes]:
    """Echoes each message; the message `fail` ends the call with an error."""
    async for request in requests:
        if request == b"fail":
            context.set_trailing_metadata((("x-why", "asked for"),))
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such thing")
        yield request


async def main() -> None:
    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(_say)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("talk.Talk", {"Say": handler}),))
    host, port = _where("grpc")
    server.add_insecure_port(f"{host}:{port}")
    await server.start()
    async with serve(_talk, *_where("ws"), subprotocols=["chat.v2"], max_size=4 << 20):  # type: ignore[list-item]
        await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
