"""`python -m meshgate.runtime.grpc_probe HOST:PORT [SERVICE]`: ends with 0 if SERVING.

A process of its own, so that it can run inside a pod's network namespace. It speaks
grpc.health.v1.Health/Check, whose two messages are small enough to be written by hand.
"""

from __future__ import annotations

import sys

import grpc

_SERVING = b"\x08\x01"
"""HealthCheckResponse with status 1."""


def _request(service: str) -> bytes:
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def main() -> int:
    """Asks once; the caller ends the process at the probe's deadline."""
    target = sys.argv[1]
    service = sys.argv[2] if len(sys.argv) > 2 else ""
    with grpc.insecure_channel(target) as channel:
        check = channel.unary_unary(
            "/grpc.health.v1.Health/Check",
            request_serializer=_request,
            response_deserializer=bytes,
        )
        try:
            return 0 if check(service, timeout=30) == _SERVING else 1
        except grpc.RpcError:
            return 2


if __name__ == "__main__":
    sys.exit(main())
