"""Envoy's external processing protocol (`envoy.service.ext_proc.v3`, 1.40): bytes to values and back."""

from __future__ import annotations

from functools import lru_cache
from typing import assert_never

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.ext_proc.v3 import processing_mode_pb2
from envoy.service.ext_proc.v3 import external_processor_pb2 as pb

from meshgate.bridge.cache.exchange import Go, Then
from meshgate.bridge.cache.given import Given
from meshgate.bridge.request import Headers, Request
from meshgate.policies.proxy_cache import DETAILS

_APPEND = base_pb2.HeaderValueOption.APPEND_IF_EXISTS_OR_ADD
_REPLACE = base_pb2.HeaderValueOption.OVERWRITE_IF_EXISTS_OR_ADD
_MODE = processing_mode_pb2.ProcessingMode


def read_request(head: pb.HttpHeaders) -> Request:
    """The head of a request."""
    headers = read_headers(head)
    pseudo = {name: value for name, value in headers if name.startswith(":")}
    return Request(
        method=pseudo.get(":method", ""),
        scheme=pseudo.get(":scheme", ""),
        host=pseudo.get(":authority", ""),
        path=pseudo.get(":path", ""),
        headers=tuple(h for h in headers if not h[0].startswith(":")),
    )


def read_headers(head: pb.HttpHeaders) -> Headers:
    """All headers as they came, pseudo headers too."""
    return tuple(
        (entry.key.lower(), entry.raw_value.decode("latin-1") if entry.raw_value else entry.value)
        for entry in head.headers.headers
    )


def passed(go: Go, phase: str) -> bytes:
    """It goes on; `phase` is the member of the message that this answers."""
    answer = pb.ProcessingResponse()
    part = getattr(answer, phase)
    part.SetInParent()
    if go.set_headers or go.remove_headers:
        mutation = part.response.header_mutation
        mutation.set_headers.extend(_options(go.set_headers))
        mutation.remove_headers.extend(go.remove_headers)
    match go.then:
        case Then.REQUEST_BODY:
            answer.mode_override.CopyFrom(
                _MODE(request_body_mode=_MODE.BUFFERED_PARTIAL, response_header_mode=_MODE.SEND)
            )
        case Then.RESPONSE_BODY if phase == "response_headers":
            answer.mode_override.CopyFrom(_MODE(response_body_mode=_MODE.STREAMED))
        case Then.NOTHING | Then.RESPONSE | Then.RESPONSE_BODY:
            pass
        case _:
            assert_never(go.then)
    return bytes(answer.SerializeToString())


def given(answer: Given) -> bytes:
    """The client gets this answer."""
    message = pb.ProcessingResponse()
    immediate = message.immediate_response
    immediate.status.code = answer.status  # the enum's numbers are HTTP's
    immediate.headers.set_headers.extend(_options(answer.added))
    immediate.body = answer.body
    immediate.details = DETAILS
    # Of messages that stand one behind the other a reader makes one.
    return _packed(answer.headers) + bytes(message.SerializeToString())


@lru_cache(maxsize=256)
def _packed(headers: Headers) -> bytes:
    """The part of an answer that is the same for each client."""
    message = pb.ProcessingResponse()
    message.immediate_response.headers.set_headers.extend(_options(headers))
    return bytes(message.SerializeToString())


def _options(headers: Headers) -> list[base_pb2.HeaderValueOption]:
    """The first line of a name takes the place of what is there, the others join it."""
    found, seen = [], set[str]()
    for name, value in headers:
        header = base_pb2.HeaderValue(key=name, raw_value=value.encode("latin-1"))
        found.append(
            base_pb2.HeaderValueOption(header=header, append_action=_APPEND if name in seen else _REPLACE)
        )
        seen.add(name)
    return found
