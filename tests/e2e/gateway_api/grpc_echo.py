"""A gRPC backend that takes every method of every service and answers with what arrived, as JSON.

    python3 grpc_echo.py NAME PORT [TLS-PORT PEM-FILE]

A call with the metadata `fail-with: N` ends with that status. The pods' real ports are in the environment.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import grpc

CODES = {code.value[0]: code for code in grpc.StatusCode}


class Anything(grpc.GenericRpcHandler):  # type: ignore[type-arg]  # no generic class where it runs
    """Every method."""

    def __init__(self, name: str) -> None:
        self._name = name

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[bytes, bytes]:
        """An answer for any call."""
        metadata: dict[str, str] = {}
        for key, value in details.invocation_metadata or ():
            if isinstance(value, str):
                metadata[key] = f"{metadata[key]},{value}" if key in metadata else value
        told = json.dumps({"pod": self._name, "method": details.method, "metadata": metadata}).encode()

        async def answer(request: bytes, context: grpc.aio.ServicerContext[Any, Any]) -> bytes:
            if "fail-with" in metadata:
                await context.abort(CODES[int(metadata["fail-with"])], "as asked")
            return told

        return grpc.unary_unary_rpc_method_handler(answer, bytes, bytes)


def _port(number: str) -> str:
    return f"0.0.0.0:{os.environ.get(f'PORT_{number}', number)}"


async def main() -> None:
    """Serves until it is ended."""
    name, port, *tls = sys.argv[1:]
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((Anything(name),))
    server.add_insecure_port(_port(port))
    if tls:
        pem = Path(tls[1]).read_bytes()
        at = pem.index(b"-----BEGIN CERTIFICATE")
        server.add_secure_port(_port(tls[0]), grpc.ssl_server_credentials([(pem[:at], pem[at:])]))
    await server.start()
    await server.wait_for_termination()


if __name__ == "__main__":
    asyncio.run(main())
