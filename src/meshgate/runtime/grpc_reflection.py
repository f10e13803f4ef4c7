"""`python -m meshgate.runtime.grpc_reflection HOST:PORT`: writes what a gRPC server says of itself.

A process of its own, so that it can run inside a pod's network namespace. The
standard output is a `FileDescriptorSet`; where there is none, the standard error says why, in one line.
"""

from __future__ import annotations

import queue
import sys
from collections.abc import Callable, Iterator

import grpc
from google.protobuf import descriptor_pb2
from grpc_reflection.v1alpha import reflection_pb2 as pb

_VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")
"""Both have the same messages; newer servers have only the first, older ones the second."""
_DEADLINE_S = 20.0
_MAX_FILES = 2000


class _NoAnswer(Exception):
    """The text says why."""


def main() -> int:
    """Asks once; the caller ends the process at a deadline of its own."""
    options = (("grpc.enable_http_proxy", 0), ("grpc.max_receive_message_length", 64 << 20))
    reason = "it has no server reflection"
    with grpc.insecure_channel(sys.argv[1], options=options) as channel:
        for version in _VERSIONS:
            try:
                sys.stdout.buffer.write(_ask(channel, version).SerializeToString(deterministic=True))
            except grpc.RpcError as error:
                code: grpc.StatusCode = getattr(error, "code", lambda: grpc.StatusCode.UNKNOWN)()
                if code is not grpc.StatusCode.UNIMPLEMENTED:
                    reason = f"{code.name}: {getattr(error, 'details', str)()}"
                    break
            except _NoAnswer as error:
                reason = str(error)
                break
            else:
                return 0
    print(reason.replace("\n", " "), file=sys.stderr)
    return 1


def _ask(channel: grpc.Channel, version: str) -> descriptor_pb2.FileDescriptorSet:
    call = channel.stream_stream(
        f"/{version}.ServerReflection/ServerReflectionInfo",
        request_serializer=pb.ServerReflectionRequest.SerializeToString,
        response_deserializer=pb.ServerReflectionResponse.FromString,
    )
    requests: queue.SimpleQueue[pb.ServerReflectionRequest | None] = queue.SimpleQueue()
    answers = iter(call(iter(requests.get, None), timeout=_DEADLINE_S))

    def ask(request: pb.ServerReflectionRequest) -> pb.ServerReflectionResponse:
        requests.put(request)
        answer: pb.ServerReflectionResponse = next(answers)
        if answer.HasField("error_response"):
            raise _NoAnswer(f"it answers {answer.error_response.error_message!r}")
        return answer

    try:
        return _files(ask)
    finally:
        requests.put(None)


def _files(
    ask: Callable[[pb.ServerReflectionRequest], pb.ServerReflectionResponse],
) -> descriptor_pb2.FileDescriptorSet:
    listed = ask(pb.ServerReflectionRequest(list_services="*")).list_services_response
    names = sorted(one.name for one in listed.service if not one.name.startswith("grpc.reflection."))
    found: dict[str, descriptor_pb2.FileDescriptorProto] = {}
    for name in names:
        _take(found, ask(pb.ServerReflectionRequest(file_containing_symbol=name)))
    while lacking := sorted({d for one in found.values() for d in one.dependency} - found.keys()):
        if len(found) + len(lacking) > _MAX_FILES:
            raise _NoAnswer(f"it names more than {_MAX_FILES} files")
        for name in lacking:
            _take(found, ask(pb.ServerReflectionRequest(file_by_filename=name)))
            if name not in found:
                raise _NoAnswer(f"it does not give {name}, which its files import")
    return descriptor_pb2.FileDescriptorSet(file=[found[name] for name in sorted(found)])


def _take(found: dict[str, descriptor_pb2.FileDescriptorProto], answer: pb.ServerReflectionResponse) -> None:
    for one in _read(answer):
        found.setdefault(one.name, one)


def _read(answer: pb.ServerReflectionResponse) -> Iterator[descriptor_pb2.FileDescriptorProto]:
    for content in answer.file_descriptor_response.file_descriptor_proto:
        yield descriptor_pb2.FileDescriptorProto.FromString(content)


if __name__ == "__main__":
    sys.exit(main())
