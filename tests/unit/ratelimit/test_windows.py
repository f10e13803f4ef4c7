from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.ratelimit.windows import Calendar, Window, window_end, window_start

NOW = datetime(2028, 2, 29, 23, 59, 58, 999_999, tzinfo=UTC)


@pytest.mark.parametrize(
    ("window", "start", "end"),
    [
        (Window.SECOND, "2028-02-29T23:59:58Z", "2028-02-29T23:59:59Z"),
        (Window.MINUTE, "2028-02-29T23:59:00Z", "2028-03-01T00:00:00Z"),
        (Window.HOUR, "2028-02-29T23:00:00Z", "2028-03-01T00:00:00Z"),
        (Window.DAY, "2028-02-29T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window.MONTH, "2028-02-01T00:00:00Z", "2028-03-01T00:00:00Z"),
        (Window.YEAR, "2028-01-01T00:00:00Z", "2029-01-01T00:00:00Z"),
    ],
)
def test_windows_are_the_calendars(window: Window, start: str, end: str) -> None:
    assert window_start(window, NOW) == datetime.fromisoformat(start)
    assert window_end(window, window_start(window, NOW)) == datetime.fromisoformat(end)


def test_windows_are_utc_wherever_the_clock_stands() -> None:
    tokyo = datetime(2027, 1, 1, 3, 0, tzinfo=timezone(timedelta(hours=9)))
    assert window_start(Window.YEAR, tokyo) == datetime(2026, 1, 1, tzinfo=UTC)


moments = st.integers(946_684_800, 7_258_118_400).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(moments, st.sampled_from(Window))
def test_every_moment_lies_in_one_window_and_the_next_follows_at_once(now: datetime, window: Window) -> None:
    start = window_start(window, now)
    end = window_end(window, start)
    assert start <= now < end
    assert window_start(window, end) == end
    assert window_start(window, end - timedelta(microseconds=1)) == start


@given(st.lists(moments, min_size=1))
def test_the_calendar_remembers_no_longer_than_it_may(times: list[datetime]) -> None:
    calendar = Calendar()
    for now in times:
        spans = calendar.spans(now)
        for window in Window:
            assert spans[window][0] == window_start(window, now).timestamp()
            assert spans[window][1] == window_end(window, window_start(window, now)).timestamp()
