"""Options that all tests share."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

from tests.schedule import Room, Schedule, runs_alone

# Tests start hundreds of processes of ours; compiling all modules again takes half of the time that each
# needs to start. For those who call pytest themselves: the Makefile does the same.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

# How quickly examples are made says how busy the machine is, and nothing of the code.
settings.register_profile("meshgate", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("meshgate")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update-golden",
        action="store_true",
        help="write tests/golden anew from what is computed now, and remove what is stale",
    )


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--update-golden") and os.environ.get("CI"):
        raise pytest.UsageError("--update-golden is for people to look at the difference; CI never updates")


_ROOM = pytest.StashKey[Room]()


def pytest_sessionstart(session: pytest.Session) -> None:
    # There in each of several processes. Not the environment: a pytest that a test starts has that too, and
    # would wait at the door for those who wait for the test.
    given = getattr(session.config, "workerinput", None)
    if given is not None:
        session.config.stash[_ROOM] = Room(given["testrunuid"])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Some tests have the machine for themselves, also where there are several processes."""
    room = item.config.stash.get(_ROOM, None)
    with room.inside(alone=runs_alone(item.nodeid)) if room is not None else contextlib.nullcontext():
        return (yield)


def pytest_unconfigure(config: pytest.Config) -> None:
    if (room := config.stash.get(_ROOM, None)) is not None:
        room.close()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Schedule:
    """Used where there is `-n`."""
    return Schedule(config, log)
