"""The admin API over a real Unix socket: verbs, errors, streams, who may open it."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar, cast

import grpc
import pytest

from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin import AdminServer
from meshgate.sources.admin_protocol import Method, Nothing
from meshgate.sources.backend import (
    AdminError,
    ApplyRequest,
    DeleteRequest,
    ExecRequest,
    GetAnswer,
    GetQuery,
    LabelRequest,
    LogsRequest,
    PatchRequest,
)
from meshgate.sources.object_api import ObjectApi
from meshgate.sources.objects import ObjectStore
from tests.unit.sources.control import HandClock, SmallBackend, check, put_text, service

Q = TypeVar("Q")
A = TypeVar("A")
T = TypeVar("T")


def same(message: bytes) -> bytes:
    return message


class Caller:
    """The other end, without the command line."""

    def __init__(self, channel: grpc.aio.Channel, store: ObjectStore, backend: SmallBackend) -> None:
        self.channel, self.store, self.backend = channel, store, backend

    async def call(self, method: Method[Q, A], query: Q) -> A:
        try:
            data = await self.channel.unary_unary(method.path, same, same)(wire.encode(query), timeout=10)
        except grpc.aio.AioRpcError as error:
            raise wire.decode_error(error.details() or "") or error from error
        return wire.decode(method.answer, data)


def served(tmp_path: Path, scenario: Callable[[Caller], Awaitable[T]]) -> T:
    """Runs a scenario against a server on a socket in `tmp_path`."""

    async def run() -> T:
        store = ObjectStore(check=check, clock=HandClock())
        backend = SmallBackend(store, tmp_path / "web.log")
        socket = tmp_path / "run" / "admin.sock"
        server = AdminServer(socket, ObjectApi(store, backend), backend)
        task = asyncio.create_task(server.run())
        try:
            await asyncio.wait_for(server.started.wait(), 60)
            assert stat.S_IMODE(socket.stat().st_mode) == 0o600
            async with grpc.aio.insecure_channel(f"unix:{socket}", options=wire.OPTIONS) as channel:
                return await asyncio.wait_for(_as_coroutine(scenario(Caller(channel, store, backend))), 30)
        finally:
            task.cancel()
            ended = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(ended[0], asyncio.CancelledError)
            store.close()
            assert not socket.exists()

    return asyncio.run(run())


async def _as_coroutine(awaitable: Awaitable[T]) -> T:
    return await awaitable


def names(answer: GetAnswer) -> list[list[str]]:
    return [[str(cast("dict[str, object]", o["metadata"])["name"]) for o in k.objects] for k in answer.lists]


def test_objects_go_in_and_come_out(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        changes = await caller.call(wire.APPLY, ApplyRequest(texts={"x.yaml": service()}))
        assert [(c.resource, c.verb) for c in changes.changes] == [("service/web", "created")]
        changes = await caller.call(wire.APPLY, ApplyRequest(texts={"x.yaml": service()}))
        assert changes.changes[0].verb == "unchanged"
        changes = await caller.call(wire.APPLY, ApplyRequest(texts={"x.yaml": service(port=81)}))
        assert changes.changes[0].verb == "configured"
        answer = await caller.call(wire.GET, GetQuery(kinds="svc", names=("web", "nobody")))
        [listed] = answer.lists
        assert listed.objects[0]["spec"] == {
            "clusterIP": "10.96.0.7",
            "ports": [{"port": 81}],
            "selector": {"app": "web"},
        }
        assert answer.missing == ('services "nobody" not found',)

    served(tmp_path, scenario)


def test_apply_takes_away_what_it_once_gave_and_leaves_what_others_set(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> object:
        await caller.call(wire.APPLY, ApplyRequest(texts={"x": service(labels="{a: b, c: d}")}))
        await caller.call(
            wire.LABEL, LabelRequest(kind="svc", names=("web",), namespace="default", labels={"own": "yes"})
        )
        await caller.call(wire.APPLY, ApplyRequest(texts={"x": service(labels="{a: b}")}))
        answer = await caller.call(wire.GET, GetQuery(kinds="service/web"))
        return cast("dict[str, object]", answer.lists[0].objects[0]["metadata"])["labels"]

    assert served(tmp_path, scenario) == {"a": "b", "own": "yes"}


def test_an_object_with_errors_is_refused_and_the_others_are_taken(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        text = service() + "---\n" + service("bad").replace("port: 80", "port: 70000")
        changes = await caller.call(wire.APPLY, ApplyRequest(texts={"x.yaml": text}))
        assert [c.verb for c in changes.changes] == ["created", "invalid"]
        [line] = [d for d in changes.diagnostics if d.severity == "error"]
        assert (line.file, line.line, line.field) == ("x.yaml", 19, "spec.ports[0].port")
        assert names(await caller.call(wire.GET, GetQuery(kinds="svc"))) == [["web"]]

    served(tmp_path, scenario)


def test_apply_puts_objects_into_the_namespace_asked_for(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        await caller.call(wire.APPLY, ApplyRequest(texts={"x": service()}, namespace="shop"))
        assert names(await caller.call(wire.GET, GetQuery(kinds="svc"))) == [[]]
        assert names(await caller.call(wire.GET, GetQuery(kinds="svc", namespace="shop"))) == [["web"]]
        assert names(await caller.call(wire.GET, GetQuery(kinds="svc", all_namespaces=True))) == [["web"]]

    served(tmp_path, scenario)


def test_made_objects_can_be_seen_and_not_changed(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        assert names(await caller.call(wire.GET, GetQuery(kinds="po"))) == [["web-1", "web-2"]]
        changes = await caller.call(wire.DELETE, DeleteRequest(kinds="pod", names=("web-1",)))
        assert changes.errors
        with pytest.raises(AdminError, match="cannot be changed"):
            await caller.call(
                wire.PATCH, PatchRequest(kind="pod", name="web-1", namespace="default", patch={"a": 1})
            )

    served(tmp_path, scenario)


def test_a_patch_merges_and_one_with_errors_changes_nothing(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        put_text(caller.store, service(labels="{a: b, c: d}"))
        good = {"metadata": {"labels": {"a": None}}, "spec": {"ports": [{"port": 85}]}}
        target = PatchRequest(kind="svc", name="web", namespace="default", patch=good)
        changes = await caller.call(wire.PATCH, target)
        assert changes.changes[0].verb == "patched"
        [document] = caller.store.documents()
        assert document.data["spec"] == {"ports": [{"port": 85}], "selector": {"app": "web"}}
        assert document.locate(("spec",)).file == "a.yaml"
        bad = PatchRequest(
            kind="svc", name="web", namespace="default", patch={"spec": {"ports": [{"port": 70000}]}}
        )
        with pytest.raises(AdminError, match=r"spec\.ports\[0\]\.port") as caught:
            await caller.call(wire.PATCH, bad)
        assert caught.value.code == "invalid"
        moved = PatchRequest(kind="svc", name="web", namespace="default", patch={"metadata": {"name": "x"}})
        with pytest.raises(AdminError, match="cannot be changed"):
            await caller.call(wire.PATCH, moved)
        assert caller.store.documents() == (document,)

    served(tmp_path, scenario)


def test_labels_of_implicit_namespaces(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        wanted: dict[str, str | None] = {"istio-injection": "enabled"}
        request = LabelRequest(kind="ns", names=("default",), namespace="default", labels=wanted)
        assert (await caller.call(wire.LABEL, request)).changes[0].verb == "labeled"
        assert (await caller.call(wire.LABEL, request)).changes[0].verb == "not labeled"
        other = LabelRequest(
            kind="ns", names=("default",), namespace="default", labels={"istio-injection": "disabled"}
        )
        with pytest.raises(AdminError, match="already has a value"):
            await caller.call(wire.LABEL, other)
        gone = LabelRequest(
            kind="ns", names=("default",), namespace="default", labels={"istio-injection": None}
        )
        assert (await caller.call(wire.LABEL, gone)).changes[0].verb == "unlabeled"
        deleted = await caller.call(wire.DELETE, DeleteRequest(kinds="ns", names=("default",)))
        assert "may not be deleted" in deleted.errors[0]

    served(tmp_path, scenario)


def test_a_namespace_takes_its_objects_with_it(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        namespace = "apiVersion: v1\nkind: Namespace\nmetadata: {name: shop}\n"
        put_text(caller.store, namespace, "ns.yaml")
        put_text(caller.store, service().replace("name: web", "name: web\n  namespace: shop", 1), "s.yaml")
        put_text(caller.store, service("other"), "o.yaml")
        changes = await caller.call(wire.DELETE, DeleteRequest(kinds="namespace", names=("shop",)))
        assert changes.changes[0].resource == 'namespace "shop"'
        assert [d.ref.name for d in caller.store.documents()] == ["other"]

    served(tmp_path, scenario)


def test_selectors(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        for name, labels in (("a", "{tier: web, old: x}"), ("b", "{tier: db}"), ("c", "{}")):
            put_text(caller.store, service(name, labels=labels), f"{name}.yaml")
        expected = {
            "tier=web": ["a"],
            "tier!=web": ["b", "c"],
            "tier,!old": ["b"],
            "tier in (web, db)": ["a", "b"],
            "tier notin (web)": ["b", "c"],
        }
        for selector, found in expected.items():
            assert names(await caller.call(wire.GET, GetQuery(kinds="svc", selector=selector))) == [found]
        with pytest.raises(AdminError, match="cannot read the selector"):
            await caller.call(wire.GET, GetQuery(kinds="svc", selector="a b c"))

    served(tmp_path, scenario)


def test_secrets_are_shown_as_an_api_server_would(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> object:
        text = "apiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: v}\ndata: {o: eA==}\n"
        put_text(caller.store, text)
        answer = await caller.call(wire.GET, GetQuery(kinds="secret/s"))
        assert "stringData" not in answer.lists[0].objects[0]
        return answer.lists[0].objects[0]["data"]

    assert served(tmp_path, scenario) == {"k": "dg==", "o": "eA=="}


def test_unknown_kinds_are_named(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> str:
        with pytest.raises(AdminError, match="resource type") as caught:
            await caller.call(wire.GET, GetQuery(kinds="servces"))
        return caught.value.remedy

    assert "services" in served(tmp_path, scenario)


def test_a_bug_is_told_without_its_values(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> AdminError:
        with pytest.raises(AdminError) as caught:
            await caller.call(wire.EXEC, ExecRequest(target="bug", namespace="default", argv=("ls",)))
        return caught.value

    error = served(tmp_path, scenario)
    assert error.code == "internal"
    assert "a value that nobody must see" not in error.message + error.remedy
    assert "KeyError" in error.message


def test_what_is_no_request_is_refused(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        deep = b"[" * 100_000
        for data in (b"", b"\xff", b"{}", b"[]", b'{"kinds": 5}', deep):
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await caller.channel.unary_unary(wire.GET.path, same, same)(data, timeout=10)
            assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        patch: object = 1
        for _ in range(150):
            patch = {"a": patch}
        put_text(caller.store, service())
        request = PatchRequest(kind="svc", name="web", namespace="default", patch={"a": patch})
        with pytest.raises(AdminError):
            await caller.call(wire.PATCH, request)

    served(tmp_path, scenario)


def test_logs_end_or_go_on(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> None:
        log = caller.backend.logs
        log.write_text("one\ntwo\nthree\nhal")

        async def read(request: LogsRequest) -> str:
            call = caller.channel.unary_stream(wire.LOGS.path, same, same)(wire.encode(request))
            return "".join([wire.decode(wire.LOGS.answer, data).text async for data in call])

        assert await read(LogsRequest(target="web", namespace="default")) == "one\ntwo\nthree\nhal\n"
        assert await read(LogsRequest(target="web", namespace="default", tail=2)) == "three\nhal\n"
        request = LogsRequest(target="web", namespace="default", tail=0, follow=True)
        call = caller.channel.unary_stream(wire.LOGS.path, same, same)(wire.encode(request))
        reading = asyncio.create_task(_first_of(call))
        with log.open("a") as opened:
            while not reading.done():
                # Whether the server has begun to follow cannot be seen from here.
                opened.write("f\nmore\n")
                opened.flush()
                await asyncio.wait([reading], timeout=0.05)
        assert "more\n" in reading.result()
        log.write_text("new\n")
        seen = ""
        async for data in call:
            seen += wire.decode(wire.LOGS.answer, data).text
            if seen.endswith("new\n"):
                break
        call.cancel()

    served(tmp_path, scenario)


async def _first_of(call: grpc.aio.UnaryStreamCall[bytes, bytes]) -> str:
    async for data in call:
        return wire.decode(wire.LOGS.answer, data).text
    return ""


def test_down_is_passed_on_and_events_end(tmp_path: Path) -> None:
    async def scenario(caller: Caller) -> list[str]:
        call = caller.channel.unary_stream(wire.EVENTS.path, same, same)(wire.encode(Nothing()))
        messages = []
        async for data in call:
            messages.append(wire.decode(wire.EVENTS.answer, data).message)
            await caller.call(wire.DOWN, Nothing())
        return messages

    assert served(tmp_path, scenario) == ["ready"]


def test_a_long_state_path_gets_a_short_socket(tmp_path: Path) -> None:
    short = Path("/tmp/short")
    assert wire.admin_socket(Path("/s"), short) == Path("/s/run/admin.sock")
    assert wire.admin_socket(tmp_path / ("x" * 120), short) == short / "admin.sock"
