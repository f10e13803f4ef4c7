"""Restarts the control plane when it crashes: a small parent process, used by `meshgate up`.

While the control plane is away, proxies and applications go on; its next start adopts them.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from meshgate.runtime.process_id import ProcessId, identify, is_alive

CRASH_CODE = 70
"""EX_SOFTWARE: the exit code by which the control plane says that a bug ended it."""
RESTARTS_VARIABLE = "MESHGATE_GUARD_RESTARTS"
"""Environment variable that tells the control plane how often it was restarted."""
_NOTE = "guard.json"
_FIRST_WAIT_S = 0.2
_LONGEST_WAIT_S = 5.0
_GOOD_RUN_S = 10.0
_PR_SET_CHILD_SUBREAPER = 36
_FORWARDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def _adopt_orphans() -> None:
    """Makes the applications of a dead control plane our children (Linux), so that we reap them.

    In a container the first process often reaps nobody.
    """
    if sys.platform == "linux":
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


class Guard:
    """Runs one command until it ends by itself or is told to."""

    def __init__(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        self._argv = tuple(argv)
        self._env = dict(os.environ if env is None else env)
        self._child: subprocess.Popen[bytes] | None = None
        self._stop_asked = False
        self._restarts = 0

    def run(self) -> int:
        """Returns the exit code for this process; a signal's number counts as 128 + number."""
        _adopt_orphans()
        before = {number: signal.signal(number, self._forward) for number in _FORWARDED}
        try:
            return self._run()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _run(self) -> int:
        wait_s = _FIRST_WAIT_S
        while True:
            began = time.monotonic()
            code = self._run_once()
            crashed = code < 0 or code == CRASH_CODE
            if self._told_to_stop() or not crashed:
                return code if code >= 0 else 128 - code
            if time.monotonic() - began >= _GOOD_RUN_S:
                wait_s = _FIRST_WAIT_S
            self._restarts += 1
            print(f"meshgate ended unexpectedly ({_say(code)}); starting it again", file=sys.stderr)
            # A signal cuts the wait short: its handler has run by the time sleep goes on.
            until = time.monotonic() + wait_s
            while not self._told_to_stop() and time.monotonic() < until:
                time.sleep(0.05)
            wait_s = min(wait_s * 2, _LONGEST_WAIT_S)

    def _run_once(self) -> int:
        env = {**self._env, RESTARTS_VARIABLE: str(self._restarts)}
        # In a process group of its own: Ctrl-C reaches it once, through us.
        with subprocess.Popen(self._argv, env=env, process_group=0) as child:
            self._child = child
            if self._told_to_stop():
                child.terminate()
            return self._reap(child)

    def _reap(self, child: subprocess.Popen[bytes]) -> int:
        """Waits for the child, reaping on the way whatever was left to us."""
        while hasattr(os, "waitid"):
            ended = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            if ended is None or ended.si_pid == child.pid:
                break
            with contextlib.suppress(ChildProcessError):
                os.waitpid(ended.si_pid, os.WNOHANG)
        if sys.platform == "linux":
            # It is a zombie that holds its pid until the next line; nothing to signal any more.
            self._child = None
        return child.wait()

    def _told_to_stop(self) -> bool:
        """A signal handler may have changed it between any two lines."""
        return self._stop_asked

    def _forward(self, number: int, frame: FrameType | None) -> None:
        self._stop_asked = True
        child = self._child
        if child is not None and child.returncode is None:
            # Not `send_signal`, which would reap the child behind the back of `_reap`.
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, number)


def note_guard(run: Path) -> None:
    """Writes into the run directory who brings this process back, for `noted_guard`."""
    guard = identify(os.getppid()) if RESTARTS_VARIABLE in os.environ else None
    if guard is None:
        (run / _NOTE).unlink(missing_ok=True)
        return
    fresh = (run / _NOTE).with_suffix(".tmp")
    fresh.write_text(json.dumps([guard.pid, guard.started]))
    fresh.replace(run / _NOTE)


def noted_guard(run: Path) -> ProcessId | None:
    """Who brings back the control plane of this run directory; None where nobody was noted, or broken."""
    try:
        pid, started = json.loads((run / _NOTE).read_text())
        return ProcessId(int(pid), str(started))
    except (OSError, ValueError, TypeError):
        return None


def guarded(run: Path) -> bool:
    """Whether the guard lives that brings back the control plane of this run directory."""
    guard = noted_guard(run)
    return guard is not None and is_alive(guard)


def _say(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"


def main() -> int:
    """`python -m meshgate.runtime.guard COMMAND...`."""
    return Guard(sys.argv[1:]).run()


if __name__ == "__main__":
    sys.exit(main())
