from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from meshgate.runtime.guard import RESTARTS_VARIABLE, guarded
from meshgate.runtime.process_id import identify, is_alive
from tests.unit.runtime.tools import DEADLINE_S, wait_until

CHILD = f"""
import os, signal, sys, time
lives, out = os.environ["{RESTARTS_VARIABLE}"], sys.argv[1]
def note(text):
    with open(out, "a") as file:
        file.write(text + "\\n")
note(f"{{lives}} {{os.getpid()}}")
if sys.argv[2] == "crash":
    if lives == "0": os.kill(os.getpid(), signal.SIGKILL)
    if lives == "1": sys.exit(70)
    sys.exit(3)
signal.signal(signal.SIGTERM, lambda *_: (note("asked"), sys.exit(0)))
signal.signal(signal.SIGINT, lambda *_: (note("asked"), sys.exit(0)))
if lives == "0":
    import subprocess
    note("orphan %d" % subprocess.Popen(["sleep", "3600"], start_new_session=True).pid)
note("serving")
while True: time.sleep(60)
"""


def guard(out: Path, how: str) -> subprocess.Popen[bytes]:
    argv = [sys.executable, "-m", "meshgate.runtime.guard", sys.executable, "-c", CHILD, str(out), how]
    return subprocess.Popen(argv, stderr=subprocess.DEVNULL)


def test_crashes_are_restarted_and_an_ordinary_end_is_passed_on(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert guard(out, "crash").wait(DEADLINE_S) == 3
    assert [line.split()[0] for line in out.read_text().splitlines()] == ["0", "1", "2"]


def test_a_signal_is_passed_on_and_ends_the_guard(tmp_path: Path) -> None:
    out = tmp_path / "out"
    for number in (signal.SIGTERM, signal.SIGINT):
        out.unlink(missing_ok=True)
        watched = guard(out, "serve")
        wait_until(lambda: out.exists() and "serving" in out.read_text(), "the child serves")
        orphan = int(out.read_text().split("orphan ")[1].split()[0])
        watched.send_signal(number)
        assert watched.wait(DEADLINE_S) == 0
        assert out.read_text().splitlines()[-1] == "asked"
        os.kill(orphan, signal.SIGKILL)


def test_it_restarts_after_kill_9_and_reaps_what_the_dead_one_left(tmp_path: Path) -> None:
    out = tmp_path / "out"
    watched = guard(out, "serve")
    try:
        wait_until(lambda: out.exists() and "serving" in out.read_text(), "the child serves")
        words = out.read_text().split()
        first, orphan = int(words[1]), identify(int(words[words.index("orphan") + 1]))
        assert orphan is not None
        os.kill(first, signal.SIGKILL)
        wait_until(lambda: out.read_text().count("serving") == 2, "the next one serves")
        assert is_alive(orphan)
        os.kill(orphan.pid, signal.SIGKILL)
        wait_until(lambda: not Path(f"/proc/{orphan.pid}").exists(), "the orphan is reaped")
    finally:
        watched.terminate()
        assert watched.wait(DEADLINE_S) == 0


def test_who_brings_it_back_is_noted_and_known_to_be_dead(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from meshgate.runtime.guard import note_guard\n"
        "note_guard(Path(sys.argv[1])); print('noted', flush=True); time.sleep(60)"
    )
    assert not guarded(tmp_path)
    argv = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", "meshgate.runtime.guard", *argv], stdout=subprocess.PIPE
    ) as watched:
        assert watched.stdout is not None
        assert watched.stdout.readline() == b"noted\n"
        assert guarded(tmp_path)
        watched.terminate()
    assert not guarded(tmp_path)
    # Without a guard nobody brings it back, whoever the parent is.
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as alone:
        assert alone.stdout is not None
        assert alone.stdout.readline() == b"noted\n"
        assert not guarded(tmp_path)
        alone.terminate()


def test_a_broken_note_means_nobody(tmp_path: Path) -> None:
    for text in ("", "[", "null", "[1]", '["x", "y"]', "{}"):
        (tmp_path / "guard.json").write_text(text)
        assert not guarded(tmp_path)
