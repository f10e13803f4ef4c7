"""What a real gRPC server says of itself, by the process that asks it."""

from __future__ import annotations

import asyncio
import sys

from google.protobuf import descriptor_pb2

from tests.envoy import shop_grpc


async def _ask(*, reflecting: bool) -> tuple[int | None, bytes, bytes]:
    server, port = await shop_grpc.serve("127.0.0.1:0", reflecting=reflecting)
    try:
        argv = (sys.executable, "-m", "meshgate.runtime.grpc_reflection", f"127.0.0.1:{port}")
        child = await asyncio.create_subprocess_exec(
            *argv, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        async with asyncio.timeout(20):
            out, said = await child.communicate()
        return child.returncode, out, said
    finally:
        await server.stop(0)


def test_all_files_of_all_services() -> None:
    code, out, _ = asyncio.run(_ask(reflecting=True))
    found = descriptor_pb2.FileDescriptorSet.FromString(out)
    assert code == 0
    assert {"shop.proto", "common/item.proto", "google/api/http.proto"} <= {one.name for one in found.file}
    assert [s.name for one in found.file for s in one.service] == ["Shop"]


def test_a_server_without_reflection() -> None:
    code, out, said = asyncio.run(_ask(reflecting=False))
    assert (code, out, said) == (1, b"", b"it has no server reflection\n")
