"""The windows of the C filter against the calendar of the rate limit service, which is Python's."""

from __future__ import annotations

import ctypes
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.native import LIBRARY
from meshgate.ratelimit.windows import Window, window_end, window_start
from tests.native.sanitized import built, said

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")

SOURCES = LIBRARY.parent
NAMES = tuple(Window)
MOMENTS = st.integers(min_value=0, max_value=4102444800)  # until 2100


class Who(ctypes.Structure):
    _fields_ = (("low", ctypes.c_uint64), ("high", ctypes.c_uint64))


class Limits(ctypes.Structure):
    _fields_ = (("most", ctypes.c_uint64 * 6), ("set", ctypes.c_uint8))


class Outcome(ctypes.Structure):
    _fields_ = (
        ("left", ctypes.c_uint64 * 6),
        ("tightest", ctypes.c_int),
        ("reset", ctypes.c_uint32),
        ("passes", ctypes.c_bool),
    )


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    """The windows alone, without Envoy."""
    library = tmp_path_factory.mktemp("windows") / "windows.so"
    files = [str(SOURCES / name) for name in ("windows.c", "hash.c")]
    argv = ["cc", "-std=c11", "-O1", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([*argv, *files, "-o", str(library)], check=True)
    found = ctypes.CDLL(str(library))
    found.windows_take_at.restype = Outcome
    found.windows_take_at.argtypes = (Who, ctypes.POINTER(Limits), ctypes.c_uint64)
    found.window_span.argtypes = (
        ctypes.c_int,
        ctypes.c_uint64,
        ctypes.POINTER(ctypes.c_uint64),
        ctypes.POINTER(ctypes.c_uint64),
    )
    return found


def limits(allowed: dict[Window, int]) -> Limits:
    made = Limits()
    for index, window in enumerate(NAMES):
        if window in allowed:
            made.most[index], made.set = allowed[window], made.set | 1 << index
    return made


_used = 0


def somebody() -> Who:
    """Nobody that was counted before."""
    global _used
    _used += 1
    return Who(_used * 0x9E3779B97F4A7C15 % 2**64, _used)


@given(moment=MOMENTS)
@settings(max_examples=300)
def test_windows_are_the_calendars(table: ctypes.CDLL, moment: int) -> None:
    now = datetime.fromtimestamp(moment, UTC)
    for index, window in enumerate(NAMES):
        began, ends = ctypes.c_uint64(), ctypes.c_uint64()
        table.window_span(index, moment, began, ends)
        start = window_start(window, now)
        assert began.value == int(start.timestamp()), window
        assert ends.value == int(window_end(window, start).timestamp()), window


def expected(allowed: dict[Window, int], moments: Iterable[int]) -> list[tuple[bool, list[int], int, int]]:
    """What Kong's rules say to requests of one consumer: passes, left, tightest, reset."""
    used: Counter[tuple[Window, datetime]] = Counter()
    said = []
    for moment in moments:
        now = datetime.fromtimestamp(moment, UTC)
        keys = {window: (window, window_start(window, now)) for window in NAMES if window in allowed}
        passes = all(used[key] < allowed[window] for window, key in keys.items())
        if passes:
            used.update(keys.values())
        left = {window: max(0, allowed[window] - used[key]) for window, key in keys.items()}
        tightest = min(reversed(list(left)), key=lambda window: left[window])
        ends = int(window_end(tightest, keys[tightest][1]).timestamp())
        said.append((passes, list(left.values()), NAMES.index(tightest), ends - moment))
    return said


@given(
    allowed=st.dictionaries(st.sampled_from(NAMES), st.integers(1, 6), min_size=1),
    start=MOMENTS,
    steps=st.lists(st.sampled_from((0, 0, 0, 1, 59, 60, 3600, 86400, 2678400)), min_size=1, max_size=30),
)
@settings(max_examples=300)
def test_counts_as_kong_does(
    table: ctypes.CDLL, allowed: dict[Window, int], start: int, steps: list[int]
) -> None:
    who, given_limits, moments = somebody(), limits(allowed), [start]
    for step in steps:
        moments.append(moments[-1] + step)
    seen = []
    for moment in moments:
        outcome = table.windows_take_at(who, given_limits, moment)
        left = [outcome.left[NAMES.index(w)] for w in NAMES if w in allowed]
        seen.append((outcome.passes, left, outcome.tightest, outcome.reset))
    assert seen == expected(allowed, moments)


def test_a_clock_that_is_set_back_does_not_close_a_window_for_years(table: ctypes.CDLL) -> None:
    who, one = somebody(), limits({Window.MINUTE: 1})
    assert table.windows_take_at(who, one, 4_000_000_000).passes
    assert table.windows_take_at(who, one, 1_800_000_000).passes
    assert not table.windows_take_at(who, one, 1_800_000_000).passes


def test_threads_let_exactly_the_limit_pass(table: ctypes.CDLL) -> None:
    who, thousand = somebody(), limits({Window.DAY: 1000})

    def ask(_: int) -> int:
        return sum(table.windows_take_at(who, thousand, 1_800_000_000).passes for _ in range(500))

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(ask, range(8))) == 1000


def test_threads_never_touch_the_same_at_once(tmp_path: Path) -> None:
    program = built("threads", tmp_path, "windows.c", "hash.c", looks_for="thread")
    assert said(program, []) == ["4000"]


def test_newcomers_push_out_others_like_them_first(table: ctypes.CDLL) -> None:
    """Many who come once do not make the gateway forget whoever has used up his limit."""
    heavy, hundred = somebody(), limits({Window.DAY: 100})
    for _ in range(100):
        table.windows_take_at(heavy, hundred, 1_800_000_000)
    for number in range(20):
        # The same row: its number is the lowest bits.
        table.windows_take_at(Who(heavy.low, 10_000 + number), hundred, 1_800_000_000)
    assert not table.windows_take_at(heavy, hundred, 1_800_000_000).passes


def test_the_module_is_warning_free(tmp_path: Path) -> None:
    argv = [
        "cc",
        "-std=c11",
        "-O2",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-Wshadow",
        "-fPIC",
        "-shared",
    ]
    subprocess.run([*argv, *map(str, SOURCES.glob("*.c")), "-o", str(tmp_path / "all.so")], check=True)
