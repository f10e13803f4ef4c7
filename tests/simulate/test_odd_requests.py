"""Odd paths, hosts and headers by the hundred: the simulator and a real Envoy decide the same."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest

from meshgate.model.reader import Reader
from meshgate.simulate import call
from meshgate.simulate.call import GATEWAY
from meshgate.translate.self_contained import self_contained
from tests.golden import cases
from tests.simulate.live import ask, running
from tests.simulate.test_against_envoy import done, said

PIECES = (
    *(
        "a",
        "b",
        "bc",
        "A",
        "i",
        "n",
        "c",
        "d",
        "D",
        "12",
        "items",
        "shop",
        "impl",
        "exact",
        "beta",
        "api",
        "u",
    ),
    *(
        "..",
        ".",
        "",
        "%2e",
        "%2E%2e",
        "%2f",
        "%5c",
        "\\",
        "%41",
        "%7e",
        "%20",
        "%00",
        "%zz",
        "%",
        "ü",
        "%c3%bc",
    ),
    *(";x=1", "*", "+", "|", "^", '"', "<", "{", "`", "[", "%3F", "%23", "@", "="),
)
QUERIES = (
    "",
    "",
    "",
    "?",
    "?a=b",
    "?/../x",
    "?debug=1",
    "?debug",
    "?x=%2F",
    "?a?b",
    "?debug=0&debug=1",
    "#x",
)
HOSTS = {
    "kubernetes/path-types": ("paths.example", "PATHS.example:80", "x"),
    "kubernetes/host-precedence": (
        "api.example.com",
        "a.b.example.com:8",
        ".example.com",
        "example.com",
        "[::1]:80",
    ),
    "kubernetes/regex-path": ("regex.example",),
    "kong/strip-path": ("x",),
    "istio/header-canary": ("pay", "pay.default"),
    "istio/methods-query-scheme": ("a", "a.default", "A:80"),
    "istio/rewrite": ("pay", "pay.default.svc"),
}
HEADERS = (
    ("x-canary", "true"),
    ("X-User", "qa-1"),
    ("x-user", "b"),
    ("x-team", "payroll"),
    ("x-session", ""),
)
EACH = 60


@pytest.mark.envoy
@pytest.mark.parametrize("name", HOSTS)
def test_envoy_agrees_on_odd_requests(name: str, tmp_path: Path) -> None:
    chosen = random.Random(name)
    proxy = cases.read(name).proxies[-1]
    model = cases.read(name).translated()
    requests = [
        (
            chosen.choice(("GET", "POST")),
            chosen.choice(HOSTS[name]),
            "/" + "/".join(chosen.choices(PIECES, k=chosen.randrange(5))) + chosen.choice(QUERIES),
            tuple(chosen.sample(HEADERS, chosen.randrange(4))),
        )
        for _ in range(EACH)
    ]
    config = self_contained(Reader(model), cases.read(name).proxy(proxy))

    async def differences() -> list[str]:
        found = []
        async with running(config, "http" if proxy == GATEWAY else "httpProxy", tmp_path) as port:
            for request in requests:
                answer = await ask(port, *request)
                verdict = call(model, *request, proxy=proxy)
                if said(verdict, answer) != done(answer):
                    found.append(f"{request}: said {said(verdict, answer)}, was {done(answer)}")
        return found

    assert asyncio.run(differences()) == []
