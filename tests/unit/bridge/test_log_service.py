"""Requests that are told of when the configuration that they came under has been replaced."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from envoy.data.accesslog.v3 import accesslog_pb2

from meshgate.bridge.config import BridgeConfig
from meshgate.bridge.log_service import KEEP_REPLACED_S, LogService
from meshgate.bridge.tools import Directory
from meshgate.model.policies.logs import FileLog, LoggedRoute
from meshgate.policies.route_logs import ROUTE_TAG
from tests.unit.bridge.tools import StandingClock


def _entry(query: str) -> accesslog_pb2.HTTPAccessLogEntry:
    entry = accesslog_pb2.HTTPAccessLogEntry()
    entry.common_properties.custom_tags[ROUTE_TAG] = "old"
    entry.request.path = f"/?{query}"
    return entry


def test_a_request_from_before_is_told_of_without_what_was_a_secret_then(tmp_path: Path) -> None:
    async def body() -> None:
        clock = StandingClock()
        service = LogService(clock, lambda: None)
        route = LoggedRoute(logs=(FileLog(path=str(tmp_path / "log")),), route="r", service="s")
        before = BridgeConfig(logged={"old": route}, hidden=("token-of-ann",))
        service.replace(before, Directory(()))
        service.replace(BridgeConfig(), Directory(()))
        service.take(_entry("token-of-ann=secret&a=1"))
        clock.forward(KEEP_REPLACED_S + 1)
        service.replace(BridgeConfig(), Directory(()))
        service.take(_entry("too=late"))
        await service.close()

    asyncio.run(asyncio.wait_for(body(), 30))
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "secret" not in line
    assert json.loads(line)["request"]["querystring"]["a"] == "1"
