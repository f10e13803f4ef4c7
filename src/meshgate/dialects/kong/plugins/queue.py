"""The record `queue` of plugins that send in batches (Kong 3.9.3's `tools/queue_schema.lua`)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config
from meshgate.model.policies.logs import QueueLimits

Batch = Annotated[int, Field(ge=1, le=1_000_000)]
Coalescing = Annotated[float, Field(ge=0, le=3600)]
RetryDelay = Annotated[float, Field(ge=0.001, le=1_000_000)]


class QueueConfig(Config):
    """Every field of the record; times are in seconds."""

    max_batch_size: Batch = 1
    max_coalescing_delay: Coalescing = 1
    max_entries: Batch = 10_000
    max_bytes: Annotated[int, Field(ge=1)] | None = None
    max_retry_time: float = 60
    initial_retry_delay: RetryDelay = 0.01
    max_retry_delay: RetryDelay = 60
    concurrency_limit: Literal[-1, 1] = 1


def lower_queue(config: QueueConfig) -> QueueLimits:
    """The same as the model has it."""
    return QueueLimits(
        max_batch_size=config.max_batch_size,
        max_coalescing_delay_s=config.max_coalescing_delay,
        max_entries=config.max_entries,
        max_bytes=config.max_bytes,
        max_retry_time_s=config.max_retry_time,
        initial_retry_delay_s=config.initial_retry_delay,
        max_retry_delay_s=config.max_retry_delay,
        concurrent=config.concurrency_limit == -1,
    )
