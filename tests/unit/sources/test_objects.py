"""The object store: files and API, last good versions, what survives a restart."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.core.diagnostics import ObjectRef
from meshgate.dialects.document import Document, Json
from meshgate.dialects.yaml_text import read_documents
from meshgate.pipeline import build
from meshgate.sources.kept import KeptState, KeptStateError
from meshgate.sources.objects import ObjectStore
from meshgate.sources.stored import SourceText, StoredObject
from tests.documents import from_object
from tests.unit.sources.control import HandClock, check, put_text, service

WEB = ObjectRef("Service", "default", "web", "")
DEFAULT = ObjectRef("Namespace", "", "default", "")
BROKEN = service().replace("port: 80", "port: eighty")

Open = Callable[[], ObjectStore]


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def opened(tmp_path: Path, clock: HandClock) -> Iterator[Open]:
    """Opens the store on the same file, again after a `close`."""
    stores: list[ObjectStore] = []

    def open_it() -> ObjectStore:
        if stores:
            stores[-1].close()
        stores.append(
            ObjectStore(check=check, clock=clock, kept=KeptState(tmp_path / "state" / "meshgate.db"))
        )
        return stores[-1]

    yield open_it
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Open) -> ObjectStore:
    return opened()


def found(store: ObjectStore, ref: ObjectRef = WEB) -> StoredObject:
    stored = store.get(ref)
    assert stored is not None
    return stored


def port(store: ObjectStore) -> object:
    spec = found(store).document.data["spec"]
    assert isinstance(spec, dict)
    return spec["ports"][0]["port"]


def edited(store: ObjectStore, number: int) -> Document:
    """The Service as somebody sends it to the API."""
    documents, _ = read_documents(service(port=number), "<api>")
    return documents[0]


def test_an_edit_keeps_uid_and_creation_and_raises_versions(store: ObjectStore, clock: HandClock) -> None:
    put_text(store, service())
    first = found(store)
    clock.forward(60)
    put_text(store, service(port=81))
    second = found(store)
    assert (second.uid, second.identity.created) == (first.uid, first.identity.created)
    assert second.identity.generation == first.identity.generation + 1
    assert second.identity.resource_version > first.identity.resource_version


def test_labels_do_not_raise_the_generation(store: ObjectStore) -> None:
    put_text(store, service())
    before = found(store).identity
    put_text(store, service(labels="{a: b}"))
    after = found(store).identity
    assert after.generation == before.generation
    assert after.resource_version > before.resource_version


def test_moved_lines_change_positions_only(store: ObjectStore) -> None:
    put_text(store, service())
    before = found(store).identity
    put_text(store, "\n\n" + service())
    assert found(store).identity == before
    assert found(store).document.locate().line == 3


def test_an_unchanged_file_keeps_its_documents(store: ObjectStore) -> None:
    put_text(store, service() + "---\n" + service("api"))
    before = store.documents()
    put_text(store, service() + "---\n" + service("api", port=9))
    kept = {d.ref.name: d for d in before}
    assert next(d for d in store.documents() if d.ref.name == "web") is kept["web"]


def test_what_vanishes_from_a_file_vanishes(store: ObjectStore) -> None:
    put_text(store, service() + "---\n" + service("api"))
    put_text(store, service("api"))
    assert store.get(WEB) is None
    put_text(store, "")
    assert store.documents() == ()
    assert store.sources() == ()


def test_a_broken_object_keeps_its_last_good_version(store: ObjectStore) -> None:
    put_text(store, service() + "---\n" + service("api"))
    put_text(store, BROKEN + "---\n" + service("api", port=9))
    assert port(store) == 80
    [problem] = store.problems()
    assert (problem.ref, problem.last_good) == (WEB, True)
    assert any("the last good version stays in force" in d.message for d in store.diagnostics())
    assert any(d.origin.file == "a.yaml" and d.origin.line for d in problem.diagnostics)
    put_text(store, service(port=82) + "---\n" + service("api", port=9))
    assert port(store) == 82
    assert store.problems() == ()


def test_a_broken_object_without_a_past_is_there_as_broken(store: ObjectStore) -> None:
    put_text(store, BROKEN)
    [problem] = store.problems()
    assert not problem.last_good
    assert not any("stays in force" in d.message for d in store.diagnostics())
    assert [b.ref for b in build(store.documents()).declared.broken] == [WEB]


@pytest.mark.parametrize("text", ["a: [", "{", "\t- a", service("api") + "---\nspec: [\n"])
def test_while_a_part_cannot_be_read_nothing_is_removed(store: ObjectStore, text: str) -> None:
    put_text(store, service() + "---\n" + service("api"))
    put_text(store, text)
    assert {d.ref.name for d in store.documents()} == {"web", "api"}
    [problem] = store.problems()
    assert problem.ref is None
    assert problem.last_good


def test_the_api_wins_until_the_file_changes_that_object(store: ObjectStore) -> None:
    put_text(store, service() + "---\n" + service("api"))
    store.put(edited(store, 90))
    put_text(store, service() + "---\n" + service("api", port=9))
    assert port(store) == 90
    assert found(store).source == "file:a.yaml"
    put_text(store, service(port=91) + "---\n" + service("api", port=9))
    assert port(store) == 91
    put_text(store, service() + "---\n" + service("api", port=9))
    assert port(store) == 80


def test_a_deletion_holds_until_the_file_changes_that_object(store: ObjectStore) -> None:
    put_text(store, service())
    store.remove(WEB)
    put_text(store, "# said again\n" + service())
    assert store.get(WEB) is None
    put_text(store, service(port=81))
    assert port(store) == 81


def test_an_object_of_the_api_gives_way_to_a_file(store: ObjectStore) -> None:
    store.put(edited(store, 90))
    assert found(store).source == "api"
    put_text(store, service())
    assert port(store) == 80


def test_removing_an_object_of_the_api_leaves_nothing(store: ObjectStore, clock: HandClock) -> None:
    store.put(edited(store, 90))
    before = found(store)
    store.remove(WEB)
    assert store.get(WEB) is None
    clock.forward(5)
    store.put(edited(store, 90))
    assert found(store).uid != before.uid
    assert found(store).identity.generation == 1


def test_two_files_with_the_same_object_are_both_told_to_the_pipeline(store: ObjectStore) -> None:
    put_text(store, service(port=80), "a.yaml")
    put_text(store, service(port=81), "b.yaml")
    assert port(store) == 80
    assert [d.code for d in build(store.documents()).diagnostics if d.code == "MG1106"] == ["MG1106"]
    put_text(store, "", "a.yaml")
    assert port(store) == 81


def test_documents_are_ordered_by_age_then_name(store: ObjectStore, clock: HandClock) -> None:
    put_text(store, service("m") + "---\n" + service("b"), "z.yaml")
    clock.forward(10)
    put_text(store, service("a"), "a.yaml")
    assert [d.ref.name for d in store.documents()] == ["b", "m", "a"]
    assert [d.created for d in store.documents()][::2] == ["2026-11-20T12:00:00Z", "2026-11-20T12:00:10Z"]


def test_implicit_namespaces_are_there_and_can_be_labelled(store: ObjectStore) -> None:
    assert found(store, DEFAULT).view()["kind"] == "Namespace"
    assert store.documents() == ()
    data: dict[str, Json] = {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": "default", "labels": {"istio-injection": "enabled"}},
    }
    document, _ = from_object(data)
    assert document is not None
    store.put(document)
    assert [d.ref for d in store.documents()] == [DEFAULT]
    store.remove(DEFAULT)
    assert store.get(DEFAULT) is not None


def test_everything_of_the_api_survives_a_restart(opened: Open, clock: HandClock) -> None:
    store = opened()
    put_text(store, service() + "---\n" + service("api") + "---\n" + service("gone"))
    store.put(edited(store, 90))
    store.remove(ObjectRef("Service", "default", "gone", ""))
    before = {o.ref: (o.identity, o.uid) for o in store.objects()}
    clock.forward(1000)
    store = opened()
    put_text(store, service() + "---\n" + service("api") + "---\n" + service("gone"))
    assert port(store) == 90
    assert {o.ref: (o.identity, o.uid) for o in store.objects()} == before


def test_a_file_that_changed_meanwhile_wins(opened: Open) -> None:
    store = opened()
    put_text(store, service())
    store.put(edited(store, 90))
    store = opened()
    put_text(store, service(port=81))
    assert port(store) == 81


def test_the_last_good_version_survives_a_restart(opened: Open) -> None:
    store = opened()
    put_text(store, service())
    put_text(store, BROKEN)
    store = opened()
    put_text(store, BROKEN)
    assert port(store) == 80
    assert found(store).document.locate(("spec",)).line == 7
    put_text(store, service(port=81))
    store = opened()
    put_text(store, BROKEN)
    assert [p.last_good for p in store.problems()] == [False]


def test_files_that_are_gone_after_a_restart_leave_nothing(opened: Open) -> None:
    store = opened()
    put_text(store, service())
    put_text(store, BROKEN)
    store = opened()
    store.replace_sources({"b.yaml": SourceText()})
    assert store.documents() == ()


def test_the_file_of_the_state_is_its_owners_alone(store: ObjectStore, tmp_path: Path) -> None:
    store.put(edited(store, 90))
    files = list((tmp_path / "state").iterdir())
    assert files
    assert {stat.S_IMODE(f.stat().st_mode) for f in files} == {0o600}


def test_a_damaged_state_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "meshgate.db").write_bytes(b"not a database, and long enough to be looked at" * 40)
    with pytest.raises(KeptStateError, match=r"meshgate\.db cannot be used"):
        KeptState(tmp_path / "meshgate.db")


def test_who_waits_is_told_once_for_many_changes(store: ObjectStore) -> None:
    async def scenario() -> tuple[int, bool]:
        waiting = asyncio.create_task(store.changed_after(store.revision))
        await asyncio.sleep(0)
        for number in (1, 2, 3):
            put_text(store, service(port=number))
        seen = await asyncio.wait_for(waiting, 60)
        later = asyncio.create_task(store.changed_after(seen))
        await asyncio.sleep(0)
        quiet = not later.done()
        later.cancel()
        return seen, quiet

    seen, quiet = asyncio.run(scenario())
    assert seen == store.revision
    assert quiet


_NAMES = st.sampled_from(["a", "b", "c"])
_TEXTS = st.lists(st.tuples(_NAMES, st.sampled_from([80, 81, "bad"])), max_size=4, unique_by=lambda t: t[0])
_STEPS = st.lists(st.tuples(st.sampled_from(["x.yaml", "y.yaml"]), _TEXTS, st.booleans()), max_size=8)


@settings(deadline=None)
@given(_STEPS)
def test_whatever_was_before_good_files_give_what_they_say(
    steps: list[tuple[str, list[tuple[str, int | str]], bool]],
) -> None:
    """After any history, files without errors are in force as written, and nothing else is."""
    store = ObjectStore(check=check, clock=HandClock())
    try:
        for file, objects, cut in steps:
            text = "---\n".join(_service(name, port) for name, port in objects)
            put_text(store, text + ("---\na: [\n" if cut else ""), file)
            in_force = [d.ref for d in store.documents()]
            assert all(store.get(ref) is not None for ref in in_force)
        put_text(store, _service("a", 1), "x.yaml")
        put_text(store, _service("b", 2), "y.yaml")
        assert [(d.ref.name, d.data["spec"]["ports"][0]["port"]) for d in store.documents()] == [  # type: ignore[call-overload,index]
            ("a", 1),
            ("b", 2),
        ]
        assert store.problems() == ()
    finally:
        store.close()


def _service(name: str, port: int | str) -> str:
    return service(name).replace("port: 80", f"port: {port}")
