"""The record `queue` of plugins that send in batches (Kong 3.9.3's `tools/queue_schema.lua`)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.model.policies.queues import QueueLimits

Batch = Annotated[int, Field(ge=1, le=1_000_000)]
Coalescing = Annotated[float, Field(ge=0, le=3600)]
_OLD_QUEUE_SIZE, _OLD_FLUSH_TIMEOUT = 1, 2
"""What these fields were by default: then they say nothing, as in Kong."""
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


class OldQueueConfig(Config):
    """The queue of a plugin that had some of its fields beside it until Kong 3.2."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "retry_count": "it does nothing in Kong either; use queue.max_retry_time",
    }

    queue: QueueConfig = QueueConfig()
    queue_size: Batch | None = None
    flush_timeout: Coalescing | None = None


def lower_old_queue(config: OldQueueConfig, report: Report) -> QueueLimits:
    """The queue, with what the old fields say of it."""
    queue = lower_queue(config.queue)
    if config.queue_size is not None:
        report.warn(
            "MG2104", ("queue_size",), "is the old spelling of queue.max_batch_size", "write queue instead"
        )
        if config.queue_size != _OLD_QUEUE_SIZE:
            queue = replace(queue, max_batch_size=config.queue_size)
    if config.flush_timeout is not None:
        report.warn(
            "MG2104",
            ("flush_timeout",),
            "is the old spelling of queue.max_coalescing_delay",
            "write queue instead",
        )
        if config.flush_timeout != _OLD_FLUSH_TIMEOUT:
            queue = replace(queue, max_coalescing_delay_s=config.flush_timeout)
    return queue
