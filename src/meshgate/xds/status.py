"""What a session can say of itself; `meshgate status` prints it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.xds.types import short


class Liveness(enum.Enum):
    """The answer to "is my configuration live in this proxy?"."""

    LIVE = "live"
    """Everything it subscribes to was acknowledged in its newest version."""
    PENDING = "pending"
    """Something newer was not sent or not acknowledged yet."""
    REJECTED = "rejected"
    """Nothing is on its way, but the proxy refused something; it goes on with what it had."""
    DISCONNECTED = "disconnected"
    """No stream of this proxy is open; it goes on with what it had."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejection:
    """A version that the proxy refused; it is not sent again until it changes."""

    name: str
    version: str | None
    """None where a removal was refused."""
    message: str
    """Envoy's own words, cut to 1,000 characters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeStatus:
    """One xDS type of one stream."""

    type_url: str
    wildcard: bool
    subscribed: int
    """Names asked for one by one; what a wildcard gives is not counted."""
    acked: Mapping[str, str]
    """Name -> version that the proxy acknowledged (or said it has, on reconnect)."""
    in_flight: int
    """Resources and removals sent and not answered yet."""
    pending: frozenset[str]
    """Names that wait to be sent, held ones included."""
    held: Mapping[str, frozenset[str]]
    """Routing resource -> the new clusters it waits for (make before break)."""
    rejected: tuple[Rejection, ...]
    last_nack: str
    """The newest refusal's message, also of one since put right; empty if there was none."""

    def __str__(self) -> str:
        state = f"{len(self.acked)} acked, {len(self.pending)} pending, {len(self.rejected)} rejected"
        return f"{short(self.type_url)}: {state}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStatus:
    """One stream."""

    liveness: Liveness
    types: tuple[TypeStatus, ...]
    notes: tuple[str, ...]
    """What went other than planned, newest last, at most 20: holds released and the like."""
