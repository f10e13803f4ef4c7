"""The kernel's setting for connections that wait at a socket which closes."""

from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.runtime.handover import handing_over


@pytest.mark.parametrize("before", ["0", "1"])
def test_it_is_on_meanwhile_and_as_before_afterwards(tmp_path: Path, before: str) -> None:
    switch = tmp_path / "tcp_migrate_req"
    switch.write_text(f"{before}\n")
    with handing_over(switch):
        assert switch.read_text().strip() == "1"
    assert switch.read_text().strip() == before


def test_where_it_cannot_be_had_nothing_is_missed(tmp_path: Path) -> None:
    with handing_over(tmp_path / "no-such-setting"):
        pass
    assert not list(tmp_path.iterdir())


def test_two_that_overlap_leave_it_as_it_was(tmp_path: Path) -> None:
    switch = tmp_path / "tcp_migrate_req"
    switch.write_text("0")
    with handing_over(switch):
        with handing_over(switch):
            pass
        assert switch.read_text() == "1"
    assert switch.read_text() == "0"
