"""Which tests stay together, which run by themselves and which begin, where there are several processes.

`pytest -n 2` uses it (see `conftest.py`). The unit is a scope: a file, or the part of it that tests one
isolation, or all files that share a running meshgate. The longest begin, so that all processes end together.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

TOGETHER = {
    "e2e/gateway_api/": "e2e/gateway_api",
    "e2e/test_shop_jwt.py": "e2e/edge",
    "e2e/test_shop_limits.py": "e2e/edge",
}
"""Tests that share what a session has once."""
ALONE = (
    "e2e/test_runtime_firewall.py",  # the whole machine's firewall drops what it forwards
    "e2e/test_shop_changes.py::test_a_saved_weight_is_in_force_within_a_second",
    "envoy/test_kong_openid_slow.py",  # a hundred wait for a second, and others come and go meanwhile
    "envoy/test_edge_floods.py",  # 10,000 clients, floods
)
"""Tests that load or change the machine, or measure a time: nothing runs beside them."""
APART = ("docs/test_shell.py",)
"""Files whose tests have nothing in common."""
ISOLATIONS = ("ports", "netns")
SECONDS: Mapping[str, float] = {
    "e2e/test_shop_identity.py": 34,
    "e2e/test_bookinfo_tasks.py": 30,
    "e2e/test_rollouts.py": 26,
    "e2e/test_crash_rollouts.py": 28,
    "e2e/gateway_api": 25,
    "browser/test_openid_login.py": 23,
    "e2e/test_acme.py": 19,
    "e2e/test_balancing.py": 18,
    "docs/test_shell.py::test_the_commands_of_a_page[docs/bookinfo.md]": 16,
    "e2e/test_shop_changes.py": 16,
    "e2e/test_shop_crash.py": 14,
    "e2e/test_sidecar.py": 12,
    "e2e/test_reload.py": 20,
    "golden/test_validate.py": 25,
    "e2e/": 8,
    "docs/test_shell.py::test_the": 7,
}
"""About what the longest take, by how their names begin; for others the number of their tests decides."""
SECONDS_EACH = 0.07


def scope_of(nodeid: str) -> str:
    """The scope of a test."""
    path, _, name = nodeid.removeprefix("tests/").partition("::")
    if path in APART:
        return f"{path}::{name}"
    scope = next((scope for prefix, scope in TOGETHER.items() if path.startswith(prefix)), path)
    parameters = name.partition("[")[2].rstrip("]").split("-")
    return scope + "".join(f"[{isolation}]" for isolation in ISOLATIONS if isolation in parameters)


def runs_alone(nodeid: str) -> bool:
    """Whether nothing may run beside the test."""
    return nodeid.removeprefix("tests/").startswith(ALONE)


def weight(scope: str, tests: int) -> float:
    """About how many seconds it takes."""
    known = (seconds for begin, seconds in SECONDS.items() if scope.startswith(begin))
    return next(known, tests * SECONDS_EACH)


class Schedule(LoadScopeScheduling):  # type: ignore[misc]
    """Scopes stay whole; those with tests that run alone are first, then the longest."""

    def _split_scope(self, nodeid: str) -> str:
        return scope_of(nodeid)

    def _assign_work_unit(self, node: object) -> None:
        def order(scope: str) -> tuple[bool, float]:
            tests = self.workqueue[scope]
            return not any(map(runs_alone, tests)), -weight(scope, len(tests))

        self.workqueue.move_to_end(min(self.workqueue, key=order), last=False)
        super()._assign_work_unit(node)


class Room:
    """Lets tests run beside one another, or one by itself; between the processes of one run."""

    def __init__(self, run: str) -> None:
        folder = Path(tempfile.gettempdir())
        self._files = [folder / f"meshgate-tests-{run}.{name}" for name in ("door", "room")]
        self._door, self._room = (os.open(file, os.O_RDWR | os.O_CREAT, 0o600) for file in self._files)

    @contextlib.contextmanager
    def inside(self, *, alone: bool) -> Iterator[None]:
        """Returns when the test may begin. Who waits to be alone holds the door: nobody else enters."""
        fcntl.flock(self._door, fcntl.LOCK_EX)
        fcntl.flock(self._room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(self._door, fcntl.LOCK_UN)
        try:
            yield
        finally:
            fcntl.flock(self._room, fcntl.LOCK_UN)

    def close(self) -> None:
        """Removes the files; others that have them open go on."""
        for descriptor, file in zip((self._door, self._room), self._files, strict=True):
            os.close(descriptor)
            file.unlink(missing_ok=True)
