"""The admin API on the wire: gRPC over a Unix socket with JSON for messages.

Both ends take this table, so a method's name and its records stand in one place. The
version of the service's name rises when an old command line could misread an answer.
"""

from __future__ import annotations

import json
import os
from collections.abc import Hashable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Generic, TypeVar, cast

import grpc
from pydantic import TypeAdapter

from meshgate.sources import backend as b

SERVICE = "meshgate.admin.v1.Admin"
MAX_MESSAGE_BYTES = 64 * 1024 * 1024
MAX_SOCKET_BYTES = 100
"""Of a socket's path; the system takes 107, and gRPC needs a few."""

OPTIONS = (
    ("grpc.max_receive_message_length", MAX_MESSAGE_BYTES),
    ("grpc.max_send_message_length", MAX_MESSAGE_BYTES),
    ("grpc.so_reuseport", 0),
)

Q = TypeVar("Q")
A = TypeVar("A")


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty message."""


@dataclass(frozen=True, slots=True)
class Free:
    """A JSON object whose members are the method's own."""

    value: b.JsonObject


@dataclass(frozen=True, slots=True)
class Method(Generic[Q, A]):
    """One call: its name and the records that go and come."""

    name: str
    query: type[Q]
    answer: type[A]
    timeout_s: float = 15.0
    repeatable: bool = False
    """It changes nothing, so a call that was cut off can be made again."""

    @property
    def path(self) -> str:
        """What gRPC calls it."""
        return f"/{SERVICE}/{self.name}"


GET = Method("Get", b.GetQuery, b.GetAnswer, repeatable=True)
APPLY = Method("Apply", b.ApplyRequest, b.Changes, 60.0)
DELETE = Method("Delete", b.DeleteRequest, b.Changes)
PATCH = Method("Patch", b.PatchRequest, b.Changes)
LABEL = Method("Label", b.LabelRequest, b.Changes)
STATUS = Method("Status", Nothing, b.StatusReport, repeatable=True)
EXEC = Method("Exec", b.ExecRequest, b.ExecAnswer, repeatable=True)
EXPLAIN = Method("Explain", b.ExplainQuery, Free, repeatable=True)
TRANSLATE = Method("Translate", Free, Free, 60.0, repeatable=True)
CACHE_PURGE = Method("CachePurge", Free, Free)
CACHE_STATS = Method("CacheStats", Nothing, Free, repeatable=True)
METRICS = Method("Metrics", Nothing, b.LogChunk)
DOWN = Method("Down", Nothing, Nothing)
LOGS = Method("Logs", b.LogsRequest, b.LogChunk)
EVENTS = Method("Events", Nothing, b.Event)

STATUS_CODES = {
    "not_found": grpc.StatusCode.NOT_FOUND,
    "invalid": grpc.StatusCode.INVALID_ARGUMENT,
    "forbidden": grpc.StatusCode.FAILED_PRECONDITION,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "internal": grpc.StatusCode.INTERNAL,
}


@cache
def _adapter(record: Hashable) -> TypeAdapter[object]:
    return TypeAdapter(cast("type[object]", record))


def encode(message: object) -> bytes:
    """The JSON of a record."""
    return _adapter(cast("Hashable", type(message))).dump_json(message)


def decode(record: type[Q], data: bytes) -> Q:
    """The record in a JSON text; raises `ValueError` where it is none."""
    found = _adapter(cast("Hashable", record)).validate_json(data)
    assert isinstance(found, record)
    return found


def encode_error(error: b.AdminError) -> str:
    """An error for gRPC's status details."""
    return json.dumps({"code": error.code, "message": error.message, "remedy": error.remedy})


def decode_error(details: str) -> b.AdminError | None:
    """The error that the other end encoded; None where the details are gRPC's own."""
    try:
        data = json.loads(details)
        return b.AdminError(str(data["code"]), str(data["message"]), str(data["remedy"]))
    except (ValueError, KeyError, TypeError):
        return None


def admin_socket(state: Path, short_run: Path) -> Path:
    """Where the socket of a state directory is: below it, or in `short_run` if that path is too long."""
    wanted = state.resolve() / "run" / "admin.sock"
    return wanted if len(os.fsencode(wanted)) <= MAX_SOCKET_BYTES else short_run / "admin.sock"
