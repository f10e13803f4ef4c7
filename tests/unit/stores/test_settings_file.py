"""A settings file: replaced whole, followed, and the last good one kept."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path

import pytest

from meshgate.stores.settings_file import SettingsError, SettingsWatch, read_settings, replace_file


def test_the_file_is_private_and_left_alone_where_it_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    replace_file(path, b"1")
    before = path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o600
    replace_file(path, b"1")
    assert path.stat() == before
    replace_file(path, b"2")
    assert path.stat().st_ino != before.st_ino
    assert path.read_bytes() == b"2"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"], "nothing left behind"


def test_what_cannot_be_written_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "a.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(tmp_path / "a.json", b"1")
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.json"]


def test_a_missing_file_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="No such file"):
        read_settings(tmp_path / "none.json")


def test_a_broken_file_leaves_the_last_good_one_in_force(tmp_path: Path) -> None:
    path, taken = tmp_path / "a", list[bytes]()

    def apply(text: bytes) -> None:
        if text == b"broken":
            raise SettingsError("not what is written there")
        taken.append(text)

    watch = SettingsWatch(path, apply)
    with pytest.raises(SettingsError):
        watch.load()
    replace_file(path, b"one")
    assert watch.refresh()
    assert not watch.refresh(), "nothing has changed"
    replace_file(path, b"broken")
    assert not watch.refresh()
    path.unlink()
    assert not watch.refresh()
    replace_file(path, b"two")
    assert watch.refresh()
    assert taken == [b"one", b"two"]


def test_who_follows_takes_up_a_change_and_a_poke(tmp_path: Path) -> None:
    path = tmp_path / "a"
    replace_file(path, b"one")
    taken: asyncio.Queue[bytes] = asyncio.Queue()

    async def follow() -> None:
        watch = SettingsWatch(path, taken.put_nowait)
        watch.load()
        running = asyncio.create_task(watch.run())
        async with asyncio.timeout(30):
            assert await taken.get() == b"one"
            replace_file(path, b"two")
            assert await taken.get() == b"two"
            watch.poke()
            assert await taken.get() == b"two"
        running.cancel()

    asyncio.run(follow())
