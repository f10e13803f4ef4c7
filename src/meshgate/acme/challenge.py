"""What passes between an order and whoever shows its answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


class OrderFailed(Exception):
    """The authority gave no certificate; the message is the authority's reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """What the authority will ask for at the host, over HTTP."""

    host: str
    path: str
    answer: str


Show = Callable[[Challenge], None]
"""Shows an answer at the gateway; returns when it can be seen there. Raises `OrderFailed`."""
