"""What a store must do: count one request in all of its windows, or in none."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Counter:
    """One counter of one identity in one window. Positional, because it is made per request."""

    key: str
    """Unique per rule, identity, window and window start."""
    limit: int
    """Requests that the window allows."""
    ends: int
    """When the window ends, seconds since the epoch; the counter means nothing after that."""


@dataclass(frozen=True, slots=True)
class Taken:
    """The outcome of counting one request. Positional, because it is made per request."""

    accepted: bool
    """Whether every window had room; only then was the request counted."""
    used: tuple[int, ...]
    """Per counter, in the order asked: the requests counted before this one."""


class StoreUnavailable(Exception):
    """The store cannot count now. The message is safe to log and to send to Envoy."""
