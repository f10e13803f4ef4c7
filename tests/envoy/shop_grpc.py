"""A shop that speaks gRPC, made of `protos/shop.proto`: what the tests' gateways stand before."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

import grpc
from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection

from meshgate.sources.protos import compile_file

PROTOS = Path(__file__).parent / "protos"
SERVICE = "shop.v1.Shop"
Message = Any
"""Of a class that is made while the test runs."""


@lru_cache(maxsize=1)
def pool() -> descriptor_pool.DescriptorPool:
    """The messages and the service."""
    found = descriptor_pool.DescriptorPool()
    content = compile_file("shop.proto", str(PROTOS)).content
    for one in descriptor_pb2.FileDescriptorSet.FromString(content).file:
        found.AddSerializedFile(one.SerializeToString())
    return found


@lru_cache(maxsize=32)
def kind(name: str) -> Any:
    """The class of a message of package `shop.v1`."""
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(f"shop.v1.{name}"))


async def _get(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
    sent = dict(context.invocation_metadata() or ())
    await context.send_initial_metadata((("x-method", "Get"), ("x-asked-by", sent.get("x-who", "nobody"))))
    count = 2**53 + 1 if request.verbose else 0
    return kind("Item")(
        id=request.id,
        shelf=request.range.shelf,
        tags=[*request.tags, str(request.range.first)],
        item_count=count,
    )


async def _create(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
    return request


async def _change(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
    changed = kind("Item")()
    changed.CopyFrom(request.item)
    changed.id = request.id
    return changed


async def _fail(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> Message:
    codes = {code.value[0]: code for code in grpc.StatusCode}
    message = f"no {request.code}: é 100%"
    if request.with_details:
        status = status_pb2.Status(code=request.code, message=message)
        detail = error_details_pb2.ErrorInfo(reason="SOLD_OUT", domain="shop.example")
        packed = any_pb2.Any()
        packed.Pack(detail)
        status.details.append(packed)
        context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
    await context.abort(codes[request.code], message)
    raise AssertionError


async def _watch(request: Message, context: grpc.aio.ServicerContext[Any, Any]) -> AsyncIterator[Message]:
    for number in range(request.count):
        yield kind("Item")(id=str(number))
    if request.fail_with:
        codes = {code.value[0]: code for code in grpc.StatusCode}
        await context.abort(codes[request.fail_with], "no more")


async def _add(requests: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]) -> Message:
    total = 0
    async for item in requests:
        total += item.item_count
    return kind("Sum")(total_count=total)


async def _echo(
    requests: AsyncIterator[Message], context: grpc.aio.ServicerContext[Any, Any]
) -> AsyncIterator[Message]:
    async for item in requests:
        yield item


def _handlers() -> grpc.GenericRpcHandler[Any, Any]:
    def unary(method: Any, request: str) -> Any:
        return grpc.unary_unary_rpc_method_handler(method, kind(request).FromString, _written)

    return grpc.method_handlers_generic_handler(
        SERVICE,
        {
            "Get": unary(_get, "GetRequest"),
            "Plain": unary(_get, "GetRequest"),
            "Create": unary(_create, "Item"),
            "Change": unary(_change, "ChangeRequest"),
            "Fail": unary(_fail, "FailRequest"),
            "Watch": grpc.unary_stream_rpc_method_handler(_watch, kind("WatchRequest").FromString, _written),
            "Add": grpc.stream_unary_rpc_method_handler(_add, kind("Item").FromString, _written),
            "Echo": grpc.stream_stream_rpc_method_handler(_echo, kind("Item").FromString, _written),
        },
    )


def _written(message: Message) -> bytes:
    return bytes(message.SerializeToString())


async def serve(address: str, *, reflecting: bool = False) -> tuple[grpc.aio.Server, int]:
    """The shop at an address (`unix:PATH` or `HOST:PORT`), and its port."""
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((_handlers(),))
    if reflecting:
        reflection.enable_server_reflection((SERVICE, reflection.SERVICE_NAME), server, pool())
    port = server.add_insecure_port(address)
    await server.start()
    return server, port


NO_HEADERS: MappingProxyType[str, str] = MappingProxyType({})
