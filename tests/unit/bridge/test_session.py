"""Kong's `session`: whose cookie it is, when it ends, and what does not count."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest

from meshgate.bridge.deciding import Step, decide
from meshgate.bridge.request import Allow, Deny, Identity, Request, Verdict
from meshgate.bridge.session import SessionCheck
from meshgate.bridge.tools import Tools
from meshgate.core.secret import Secret
from meshgate.model.consumer import Consumer
from meshgate.model.policies.session import Session, SessionCookie
from tests.unit.bridge.tools import StandingClock, tools

ANN, BOB = Consumer(id="1", username="ann"), Consumer(id="2", username="", custom_id="b")
BY_KEY = Identity(consumer=ANN, credential="key-1")
SECRET = Secret.of("a secret that is long enough for it")
PLAIN = Session(secret=SECRET)
KEPT = replace(PLAIN, in_cookie=False)
REMEMBERING = replace(PLAIN, remember=SessionCookie(name="remember"))


@dataclass(slots=True)
class Browser:
    """Keeps cookies, and asks with them."""

    policy: Session
    tools: Tools
    cookies: dict[str, str] = field(default_factory=dict)

    def ask(
        self, known: Identity | None = None, method: str = "GET", path: str = "/", **more: object
    ) -> Verdict:
        """The answer of a route whose only plugin is the session, with who is known already."""
        held = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = (("cookie", held), ("content-type", str(more.get("kind", ""))))
        request = Request(
            method=method,
            scheme="https",
            host="shop.example",
            path=path,
            headers=headers,
            body=str(more.get("body", "")).encode(),
        )
        check = SessionCheck(self.policy, self.tools)
        verdict = asyncio.run(decide([Step(name="s", ask=check.ask, finish=check.finish)], request, known))
        for name, line in self.told(verdict):
            value = line.split(";")[0].partition("=")[2]
            if "Max-Age=0" in line:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return verdict

    def who(self, known: Identity | None = None) -> str:
        """Who the service is told that it is."""
        verdict = self.ask(known)
        assert isinstance(verdict, Allow)
        consumer = verdict.identity.consumer if verdict.identity else None
        return consumer.username or consumer.custom_id if consumer else "-"

    @staticmethod
    def told(verdict: Verdict) -> list[tuple[str, str]]:
        """Cookies that the answer sets, by name."""
        headers = verdict.client_headers if isinstance(verdict, Allow) else verdict.headers
        return [(value.partition("=")[0], value) for name, value in headers if name == "set-cookie"]


def browser(policy: Session = PLAIN, *consumers: Consumer, clock: StandingClock | None = None) -> Browser:
    return Browser(policy, tools(*(consumers or (ANN, BOB)), clock=clock))


@pytest.mark.parametrize("policy", [PLAIN, KEPT, REMEMBERING, replace(PLAIN, secret=None)])
def test_who_was_known_is_known(policy: Session) -> None:
    one = browser(policy)
    assert one.who() == "-"
    assert one.cookies == {}
    first = one.ask(BY_KEY)
    assert one.told(first)[0][1].endswith("; Path=/; SameSite=Strict; Secure; HttpOnly")
    verdict = one.ask()
    assert isinstance(verdict, Allow)
    assert verdict.identity == BY_KEY
    assert verdict.client_headers == ()
    assert one.told(one.ask(BY_KEY)) == []


def test_groups_are_kept() -> None:
    one = browser()
    told = replace(BY_KEY, groups=("a, b", "c"))
    one.ask(told)
    verdict = one.ask()
    assert isinstance(verdict, Allow)
    assert verdict.identity == told


def test_strangers_and_those_who_are_no_consumer_get_no_session() -> None:
    one = browser()
    one.ask(Identity(credential="user 7"))
    assert one.cookies == {}


def test_other_credentials_begin_another_session() -> None:
    one = browser()
    one.ask(BY_KEY)
    before = one.cookies["session"]
    assert one.who(Identity(consumer=BOB, credential="key-2")) == "-", "it is as it was: bob's by his key"
    assert one.cookies["session"] != before
    assert one.who() == "b"


def test_what_does_not_count() -> None:
    clock = StandingClock()
    one = browser(clock=clock)
    one.ask(BY_KEY)
    cookie = one.cookies["session"]
    others: Mapping[str, Session] = {
        "another secret": replace(PLAIN, secret=Secret.of("another secret that is as long as it")),
        "another audience": replace(PLAIN, audience="other"),
        "another kind": KEPT,
    }
    for name, policy in others.items():
        assert Browser(policy, one.tools, {"session": cookie}).who() == "-", name
    renamed = replace(PLAIN, cookie=SessionCookie(name="other"))
    assert Browser(renamed, one.tools, {"other": cookie}).who() == "-"
    for changed in (cookie[:-1], cookie + "A", cookie.swapcase(), "1.", "", "x"):
        assert Browser(PLAIN, one.tools, {"session": changed}).who() == "-", changed
    assert Browser(PLAIN, one.tools, {"session": cookie}).who() == "ann"


def test_a_consumer_that_is_gone_is_nobody_and_the_cookie_goes() -> None:
    one = browser()
    one.ask(BY_KEY)
    one.tools = tools(BOB)
    assert one.who() == "-"
    assert one.cookies == {}


def _stays(one: Browser, clock: StandingClock, step: float, most: int) -> int:
    """How many steps in a row the browser is known, with a request after each."""
    for i in range(most):
        clock.forward(step)
        if one.who() != "ann":
            return i
    return most


@pytest.mark.parametrize("policy", [PLAIN, KEPT])
def test_ends(policy: Session) -> None:
    clock = StandingClock()
    idle = browser(policy, clock=clock)
    idle.ask(BY_KEY)
    clock.forward(901)
    assert idle.who() == "-"
    # Used often enough it is renewed until its absolute end.
    busy = browser(policy, clock=clock)
    busy.ask(BY_KEY)
    assert _stays(busy, clock, 600, 200) == 86_400 // 600


def test_a_session_that_nobody_renews_in_time_ends() -> None:
    clock = StandingClock()
    one = browser(replace(PLAIN, idling_s=0, rolling_s=1000), clock=clock)
    one.ask(BY_KEY)
    old = dict(one.cookies)
    clock.forward(800)
    assert one.who() == "ann"
    assert one.cookies != old
    clock.forward(300)
    assert one.who() == "ann"
    assert Browser(one.policy, one.tools, old).who() == "-"


def test_remembering_outlives_the_browser() -> None:
    clock = StandingClock()
    one = browser(REMEMBERING, clock=clock)
    verdict = one.ask(BY_KEY)
    kept = dict(one.told(verdict))["remember"]
    assert "Max-Age=604800" in kept
    del one.cookies["session"]
    assert one.who() == "ann"
    assert set(one.cookies) == {"session", "remember"}
    clock.forward(901)
    assert one.who() == "ann"
    clock.forward(604_801)
    assert one.who() == "-"


@pytest.mark.parametrize("policy", [PLAIN, KEPT, REMEMBERING])
def test_goodbye(policy: Session) -> None:
    one = browser(policy)
    one.ask(BY_KEY)
    stolen = Browser(policy, one.tools, dict(one.cookies))
    assert isinstance(one.ask(path="/?session_logout=1"), Allow), "GET is none of the methods"
    assert isinstance(one.ask(method="POST", path="/?other=1"), Allow)
    verdict = one.ask(method="DELETE", path="/?session_logout")
    assert isinstance(verdict, Deny), "an empty parameter is one too"
    one.ask(BY_KEY)
    verdict = one.ask(method="POST", path="/?session_logout=")
    assert isinstance(verdict, Deny)
    assert (verdict.status, verdict.body, verdict.stranger) == (200, "", False)
    assert one.cookies == {}
    assert stolen.who() == "-"
    assert isinstance(one.ask(method="POST", path="/?session_logout=1"), Allow), "nobody to say it"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-www-form-urlencoded", "a=1&session_logout=true"),
        ("application/json; charset=utf-8", '{"session_logout": true}'),
    ],
)
def test_goodbye_in_a_body(kind: str, body: str) -> None:
    for policy, ends in ((PLAIN, False), (replace(PLAIN, read_body_for_logout=True), True)):
        one = browser(policy)
        one.ask(BY_KEY)
        verdict = one.ask(method="POST", kind=kind, body=body)
        assert isinstance(verdict, Deny) is ends
        assert isinstance(one.ask(method="POST", kind=kind, body="["), Allow)


def test_what_is_told_of_a_session() -> None:
    clock = StandingClock()
    every = ("id", "audience", "subject", "timeout", "idling-timeout", "rolling-timeout", "absolute-timeout")
    one = browser(replace(PLAIN, response_headers=every, request_headers=("subject", "timeout")), clock=clock)
    first = one.ask(BY_KEY)
    clock.forward(30)
    verdict = one.ask()
    assert isinstance(first, Allow)
    assert isinstance(verdict, Allow)
    told = dict(verdict.client_headers)
    assert told["session-id"] == dict(first.client_headers)["session-id"]
    del told["session-id"]
    assert told == {
        "session-audience": "default",
        "session-subject": "ann",
        "session-timeout": "870",
        "session-idling-timeout": "870",
        "session-rolling-timeout": "3570",
        "session-absolute-timeout": "86370",
    }
    assert verdict.set_headers == (("session-subject", "ann"), ("session-timeout", "870"))
    nobody = Browser(one.policy, one.tools).ask()
    assert isinstance(nobody, Allow)
    assert nobody.remove_headers == ("session-subject", "session-timeout")
