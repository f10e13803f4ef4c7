"""What Envoy makes of the bridge's verdicts, and of a bridge that is away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from meshgate.app.bridge import bridge_config
from meshgate.bridge.config import write_config
from meshgate.bridge.deciding import Step
from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict, refused
from meshgate.bridge.server import serving
from meshgate.bridge.tools import Tools
from meshgate.core.clock import SystemClock
from meshgate.model.graph import Model
from meshgate.model.policies.bridged import Bridged, HmacAuth
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.policies.bridge import CLUSTER
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.kong_edge import SERVICE, Answer, Ask, consumer, plugin, route, send, telling
from tests.simulate.live import running

MANIFESTS = (
    SERVICE
    + consumer(
        "ann", {"ann-key": ("key-auth", {"key": "ann-key"}), "ann-group": ("acl", {"group": "staff, %"})}
    )
    + consumer("bob", {})
    + plugin("key", "key-auth", "{}")
    + plugin("staff", "acl", "{allow: ['staff, %']}")
    + route("must")
    + route("both", "key")
    + route("staff", "staff")
)


def _model() -> Model:
    """`hmac-auth` on every route; what it says is up to the test."""
    documents, _ = read_texts({"in.yaml": MANIFESTS})
    model = build(documents).model
    policy = HmacAuth(validate_request_body=True)
    hosts = {
        name: replace(host, rules=tuple(replace(r, policies=(*r.policies, policy)) for r in host.rules))
        for name, host in model.edge_hosts.items()
    }
    return replace(model, edge_hosts=hosts)


def _by_header(policies: Sequence[Bridged], tools: Tools) -> tuple[Step, ...]:
    """A check that does what the request's header `x-do` says."""

    async def ask(request: Request, known: Identity | None) -> Verdict:
        match request.header("x-do"):
            case "ann" | "bob" as name:
                who = Identity(consumer=tools.directory.by_name[name], credential=f"{name}'s")
                return Allow(identity=who, remove_headers=("x-do",))
            case "user":
                return Allow(identity=Identity(credential="user 7", groups=("a", "staff, %")))
            case "tell":
                seen = {
                    "headers": request.values("x-twice"),
                    "path": request.path,
                    "body": request.body.decode(),
                    "client": request.client_ip,
                    "known": known.consumer.username if known and known.consumer else None,
                }
                return Deny(
                    status=200, headers=(("content-type", "application/x-seen"),), body=json.dumps(seen)
                )
            case "cookies":
                cookies = (("set-cookie", "a=1"), ("set-cookie", "b=2"))
                return Allow(
                    client_headers=cookies, set_headers=(("x-new", "ü"),), remove_parameters=("key",)
                )
            case "away":
                return Deny(
                    status=302, headers=(("location", "/login"), ("set-cookie", "a=1"), ("set-cookie", "b=2"))
                )
            case "break":
                raise RuntimeError("broken")
            case _:
                return refused('say "x-do"', 'hmac realm="r"')

    return tuple(Step(name="test", ask=ask) for _ in policies)


def _asked(requests: Sequence[Ask], folder: Path, *, bridge: bool = True) -> list[Answer]:
    model = _model()
    config = self_contained(Reader(stand_in(model)), gateway_proxy())
    file, socket = folder / "bridge.json", Path(f"/tmp/mg-{folder.stat().st_ino}.sock")
    write_config(file, bridge_config(model))
    assert file.stat().st_mode & 0o777 == 0o600

    async def answers() -> list[Answer]:
        async with (
            serving(
                config=file,
                listen=f"unix:{socket if bridge else f'{socket}.other'}",
                clock=SystemClock(),
                make=_by_header,
            ),
            running(config, "http", folder, telling, {CLUSTER: socket}) as port,
        ):
            return [await send(port, request) for request in requests]

    try:
        return asyncio.run(answers())
    finally:
        socket.unlink(missing_ok=True)


def _doing(
    what: str, path: str = "/must", *more: tuple[str, str], method: str = "GET", body: bytes = b""
) -> Ask:
    return Ask(path, method=method, headers=(("x-do", what), *more), body=body)


@pytest.mark.envoy
def test_verdicts(tmp_path: Path) -> None:
    twice = (("x-twice", "1"), ("x-twice", "2"))
    requests = [
        Ask("/must", headers=(("x-consumer-username", "ann"),)),
        _doing("ann", "/must", ("x-consumer-username", "root"), ("x-meshgate-groups", ",root,")),
        _doing("tell", "/must?a=1&b=2", *twice, method="POST", body=b"body"),
        _doing("cookies", "/must?key=1&other=2"),
        _doing("away"),
        _doing("break"),
        _doing("tell", "/both", ("apikey", "ann-key")),
        _doing("bob", "/both", ("apikey", "ann-key")),
        _doing("bob", "/both"),
        _doing("ann", "/staff"),
        _doing("bob", "/staff"),
        _doing("user", "/staff"),
    ]
    no, ann, told, cookies, away, broken, known, bob, no_key, in_group, not_in_group, user = _asked(
        requests, tmp_path
    )

    assert (no.status, json.loads(no.body)) == (401, {"message": 'say "x-do"'})
    assert no.header("www-authenticate") == 'hmac realm="r"'
    assert no.header("content-type") == "application/json; charset=utf-8"
    seen = ann.seen.headers
    assert seen["x-consumer-username"] == ["ann"]
    assert seen["x-credential-identifier"] == ["ann's"]
    assert not [name for name in seen if name.startswith("x-meshgate") or name == "x-do"]
    assert (told.status, told.header("content-type")) == (200, "application/x-seen")
    assert json.loads(told.body) == {
        "headers": ["1", "2"],
        "path": "/must?a=1&b=2",
        "body": "body",
        "client": "127.0.0.1",
        "known": None,
    }
    assert cookies.headers["set-cookie"] == ("a=1", "b=2")
    assert cookies.seen.path == "/must?other=2"
    assert cookies.seen.headers["x-new"] == ["ü".encode().decode("latin-1")]
    assert (away.status, away.body, away.header("location")) == (302, "", "/login")
    assert away.headers["set-cookie"] == ("a=1", "b=2")
    assert (broken.status, json.loads(broken.body)) == (500, {"message": "An unexpected error occurred"})
    assert json.loads(known.body)["known"] == "ann"
    assert bob.seen.headers["x-consumer-username"] == ["bob"]
    assert (no_key.status, no_key.header("www-authenticate")) == (401, "Key")
    assert in_group.seen.headers["x-consumer-groups"] == ["staff, %"]
    assert (not_in_group.status, not_in_group.message) == (403, "You cannot consume this service")
    assert user.seen.headers["x-authenticated-groups"] == ["a, staff, %"]


@pytest.mark.envoy
def test_a_bridge_that_is_away_lets_nobody_in(tmp_path: Path) -> None:
    (answer,) = _asked([_doing("ann")], tmp_path, bridge=False)
    assert (answer.status, answer.message) == (500, "An unexpected error occurred")


@pytest.mark.envoy
def test_a_body_that_is_too_long_to_be_seen_is_refused(tmp_path: Path) -> None:
    (answer,) = _asked([_doing("ann", method="POST", body=b"x" * (1024 * 1024 + 1))], tmp_path)
    assert answer.status == 413
