"""Steps of the tour about Kong's plugins at the gateway: tokens, keys, consumers, limits."""

from __future__ import annotations

import time
from collections import Counter

import yaml

from meshgate.cli.demo_http import Answer, Ask, ask_many, ask_once
from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_steps import API, Finding, Findings, counted
from meshgate.cli.demo_tokens import ALICE, ALICE_KEY, CAROL, tampered, token
from meshgate.cli.printing import get_in, text_in

V1 = Ask(path="/api/v1", host=API)
PARTNERS = Ask(path="/api/partners", host=API)
_PER_MINUTE = 100
_PARTNERS_PER_MINUTE = 10
_ROOM_S = 15
"""What must be left of the minute for the limit's step to fit in."""
_FORGED = {
    "X-Consumer-ID": "mallory",
    "X-Consumer-Username": "mallory",
    "X-Consumer-Custom-ID": "mallory",
    "X-Consumer-Groups": "mallory",
    "X-Credential-Identifier": "mallory",
    "X-Anonymous-Consumer": "mallory",
}


def tokens(shop: Shop) -> Findings:
    """Bad tokens are refused in Kong's words, good ones pass in both places."""
    good = token(*ALICE)
    for said, given, message in (
        ("without a token", "", "Unauthorized"),
        ("expired", token(*ALICE, lives_s=-60), "token expired"),
        ("tampered with", tampered(good), "Invalid signature"),
        (
            "of an issuer nobody knows",
            token("mallory-issuer", ALICE[1]),
            "No credentials found for given 'iss'",
        ),
        ("alg: none", token(ALICE[0], "", algorithm="none"), ""),
        ("HS256 signed with bob's public RSA key", token("bob-issuer", _public_key_of_bob(shop)), ""),
    ):
        answer = ask_once(shop.port, _bearing(given) if given else V1)
        held = answer.status == 401 and message in answer.said
        yield Finding(asked=f"GET {V1.path}, {said}", came=answer.said, held=held)
    for said, ask in (
        ("in the header", _bearing(good)),
        ("as ?jwt=", Ask(path=f"{V1.path}?jwt={good}", host=API)),
    ):
        answer = ask_once(shop.port, ask)
        name = text_in(answer.json, "headers", "x-consumer-username", default="nobody")
        came = f"{answer.said}, the service is told: {name}"
        held = (answer.status, name) == (200, "alice")
        yield Finding(asked=f"GET {V1.path}, alice's token {said}", came=came, held=held)


def _bearing(given: str) -> Ask:
    return V1.with_headers(Authorization=f"Bearer {given}")


def _public_key_of_bob(shop: Shop) -> str:
    file = shop.folder / "manifests" / "consumers.yaml"
    for document in yaml.safe_load_all(file.read_text()):
        if key := get_in(document, "stringData", "rsa_public_key"):
            return str(key)
    return ""


def forged_headers(shop: Shop) -> Findings:
    """Only the gateway says who the consumer is."""
    for said, ask in (
        ("with alice's token", _bearing(token(*ALICE))),
        ("without a token", Ask(path="/anything", host=API)),
    ):
        answer = ask_once(shop.port, ask.with_headers(**_FORGED))
        seen = get_in(answer.json, "headers")
        names = (
            sorted(name for name, value in seen.items() if "mallory" in value)
            if isinstance(seen, dict)
            else []
        )
        held = answer.status == 200 and isinstance(seen, dict) and not names
        came = f"{answer.said}, " + (
            f"REACHED IT: {', '.join(names)}" if names else "none reached the service"
        )
        asked = f"GET {ask.path} {said}, {len(_FORGED)} of them forged"
        yield Finding(asked=asked, came=came, held=held)


def shared_limit(shop: Shop) -> Findings:
    """Exactly 100 in one minute of the clock, counted in Redis, 20 clients at once."""
    left = 60 - time.time() % 60
    if left < _ROOM_S:
        yield Finding(
            asked=f"{left:.0f} s of this minute are left", came="too few to test in: wait for the next"
        )
        time.sleep(left + 0.05)
    minute = int(time.time() // 60)
    ask = _bearing(token(*CAROL))
    answers = ask_many(shop.port, ask, _PER_MINUTE + 30, 20)
    same = int(time.time() // 60) == minute
    statuses = Counter(str(a.status) for a in answers)
    held = same and statuses == {"200": _PER_MINUTE, "429": 30}
    came = counted(statuses) + ("" if same else "; the minute ended meanwhile")
    yield Finding(asked=f"{len(answers)} x GET {V1.path} by carol, 20 at once", came=came, held=held)
    yield from _refusal(answers)
    alice = ask_once(shop.port, _bearing(token(*ALICE)))
    yield Finding(asked="once by alice meanwhile", came=alice.said, held=alice.status == 200)


def local_limit(shop: Shop) -> Findings:
    """A key, and ten a minute in Envoy's own bucket."""
    for said, ask in (("no key", PARTNERS), ("a wrong key", PARTNERS.with_headers(apikey="guess"))):
        answer = ask_once(shop.port, ask)
        yield Finding(asked=f"GET {PARTNERS.path}, {said}", came=answer.said, held=answer.status == 401)
    answers = ask_many(shop.port, PARTNERS.with_headers(apikey=ALICE_KEY), _PARTNERS_PER_MINUTE + 5, 3)
    statuses = Counter(str(a.status) for a in answers)
    # Envoy's bucket fills all the time: on a slow machine one more drop may fall in meanwhile.
    took_s = max(a.ended for a in answers) - min(a.began for a in answers)
    most = _PARTNERS_PER_MINUTE + int(took_s * _PARTNERS_PER_MINUTE / 60)
    held = _PARTNERS_PER_MINUTE <= statuses["200"] <= most and statuses["200"] + statuses["429"] == len(
        answers
    )
    asked = f"{len(answers)} x GET {PARTNERS.path} with alice's key"
    yield Finding(asked=asked, came=counted(statuses), held=held)
    yield from _refusal(answers)


def _refusal(answers: tuple[Answer, ...]) -> Findings:
    """What a 429 says of itself, in Kong's headers and words."""
    refused = next((a for a in answers if a.status == 429), None)
    if refused is None:
        return
    told = {name: refused.headers.get(name, "") for name in ("x-ratelimit-remaining-minute", "retry-after")}
    held = told["x-ratelimit-remaining-minute"] == "0" and told["retry-after"].isdigit()
    came = ", ".join([refused.said, *(f"{name}: {value or '?'}" for name, value in told.items())])
    yield Finding(asked="a refused one says", came=came, held=held and "limit exceeded" in refused.said)
