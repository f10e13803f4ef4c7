"""Fixed calendar windows in UTC, as Kong counts them."""

from __future__ import annotations

import enum
from datetime import UTC, datetime, timedelta
from typing import assert_never

from meshgate.model.policy import Limits


class Window(enum.Enum):
    """A calendar period; shorter ones come first."""

    SECOND = "second"
    MINUTE = "minute"
    HOUR = "hour"
    DAY = "day"
    MONTH = "month"
    YEAR = "year"


def per_window(limits: Limits) -> tuple[tuple[Window, int], ...]:
    """The limits that are set, shorter windows first."""
    return tuple((Window(name), limit) for name, limit in limits.windows())


def window_start(window: Window, now: datetime) -> datetime:
    """When the period that `now` (aware) lies in began, in UTC."""
    moment = now.astimezone(UTC).replace(microsecond=0)
    match window:
        case Window.SECOND:
            return moment
        case Window.MINUTE:
            return moment.replace(second=0)
        case Window.HOUR:
            return moment.replace(minute=0, second=0)
        case Window.DAY:
            return moment.replace(hour=0, minute=0, second=0)
        case Window.MONTH:
            return moment.replace(day=1, hour=0, minute=0, second=0)
        case Window.YEAR:
            return moment.replace(month=1, day=1, hour=0, minute=0, second=0)
    assert_never(window)


def window_end(window: Window, start: datetime) -> datetime:
    """When the period that began at `start` ends and the next begins.

    Kong reckons every month as 30 days and every year as 365, so that its `RateLimit-Reset`
    is wrong near the end of a long month; this is the calendar's own end.
    """
    match window:
        case Window.SECOND:
            return start + timedelta(seconds=1)
        case Window.MINUTE:
            return start + timedelta(minutes=1)
        case Window.HOUR:
            return start + timedelta(hours=1)
        case Window.DAY:
            return start + timedelta(days=1)
        case Window.MONTH:
            return (start + timedelta(days=31)).replace(day=1)
        case Window.YEAR:
            return start.replace(year=start.year + 1)
    assert_never(window)


class Calendar:
    """The six current windows, worked out once per second of `now`."""

    __slots__ = ("_second", "_spans")

    def __init__(self) -> None:
        self._second = -1
        self._spans: dict[Window, tuple[int, int]] = {}

    def spans(self, now: datetime) -> dict[Window, tuple[int, int]]:
        """Per window its start and end, in whole seconds since the epoch. Do not change it."""
        second = int(now.timestamp())
        if second != self._second:
            spans = {}
            for window in Window:
                start = window_start(window, now)
                spans[window] = (int(start.timestamp()), int(window_end(window, start).timestamp()))
            self._second, self._spans = second, spans
        return self._spans
