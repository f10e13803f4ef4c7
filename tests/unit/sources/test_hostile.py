"""Odd objects go through files, store, API and the file of the state without an exception."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import AdminError, ApplyRequest, GetQuery, PatchRequest
from meshgate.sources.kept import KeptState
from meshgate.sources.object_api import ObjectApi
from meshgate.sources.objects import ObjectStore
from tests.unit.sources.control import HandClock, SmallBackend, check, put_text

CONFIG_MAP = "apiVersion: v1\nkind: ConfigMap\nmetadata: "


@pytest.mark.parametrize(
    "text",
    [
        CONFIG_MAP + '{name: "\\ud800"}',
        CONFIG_MAP + '{name: ok}\ndata: {a: "\\ud800"}',
        CONFIG_MAP + "{name: ok}\ndata: {a: .nan, b: .inf, c: " + "9" * 5000 + "}",
        CONFIG_MAP + "{name: ok, creationTimestamp: 5, labels: [1], uid: {a: b}}",
        CONFIG_MAP + '{name: "../../x", namespace: "a\\nb"}',
        CONFIG_MAP + "[1]",
        '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"ok"},"data":{"a":"\\udfff"}}',
        '{"apiVersion":"\\ud83d\\ude00/v1","kind":"\\ud83d\\ude00","metadata":{"name":"ok"}}',
        'apiVersion: v1\nkind: "Con\\0fig"\nmetadata: {name: ok}',
        "apiVersion: v1\nkind: Secret\nmetadata: {name: ok}\ndata: [1]\nstringData: 5",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: ok}\nstringData: {a: [1], b: 3}",
        "apiVersion: v1\nkind: Service\nmetadata: {name: ok}\nspec: [1]",
    ],
)
def test_nothing_odd_stops_the_store(tmp_path: Path, text: str) -> None:
    def opened() -> ObjectStore:
        return ObjectStore(check=check, clock=HandClock(), kept=KeptState(tmp_path / "kept.db"))

    store = opened()
    api = ObjectApi(store, SmallBackend(store, tmp_path))
    put_text(store, text)
    wire.encode(api.apply(ApplyRequest(texts={"sent": text})))
    for stored in store.objects():
        patch = PatchRequest(
            kind=stored.ref.kind,
            name=stored.ref.name,
            namespace="default",
            patch={"metadata": {"labels": {"a": "b"}}},
        )
        with contextlib.suppress(AdminError):
            api.patch(patch)
    for kind in ("cm", "secret", "svc", "ns"):
        for selector in ("", "a=b"):
            wire.encode(api.get(GetQuery(kinds=kind, selector=selector)))
    before = [d.ref for d in store.documents()]
    store.close()
    store = opened()
    put_text(store, text)
    assert [d.ref for d in store.documents()] == before
    store.close()
