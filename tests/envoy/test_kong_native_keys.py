"""key-auth by our own filter and by Envoy's, on a real Envoy: the same answers, the same for the service."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.envoy.kong_edge import NATIVE, Answer, Ask, asked, consumer, plugin, route

pytestmark = pytest.mark.envoy

LONG = "k" * 4000
MANIFESTS = (
    plugin("key", "key-auth", "{realm: shop}")
    + plugin("two", "key-auth", "{key_names: [X-Key, apikey]}")
    + plugin("header", "key-auth", "{key_in_query: false}")
    + plugin("query", "key-auth", "{key_in_header: false}")
    + plugin("hide", "key-auth", "{hide_credentials: true}")
    + plugin("guests", "key-auth", "{anonymous: guest}")
    + plugin("staff", "acl", "{allow: [staff]}")
    + route("key", "key")
    + route("two", "two")
    + route("header", "header")
    + route("query", "query")
    + route("hide", "hide")
    + route("guests", "guests")
    + route("staff", "key", "staff")
    + consumer(
        "ada",
        {
            "ada-key": ("key-auth", {"key": "ada key&=%"}),
            "ada-long": ("key-auth", {"key": LONG}),
            "ada-staff": ("acl", {"group": "staff"}),
        },
    )
    + consumer("bob", {"bob-key": ("key-auth", {"key": "bob"})})
    + consumer("guest", {})
)
ESCAPED = "ada%20k%65y%26%3d%25"

EXPECTED = (
    (Ask("/key", headers=(("apikey", "bob"),)), "bob"),
    (Ask("/key", headers=(("ApiKey", "ada key&=%"),)), "ada"),
    (Ask("/key", headers=(("apikey", LONG),)), "ada"),
    (Ask("/key", headers=(("apikey", LONG + "k"),)), "Unauthorized"),
    (Ask("/key", headers=(("apikey", LONG + "k" * 1000),)), "Unauthorized"),
    (Ask("/key", headers=(("apikey", "bo"),)), "Unauthorized"),
    (Ask("/key", headers=(("apikey", "BOB"),)), "Unauthorized"),
    (Ask("/key"), "No API key found in request"),
    (
        Ask("/key", headers=(("x-consumer-username", "bob"), ("x-credential-identifier", "1"))),
        "No API key found in request",
    ),
    (Ask("/key", headers=(("x-meshgate-key-credential", "bob"),)), "No API key found in request"),
    (Ask("/key?apikey=bob"), "bob"),
    (Ask(f"/key?a=b&apikey={ESCAPED}&c"), "ada"),
    (Ask("/key?%61pikey=bob"), "bob"),
    (Ask("/key?apikeys=bob&xapikey=bob&APIKEY=bob"), "No API key found in request"),
    (Ask("/key?apikey=b%6fb"), "bob"),
    (Ask("/key?apikey=bob%"), "Unauthorized"),
    (Ask("/key?apikey=bob", headers=(("apikey", "nobody"),)), "Unauthorized"),
    (Ask("/two", headers=(("x-key", "bob"), ("apikey", "ada key&=%"))), "bob"),
    (Ask("/two", headers=(("apikey", "bob"),)), "bob"),
    (Ask("/two?apikey=ada", headers=(("x-key", "bob"),)), "bob"),
    (Ask("/header?apikey=bob"), "No API key found in request"),
    (Ask("/header", headers=(("apikey", "bob"),)), "bob"),
    (Ask("/query?apikey=bob"), "bob"),
    (Ask("/query", headers=(("apikey", "bob"),)), "No API key found in request"),
    (Ask("/hide", headers=(("apikey", "bob"),)), "bob"),
    (Ask("/guests", headers=(("apikey", "bob"),)), "bob"),
    (Ask("/guests"), "guest"),
    (Ask("/staff", headers=(("apikey", "ada key&=%"),)), "ada"),
    (Ask("/staff", headers=(("apikey", "bob"),)), "You cannot consume this service"),
)


def outcome(answer: Answer) -> object:
    """Who it was, or what was said."""
    return (
        answer.seen.headers["x-consumer-username"][0]
        if answer.reached
        else json.loads(answer.body)["message"]
    )


@NATIVE
def test_who_gets_in(native: bool, tmp_path: Path) -> None:
    answers = asked(MANIFESTS, [ask for ask, _ in EXPECTED], tmp_path, native=native)
    assert [outcome(answer) for answer in answers] == [who for _, who in EXPECTED]
    for (ask, who), answer in zip(EXPECTED, answers, strict=True):
        if answer.reached:
            assert (
                len(answer.seen.headers["x-consumer-id"])
                == len(answer.seen.headers["x-consumer-username"])
                == 1
            )
            assert (answer.seen.headers.get("x-credential-identifier") is None) == (who == "guest")
            assert "x-meshgate-key-credential" not in answer.seen.headers
            assert ("apikey" in answer.seen.headers) == (
                ask.path != "/hide" and any(n.lower() == "apikey" for n, _ in ask.headers)
            )
        elif answer.status == 401:
            realm = ' realm="shop"' if ask.path.startswith("/key") else ""
            assert answer.header("www-authenticate") == f"Key{realm}"


@NATIVE
def test_grpc_is_told_in_its_own_words(native: bool, tmp_path: Path) -> None:
    """A refusal that says `grpc-status: 0` would be an answer without messages to the client."""
    text = MANIFESTS + plugin(
        "few", "rate-limiting", "{day: 1, limit_by: service, error_message: 100 % voll für heute}"
    )
    text += route("few", "few")
    kind = ("content-type", "application/grpc")
    asks = [
        Ask("/key", "POST", (kind,)),
        Ask("/key", "POST", (kind, ("apikey", "nobody"))),
        *[Ask("/few", "POST", (kind,))] * 2,
    ]
    missing, wrong, first, second = asked(text, asks, tmp_path, native=native)
    assert first.reached
    assert [(a.status, a.header("grpc-status")) for a in (missing, wrong, second)] == [
        (200, "16"),
        (200, "16"),
        (200, "14"),
    ]
    words = [str(a.header("grpc-message")) for a in (missing, wrong, second)]
    expected = ["No API key found in request", "Unauthorized", "100 %25 voll f%C3%BCr heute"]
    # Envoy's own filters put what others get into it.
    assert (
        words == expected if native else all(one in many for one, many in zip(expected, words, strict=True))
    )


GUARD = """---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: no-deletes, namespace: istio-system}
spec:
  selector: {matchLabels: {istio: ingressgateway}}
  action: DENY
  rules: [{to: [{operation: {methods: [DELETE]}}]}]
"""


@NATIVE
def test_what_istio_refuses_uses_up_no_limit(native: bool, tmp_path: Path) -> None:
    """Istio's policies stand between keys and limits."""
    text = MANIFESTS + plugin("few", "rate-limiting", "{day: 1}") + route("few", "key", "few") + GUARD
    asks = [Ask("/few", method, (("apikey", "bob"),)) for method in ("DELETE", "DELETE", "GET", "GET")]
    assert [answer.status for answer in asked(text, asks, tmp_path, native=native)] == [403, 403, 200, 429]
