"""Speaks to the control plane that runs on a state directory."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import grpc

from meshgate.cli.errors import CliError
from meshgate.runtime.guard import guarded
from meshgate.runtime.paths import RuntimePaths
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Method

Q = TypeVar("Q")
A = TypeVar("A")

_RECONNECT = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
_RESTART_WAIT_S = 60.0
"""How long a control plane that was just killed may take to come back while its guard lives: on a busy
machine it begins as slowly as all else."""


def socket_of(state: Path) -> Path:
    """The admin socket of a state directory."""
    return wire.admin_socket(state, RuntimePaths.of(state).run)


def not_running(state: Path) -> CliError:
    """What to say where nothing answers."""
    remedy = "start one with `meshgate up PATH`, or name the right directory with --state"
    if (RuntimePaths.of(state).records / "records.json").exists():
        # A control plane removes its records at an orderly end.
        remedy = (
            "it was killed; the next `meshgate up` on the directory takes over what it left running, "
            "`meshgate down` ends it"
        )
    return CliError(f"no meshgate runs on the state directory {state}", remedy)


def answers(path: Path) -> bool:
    """Whether somebody accepts connections there; raises `CliError` where only that is not allowed."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(2.0)
        try:
            probe.connect(str(path))
        except PermissionError as error:
            raise CliError(f"{path} belongs to another user", "run the command as that user") from error
        except OSError:
            return False
    return True


class Client:
    """Calls of one control plane; use it as `with connect(state) as client`."""

    def __init__(self, channel: grpc.Channel, state: Path) -> None:
        self._channel = channel
        self._state = state

    def call(self, method: Method[Q, A], query: Q, timeout_s: float | None = None) -> A:
        """The answer; raises `CliError` for whatever keeps it from coming."""
        unary = self._channel.unary_unary(method.path, _same, _same)
        message, timeout_s = wire.encode(query), timeout_s or method.timeout_s
        try:
            data = unary(message, timeout=timeout_s)
        except grpc.RpcError as error:
            if not (method.repeatable and _cut_off(error)):
                raise self._explain(error) from error
            _wait_for_answer(self._state)
            try:
                data = unary(message, timeout=timeout_s, wait_for_ready=True)
            except grpc.RpcError as again:
                raise self._explain(again) from again
        return wire.decode(method.answer, data)

    def stream(self, method: Method[Q, A], query: Q) -> Iterator[A]:
        """The answers as they come, until the other end or the caller stops."""
        call = self._channel.unary_stream(method.path, _same, _same)(wire.encode(query))
        try:
            for data in call:
                yield wire.decode(method.answer, data)
        except grpc.RpcError as error:
            raise self._explain(error) from error
        finally:
            call.cancel()  # type: ignore[no-untyped-call]  # grpc-stubs 1.53

    def _explain(self, error: grpc.RpcError) -> CliError:
        details, code = _status_of(error)
        known = wire.decode_error(details)
        if known is not None:
            return CliError(known.message, known.remedy)
        match code:
            case grpc.StatusCode.UNAVAILABLE | grpc.StatusCode.CANCELLED:
                return not_running(self._state)
            case grpc.StatusCode.DEADLINE_EXCEEDED:
                return CliError("meshgate did not answer in time", "try again, and look at its log")
            case grpc.StatusCode.UNIMPLEMENTED:
                return CliError("the meshgate that runs is of another version", "restart it")
            case _:
                return CliError(f"meshgate did not answer: {details}")


def _same(message: bytes) -> bytes:
    return message


def _status_of(error: object) -> tuple[str, grpc.StatusCode | None]:
    """What gRPC's errors tell: they are calls as well, which their type does not say."""
    return (str(error.details() or ""), error.code()) if isinstance(error, grpc.Call) else (str(error), None)


def _cut_off(error: object) -> bool:
    """Whether the other end went away during the call."""
    details, code = _status_of(error)
    return code is grpc.StatusCode.UNAVAILABLE and wire.decode_error(details) is None


def _wait_for_answer(state: Path) -> Path:
    """The socket, once somebody answers there; raises `CliError` where nobody does or will."""
    path = socket_of(state)
    until = time.monotonic() + _RESTART_WAIT_S
    # A socket's file without anybody behind it is what a crash leaves; the guard, if it lives, restarts it.
    while not answers(path):
        if not path.exists() or not guarded(RuntimePaths.of(state).run) or time.monotonic() > until:
            raise not_running(state)
        time.sleep(0.1)
    return path


@contextmanager
def connect(state: Path) -> Iterator[Client]:
    """A client of the control plane on `state`; waits a moment for one that is coming back."""
    path = _wait_for_answer(state)
    channel = grpc.insecure_channel(f"unix:{path}", options=(*wire.OPTIONS, *_RECONNECT))
    try:
        yield Client(channel, state)
    finally:
        channel.close()
