"""Kong's `run_on_preflight: false`: OPTIONS needs no credential, whatever else it brings; all else does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import NATIVE, Ask, asked, consumer, plugin, route

pytestmark = pytest.mark.envoy
MANIFESTS = (
    plugin("early", "key-auth", "{run_on_preflight: false}")
    + plugin("hidden", "key-auth", "{run_on_preflight: false, hide_credentials: true, key_in_body: true}")
    + plugin("asking", "key-auth", "{}")
    + plugin("guest", "key-auth", "{run_on_preflight: false, anonymous: guest}")
    + plugin("login", "basic-auth", "{}")
    + plugin("once", "rate-limiting", "{hour: 1, policy: local, limit_by: ip}")
    + "".join(route(name, name) for name in ("early", "hidden", "asking", "guest"))
    + route("both", "early", "login")
    + route("limited", "early", "once")
    + consumer("ann", {"ann-key": ("key-auth", {"key": "anns-key"})})
    + consumer("guest", {})
)
KEY = (("apikey", "anns-key"),)


@NATIVE
def test_options_needs_no_key(tmp_path: Path, native: bool) -> None:
    refused = "No API key found in request"
    cases = [
        (Ask("/early", method="OPTIONS"), 200, None),
        (Ask("/early", method="OPTIONS", headers=(("apikey", "wrong"),)), 200, None),
        (Ask("/early", method="OPTIONS", headers=KEY), 200, None),
        (Ask("/early/deeper?apikey=a&apikey=b", method="OPTIONS"), 200, None),
        (Ask("/hidden", method="OPTIONS", headers=KEY), 200, None),
        # Who is nobody is not a stranger either where nothing was asked.
        (Ask("/guest", method="OPTIONS"), 200, None),
        (Ask("/early"), 401, refused),
        (Ask("/early", method="POST"), 401, refused),
        (Ask("/early", headers=KEY), 200, "ann"),
        (Ask("/hidden", headers=KEY), 200, "ann"),
        (Ask("/asking", method="OPTIONS"), 401, refused),
        (Ask("/asking", method="OPTIONS", headers=KEY), 200, "ann"),
        (Ask("/guest"), 200, "guest"),
        # The others on the route are asked all the same.
        (Ask("/both", method="OPTIONS"), 401, "Unauthorized"),
        (Ask("/limited", method="OPTIONS"), 200, None),
        (Ask("/limited", method="OPTIONS"), 429, "API rate limit exceeded"),
    ]
    answers = asked(MANIFESTS, [ask for ask, _, _ in cases], tmp_path, native=native)
    for (ask, status, said), answer in zip(cases, answers, strict=True):
        assert answer.status == status, (ask, answer)
        if status == 200:
            seen = answer.seen.headers
            assert seen.get("x-consumer-username") == ([said] if said else None), ask
        else:
            assert f'"message":"{said}"' in answer.body
