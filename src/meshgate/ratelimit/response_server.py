"""The gRPC side of limits on what answers cost: `envoy.service.ext_proc.v3.ExternalProcessor`.

One stream is one request: first its headers come, then those of its answer, each to be answered. An
answer without a request before is Envoy's own, which costs nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from meshgate.ratelimit.counters import StoreUnavailable
from meshgate.ratelimit.response_limits import Before, Caller, ResponseLimiter, costs_of

RESPONSE_SERVICE = "envoy.service.ext_proc.v3.ExternalProcessor"
_RULE = "x-meshgate-rule"
_ADDRESS = "source.address"
_EXCEEDED = "response_limit_exceeded"
_CONSUMER, _CREDENTIAL = "x-consumer-id", "x-credential-identifier"
_SET = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD

_Context = grpc.aio.ServicerContext[bytes, bytes]


class ResponseServer:
    """Answers Envoy about requests and their answers."""

    def __init__(self, limiter: ResponseLimiter, refresh: Callable[[], object]) -> None:
        """`refresh` looks for rules that have come just now."""
        self._limiter = limiter
        self._refresh = refresh

    def handler(self) -> grpc.GenericRpcHandler[bytes, bytes]:
        """What the gRPC server needs."""
        method = grpc.stream_stream_rpc_method_handler(self._process)
        return grpc.method_handlers_generic_handler(RESPONSE_SERVICE, {"Process": method})

    async def _process(self, messages: AsyncIterator[bytes], context: _Context) -> AsyncIterator[bytes]:
        name = next((str(v) for k, v in context.invocation_metadata() or () if k == _RULE), "")
        if self._limiter.rule(name) is None:
            self._refresh()  # Envoy was quicker than the poll
        rule = self._limiter.rule(name)
        if rule is None:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no such rule")
        before: Before | None = None
        async for message in messages:
            asked = pb.ProcessingRequest.FromString(message)
            response = pb.ProcessingResponse()
            match asked.WhichOneof("request"):
                case "request_headers":
                    try:
                        before = await self._limiter.look(rule, _caller(asked))
                    except StoreUnavailable:
                        _refuse(response, 500, "An unexpected error occurred")
                    else:
                        _on_request(response, before)
                case "response_headers":
                    self._on_response(response, asked, before)
                case _:
                    await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "only headers are looked at")
            yield response.SerializeToString()

    def _on_response(
        self, response: pb.ProcessingResponse, asked: pb.ProcessingRequest, before: Before | None
    ) -> None:
        mutation = response.response_headers.response.header_mutation
        if before is None:
            return
        values = _values(asked.response_headers, before.rule.header_name)
        costs = costs_of(values, before.rule.limits)
        shown = before.for_client(costs)
        if before.exceeded(costs):
            _refuse(response, 429, "", _EXCEEDED)
            _set(response.immediate_response.headers, shown)
            return
        self._limiter.count(before, costs)
        _set(mutation, shown)
        mutation.remove_headers.append(before.rule.header_name)


def _on_request(response: pb.ProcessingResponse, before: Before) -> None:
    if name := before.blocked_by:
        _refuse(response, 429, f"API rate limit exceeded for '{name}'")
        return
    _set(response.request_headers.response.header_mutation, before.for_service())


def _refuse(response: pb.ProcessingResponse, status: int, message: str, details: str = "") -> None:
    answer = response.immediate_response
    answer.status.code = status
    answer.body, answer.details = message.encode(), details


def _set(mutation: pb.HeaderMutation, headers: Iterable[tuple[str, str]]) -> None:
    for name, value in headers:
        option = mutation.set_headers.add(append_action=_SET)
        option.header.key, option.header.raw_value = name, value.encode()


def _values(headers: pb.HttpHeaders, name: str) -> list[str]:
    return [
        (header.raw_value or header.value.encode()).decode("utf-8", "surrogateescape")
        for header in headers.headers.headers
        if header.key == name
    ]


def _caller(asked: pb.ProcessingRequest) -> Caller:
    def first(name: str) -> str:
        return next(iter(_values(asked.request_headers, name)), "")

    address = ""
    for attributes in asked.attributes.values():
        if _ADDRESS in attributes.fields:
            address = attributes.fields[_ADDRESS].string_value.rpartition(":")[0]
    return Caller(consumer=first(_CONSUMER), credential=first(_CREDENTIAL), address=address)
