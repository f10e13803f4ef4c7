from __future__ import annotations

import os
from pathlib import Path

from meshgate.runtime.log_files import open_log, rotate, rotated, tail


def test_rotation_keeps_the_writer_writing_and_the_newest_parts(tmp_path: Path) -> None:
    log = tmp_path / "deep" / "app.log"
    descriptor = open_log(log)
    try:
        for part in ("one", "two", "three", "four"):
            os.write(descriptor, part.encode() * 100)
            assert rotate(log, max_bytes=100, keep=2)
            assert not rotate(log, max_bytes=100, keep=2)
        os.write(descriptor, b"five\n")
    finally:
        os.close(descriptor)
    assert log.read_text() == "five\n"
    assert rotated(log, 1).read_text() == "four" * 100
    assert rotated(log, 2).read_text() == "three" * 100
    assert not rotated(log, 3).exists()


def test_tail_begins_at_the_latest_start(tmp_path: Path) -> None:
    log = tmp_path / "envoy.log"
    log.write_text("old\n" * 5)
    start = log.stat().st_size
    with log.open("a") as file:
        file.write("new 1\nnew 2\nnew 3\n")
    assert tail(log, 2) == ("new 2", "new 3")
    assert tail(log, 10, start) == ("new 1", "new 2", "new 3")
    # After a rotation the start lies behind the end: everything counts.
    assert tail(log, 1, 10_000) == ("new 3",)
    assert tail(tmp_path / "missing", 3) == ()
