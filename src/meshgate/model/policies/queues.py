"""How what plugins send waits for its receiver."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """Kong's `queue`: how entries wait for their receiver."""

    max_batch_size: int = 1
    max_coalescing_delay_s: float = 1
    """How long a batch that is not full waits for more."""
    max_entries: int = 10_000
    """Waiting ones; beyond, the oldest is dropped."""
    max_bytes: int | None = None
    max_retry_time_s: float = 60
    """How long a batch is tried again after its first failure; then it is lost."""
    initial_retry_delay_s: float = 0.01
    max_retry_delay_s: float = 60
    concurrent: bool = False
    """`concurrency_limit: -1`: every entry is sent by itself, at once."""


ONE_BY_ONE = QueueLimits()
"""Kong's defaults."""

AT_ONCE = QueueLimits(max_batch_size=1000, max_coalescing_delay_s=0, max_retry_time_s=-1)
"""Of plugins that have no queue in Kong: what waits is sent together, and never again."""
