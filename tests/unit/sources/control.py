"""A small control plane for the admin API: the real store and files, with two made pods."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from meshgate.core.diagnostics import Diagnostic, ObjectRef
from meshgate.dialects.document import Document
from meshgate.dialects.registry import lower_one
from meshgate.dialects.yaml_text import read_documents
from meshgate.sources.backend import (
    AdminError,
    Event,
    ExecAnswer,
    ExplainQuery,
    JsonObject,
    LogFile,
    PodLine,
    StatusReport,
)
from meshgate.sources.object_json import line_of
from meshgate.sources.objects import ObjectStore


class HandClock:
    """Time that a test moves."""

    def __init__(self) -> None:
        self.at = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return self.at.timestamp()

    def forward(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


def check(document: Document) -> tuple[Diagnostic, ...]:
    """The real verdict."""
    return lower_one(document).diagnostics


def put_text(store: ObjectStore, text: str, file: str = "a.yaml") -> None:
    """What `file` holds now."""
    documents, diagnostics = read_documents(text, file)
    store.replace_source(file, documents, diagnostics)


def service(name: str = "web", port: int = 80, labels: str = "{}") -> str:
    """A Service as people write it."""
    return (
        f"apiVersion: v1\nkind: Service\nmetadata:\n  name: {name}\n  labels: {labels}\n"
        f"spec:\n  selector: {{app: {name}}}\n  ports:\n  - port: {port}\n"
    )


def pod(name: str, ip: str, *, ready: bool = True) -> JsonObject:
    """A Pod as the control plane makes it."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": name,
            "namespace": "default",
            "labels": {"app": "web"},
            "creationTimestamp": "2026-11-20T12:00:00Z",
        },
        "status": {
            "phase": "Running",
            "podIP": ip,
            "containerStatuses": [{"name": "web", "ready": ready, "restartCount": 2}],
        },
    }


@dataclass(slots=True)
class SmallBackend:
    """What `app` does for the admin API, with nothing that runs."""

    store: ObjectStore
    logs: Path
    stopped: asyncio.Event = field(default_factory=asyncio.Event)

    def generated_objects(self) -> Sequence[JsonObject]:
        return [pod("web-1", "10.0.0.1"), pod("web-2", "10.0.0.2", ready=False)]

    def overlay(self, ref: ObjectRef) -> JsonObject:
        if ref.kind == "Deployment":
            return {"status": {"readyReplicas": 1, "updatedReplicas": 2, "availableReplicas": 1}}
        return {"spec": {"clusterIP": "10.96.0.7"}} if ref.kind == "Service" else {}

    def in_force(self, document: Document) -> bool:
        return True

    def status(self) -> StatusReport:
        line = PodLine(
            namespace="default",
            name="web-1",
            workload="web",
            phase="Running",
            ready=True,
            restarts=2,
            ip="10.0.0.1",
        )
        return StatusReport(
            version="0.1.0",
            pid=os.getpid(),
            isolation="ports",
            started="2026-11-20T12:00:00Z",
            gateway_ready=True,
            gateway_addresses=("http://127.0.0.1:8080",),
            hosts=("shop.example.com", "*"),
            pods=(line,),
            diagnostics=tuple(line_of(d) for d in self.store.diagnostics()),
        )

    async def events(self) -> AsyncIterator[Event]:
        yield Event(time="2026-11-20T12:00:00Z", kind="gateway", message="ready")
        await self.stopped.wait()

    def log_files(self, target: str, namespace: str, container: str) -> tuple[LogFile, ...]:
        if target != "web":
            raise AdminError("not_found", f"nothing runs as {target} in {namespace}")
        return (LogFile(path=str(self.logs)),)

    def exec_plan(self, target: str, namespace: str, argv: tuple[str, ...]) -> ExecAnswer:
        if target == "bug":
            raise KeyError("a value that nobody must see")
        return ExecAnswer(argv=argv, env={"PATH": os.environ["PATH"], "PLACE": f"{target}.{namespace}"})

    async def explain(self, query: ExplainQuery) -> JsonObject:
        return {"method": query.method, "url": query.url}

    async def translate(self, proxy: str) -> JsonObject:
        return {"proxy": proxy}

    async def cache_purge(self, selector: JsonObject) -> JsonObject:
        if selector.get("host") == "nobody":
            raise AdminError("not_found", "no route here keeps answers")
        return {"purged": 3, "selector": selector}

    async def cache_stats(self) -> JsonObject:
        return {"entries": 3, "max_bytes": 100}

    async def metrics(self) -> str:
        return "up 1\n"

    async def down(self) -> None:
        self.stopped.set()
