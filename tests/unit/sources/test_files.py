"""Real files, written the ways editors write them."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from meshgate.sources import files
from meshgate.sources.files import FileSource
from meshgate.sources.manifests import read_paths
from meshgate.sources.objects import ObjectStore
from meshgate.sources.stored import SourceText
from tests.unit.sources.control import HandClock, check, service

_DEADLINE_S = 60.0


def test_folders_are_read_with_all_in_them_but_hidden_names(tmp_path: Path) -> None:
    for name in ("b.yaml", "a.yml", "deep/er/c.json", ".hidden/d.yaml", ".e.yaml", "f.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    texts, diagnostics = read_paths([str(tmp_path)])
    assert [str(Path(f).relative_to(tmp_path)) for f in texts] == ["a.yml", "b.yaml", "deep/er/c.json"]
    assert diagnostics == ()


def test_a_file_that_is_named_may_have_any_name(tmp_path: Path) -> None:
    (tmp_path / "manifest").write_text("a: b")
    texts, _ = read_paths([str(tmp_path / "manifest")])
    assert list(texts.values()) == ["a: b"]


def test_the_same_file_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: b")
    (tmp_path / "b").mkdir()
    texts, _ = read_paths([str(tmp_path), str(tmp_path / "a.yaml"), f"{tmp_path}/b/../a.yaml"])
    assert len(texts) == 1


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_bytes(b"a: b\nc: \xff\xfe\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "lost.yaml").symlink_to(tmp_path / "nowhere")
    texts, diagnostics = read_paths([str(tmp_path), str(tmp_path / "none")])
    assert texts == {}
    found = {(Path(d.origin.file).name, d.code, d.origin.line) for d in diagnostics}
    assert found == {
        ("bad.yaml", "MG1001", 2),
        ("pipe.yaml", "MG1005", 0),
        ("lost.yaml", "MG1005", 0),
        ("none", "MG1005", 0),
    }


def test_a_state_directory_below_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "state").mkdir()
    for name in ("a.yaml", "state/meshgate.db", "state/ports.json"):
        (tmp_path / name).write_text("{}")
    texts, _ = read_paths([str(tmp_path)])
    assert [Path(file).name for file in texts] == ["a.yaml"]


def test_a_link_to_a_folder_above_does_not_lead_in_circles(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("a: b")
    (tmp_path / "again").symlink_to(tmp_path)
    texts, _ = read_paths([str(tmp_path)])
    assert len(texts) == 1


class Watched:
    """A folder, the store that follows it, and a way to wait for what the store shall say."""

    def __init__(self, folder: Path, store: ObjectStore) -> None:
        self.folder, self.store = folder, store

    def ports(self) -> dict[str, object]:
        return {d.ref.name: _port(d.data) for d in self.store.documents()}

    async def until(self, expected: dict[str, object]) -> None:
        async with asyncio.timeout(_DEADLINE_S):
            while self.ports() != expected:
                await self.store.changed_after(self.store.revision)


def _port(data: object) -> object:
    assert isinstance(data, dict)
    return data["spec"]["ports"][0]["port"]


@asynccontextmanager
async def watching(folder: Path, *paths: str) -> AsyncIterator[Watched]:
    store = ObjectStore(check=check, clock=HandClock())
    source = FileSource([str(folder / p) for p in paths] or [str(folder)], store)
    source.load()
    task = asyncio.create_task(source.run())
    try:
        yield Watched(folder, store)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        store.close()


def _write(path: Path) -> None:
    path.write_text(service(port=81))


def _rename(path: Path) -> None:
    beside = path.with_name(".a.yaml.swp")
    beside.write_text(service(port=81))
    beside.replace(path)


def _away_and_back(path: Path) -> None:
    path.replace(path.with_name("a.yaml~"))
    path.write_text(service(port=81))


def _in_two_steps(path: Path) -> None:
    with path.open("w") as opened:
        opened.write(service(port=81)[:20])
        opened.flush()
        opened.write(service(port=81)[20:])


@pytest.mark.parametrize("save", [_write, _rename, _away_and_back, _in_two_steps])
def test_every_way_to_save_is_seen(tmp_path: Path, save: Callable[[Path], None]) -> None:
    async def scenario() -> None:
        path = tmp_path / "a.yaml"
        path.write_text(service())
        async with watching(tmp_path) as watched:
            assert watched.ports() == {"web": 80}
            save(path)
            await watched.until({"web": 81})

    asyncio.run(scenario())


@pytest.mark.parametrize("target", ["a.yaml", ""])
def test_files_come_and_go(tmp_path: Path, target: str) -> None:
    async def scenario() -> None:
        path = tmp_path / "a.yaml"
        path.write_text(service())
        async with watching(tmp_path, target) as watched:
            path.unlink()
            await watched.until({})
            path.write_text(service(port=82))
            await watched.until({"web": 82})

    asyncio.run(scenario())


def test_folders_come_and_go(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "a.yaml").write_text(service())
        async with watching(tmp_path) as watched:
            (tmp_path / "new" / "deep").mkdir(parents=True)
            (tmp_path / "new" / "deep" / "b.yaml").write_text(service("api", 1))
            await watched.until({"web": 80, "api": 1})
            (tmp_path / "new" / "deep" / "b.yaml").write_text(service("api", 2))
            await watched.until({"web": 80, "api": 2})
            (tmp_path / "new").rename(tmp_path / ".gone")
            await watched.until({"web": 80})

    asyncio.run(scenario())


def test_the_target_of_a_link_is_followed(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "watched").mkdir()
        (tmp_path / "real" / "x").write_text(service())
        (tmp_path / "real" / "y").write_text(service(port=83))
        link = tmp_path / "watched" / "a.yaml"
        link.symlink_to(tmp_path / "real" / "x")
        async with watching(tmp_path / "watched") as watched:
            (tmp_path / "real" / "x").write_text(service(port=81))
            await watched.until({"web": 81})
            link.unlink()
            link.symlink_to(tmp_path / "real" / "y")
            await watched.until({"web": 83})

    asyncio.run(scenario())


TWO = service("web", port=80) + "\n---\n" + service("api", port=80)


@pytest.mark.parametrize("half", ["", service("web", port=81) + "\n---\n"], ids=["nothing", "the-first-part"])
def test_a_save_in_parts_takes_nothing_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, half: str
) -> None:
    path, looked, read = tmp_path / "a.yaml", threading.Event(), files._read_source

    def noted(file: str) -> SourceText:
        found = read(file)
        if path.read_text() == half:
            looked.set()
        return found

    monkeypatch.setattr(files, "_read_source", noted)
    # However long the writer is kept from going on.
    monkeypatch.setattr(files, "_GRACE_S", 3600)

    async def scenario() -> list[dict[str, object]]:
        path.write_text(TWO)
        seen: list[dict[str, object]] = []
        async with watching(tmp_path) as watched:

            async def note() -> None:
                while True:
                    await watched.store.changed_after(watched.store.revision)
                    seen.append(watched.ports())

            noting = asyncio.create_task(note())
            with path.open("w") as opened:
                opened.write(half)
                opened.flush()
                assert await asyncio.to_thread(looked.wait, _DEADLINE_S)
                opened.write(TWO.replace("80", "81")[len(half) :])
            await watched.until({"web": 81, "api": 81})
            noting.cancel()
        return seen

    assert asyncio.run(scenario()) == [{"web": 81, "api": 81}]


def test_what_a_file_has_no_more_is_gone_in_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "a.yaml"
        path.write_text(TWO)
        async with watching(tmp_path) as watched:
            path.write_text(service("api", port=80))
            await watched.until({"api": 80})
            path.write_text("")
            await watched.until({})

    asyncio.run(scenario())


def test_a_broken_save_keeps_the_last_good_version_and_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "a.yaml"
        path.write_text(service())
        async with watching(tmp_path) as watched:
            path.write_text(service() + "  - [\n")
            async with asyncio.timeout(_DEADLINE_S):
                while not watched.store.problems():
                    await watched.store.changed_after(watched.store.revision)
            assert watched.ports() == {"web": 80}
            path.write_text(service(port=81))
            await watched.until({"web": 81})
            assert watched.store.problems() == ()

    asyncio.run(scenario())
