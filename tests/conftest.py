"""Options that all tests share."""

from __future__ import annotations

import os
import sys

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

MACHINE = ("e2e", "browser", "docs/test_shell.py", "envoy/test_edge_floods.py", "envoy/test_edge_clients.py")
"""Tests that start whole Meshgates, take addresses that are the same each time, or load the machine:
never two of them at once."""

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


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """With several processes a file stays in one of them, and what needs the machine for itself is one
    after the other, from the start."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0].removeprefix("tests/")
        return "machine" if path.startswith(MACHINE) else path


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> Schedule:
    """Used where there is `-n`."""
    return Schedule(config, log)
