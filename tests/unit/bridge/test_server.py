"""The bridge between two configurations: Envoy names the old rule until it has the new one."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from unittest.mock import sentinel

from envoy.service.auth.v3 import external_auth_pb2 as auth

from meshgate.bridge.config import BridgeConfig
from meshgate.bridge.deciding import Step
from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict
from meshgate.bridge.server import Bridge
from meshgate.bridge.tools import Tools
from meshgate.model.consumer import Consumer
from meshgate.model.policies.bridged import Bridged, HmacAuth
from meshgate.policies.bridge import RULE
from tests.unit.bridge.tools import StandingClock

ANN, BOB = Consumer(id="a", username="ann"), Consumer(id="b", username="bob")


def _who_is_known(policies: Sequence[Bridged], tools: Tools) -> tuple[Step, ...]:
    """Lets pass whom the directory has."""

    async def ask(request: Request, known: Identity | None) -> Verdict:
        found = tools.directory.by_name.get(request.path.strip("/"))
        return Allow() if found else Deny(status=401)

    return (Step(name="who", ask=ask),)


def test_a_replaced_rule_still_decides_and_by_the_newest_consumers() -> None:
    bridge = Bridge(StandingClock(), _who_is_known)

    def status(rule: str, name: str) -> int:
        check = auth.CheckRequest()
        check.attributes.context_extensions[RULE] = rule
        check.attributes.request.http.path = f"/{name}"
        answer = asyncio.run(bridge.check(check.SerializeToString(), sentinel.context))
        found = auth.CheckResponse.FromString(answer)
        return found.denied_response.status.code if found.HasField("denied_response") else 200

    bridge.replace(BridgeConfig(rules={"old": (HmacAuth(),)}, consumers=(ANN, BOB)))
    assert (status("old", "ann"), status("old", "bob"), status("new", "ann")) == (200, 200, 500)
    # The file is taken up before Envoy has heard of the new rule.
    bridge.replace(BridgeConfig(rules={"new": (HmacAuth(realm="new"),)}, consumers=(ANN,)))
    assert (status("old", "ann"), status("new", "ann")) == (200, 200)
    assert status("old", "bob") == 401, "a consumer that is gone is none by the old rule either"
