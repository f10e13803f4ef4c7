"""What is known of an identity provider: looked for when needed, and not more often than allowed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from meshgate.bridge.openid.expiring import Expiring
from meshgate.bridge.openid.http import Question, Reply
from meshgate.bridge.openid.keys import choose, read_key_set
from meshgate.bridge.openid.problems import ProviderError
from meshgate.bridge.openid.provider import STALE_S, KnownProvider, described
from meshgate.model.policies.openid import OpenidEndpoints, OpenidProvider
from tests.unit.bridge.tools import StandingClock

ISSUER = "https://login.example"
KEYS = [rsa.generate_private_key(public_exponent=65537, key_size=2048) for _ in range(2)]


def jwk(number: int, **more: object) -> dict[str, object]:
    """One of the keys as the provider publishes it."""
    found = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[number].public_key()))
    return {**found, "kid": f"key-{number}", **more}


@dataclass(slots=True)
class Away:
    """A provider that answers from a table, and counts."""

    key: int = 0
    down: bool = False
    asked: Counter[str] = field(default_factory=Counter)

    async def ask(self, question: Question) -> Reply:
        self.asked[question.url.removeprefix(ISSUER)] += 1
        await asyncio.sleep(0)
        if self.down:
            raise ProviderError("down")
        said: Mapping[str, object] = {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}
        if question.url.endswith("/keys"):
            said = {"keys": [jwk(self.key)]}
        return Reply(status=200, body=json.dumps(said).encode())


def known(away: Away, clock: StandingClock) -> KnownProvider:
    settings = OpenidProvider(issuer=ISSUER, rediscovery_s=30, cache_s=3600)
    return KnownProvider(settings, lambda: away.ask, clock)


def test_keys_are_looked_for_once_for_all_and_again_when_one_is_not_known() -> None:
    async def run() -> None:
        away, clock = Away(), StandingClock()
        provider = known(away, clock)
        found = await asyncio.gather(*(provider.keys("key-0", "RS256") for _ in range(20)))
        assert all(len(keys) == 1 for keys in found)
        assert away.asked["/keys"] == 1
        away.key = 1
        for _ in range(20):
            assert await provider.keys("key-1", "RS256") == ()
        assert away.asked["/keys"] == 1, "not yet: too often"
        clock.forward(31)
        assert len(await provider.keys("key-1", "RS256")) == 1
        assert away.asked["/keys"] == 2
        assert await provider.keys("key-0", "RS256") == ()
        assert away.asked["/keys"] == 2

    asyncio.run(run())


def test_a_provider_that_is_away_is_asked_again_soon_and_its_keys_count_for_a_day() -> None:
    async def run() -> None:
        away, clock = Away(down=True), StandingClock()
        provider = known(away, clock)
        for _ in range(5):
            with pytest.raises(ProviderError):
                await provider.metadata()
        assert away.asked.total() == 1
        clock.forward(6)
        away.down = False
        assert (await provider.metadata()).issuer == ISSUER
        away.down = True
        clock.forward(STALE_S - 10)
        before = away.asked.total()
        assert len(await provider.keys("key-0", "RS256")) == 1
        async with asyncio.timeout(20):
            while away.asked.total() == before:  # the look that nobody waits for
                await asyncio.sleep(0)
        clock.forward(20)
        with pytest.raises(ProviderError):
            await provider.keys("key-0", "RS256")

    asyncio.run(run())


@pytest.mark.parametrize(
    ("said", "allowed", "good"),
    [
        ({"issuer": ISSUER}, (), True),
        ({"issuer": f"{ISSUER}/"}, (), True),
        ({"issuer": "https://other.example"}, (), False),
        ({"issuer": "https://other.example"}, ("https://other.example",), True),
        ({"issuer": 7}, (), False),
        ({"issuer": ISSUER, "token_endpoint": "http://login.example/token"}, (), False),
    ],
)
def test_what_a_discovery_document_may_say(
    said: Mapping[str, object], allowed: tuple[str, ...], *, good: bool
) -> None:
    settings = OpenidProvider(issuer=ISSUER, issuers_allowed=allowed)
    if good:
        assert described(settings, ISSUER, said).issuers == frozenset(allowed or (said["issuer"],))
    else:
        with pytest.raises(ProviderError):
            described(settings, ISSUER, said)


def test_the_plugin_knows_better_where_an_endpoint_is() -> None:
    settings = OpenidProvider(issuer=ISSUER, endpoints=OpenidEndpoints(token="http://inside/token"))
    assert (
        described(settings, ISSUER, {"token_endpoint": f"{ISSUER}/t"}).endpoints.token
        == "http://inside/token"
    )


def test_keys_that_verify_nothing_are_left_out() -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    point = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(curve.public_key()))
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEYS[0]))
    keys = read_key_set(
        {
            "keys": [
                jwk(0),
                jwk(1, use="enc"),
                jwk(1, alg="HS256"),
                jwk(1, alg="ES256"),
                jwk(1, key_ops=["encrypt"]),
                {"kty": "oct", "k": "aHVzaA", "kid": "key-1"},
                json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(weak.public_key())),
                {**private, "kid": "published", "key_ops": ["verify"]},
                {**point, "kid": "curve"},
                {**point, "kid": "curve", "alg": "ES512"},
                {"kty": "RSA"},
                "words",
            ]
        }
    )
    assert [key.kid for key in keys] == ["key-0", "published", "curve"]
    assert not hasattr(keys[1].key, "private_numbers")
    assert [k.kid for k in choose(keys, None, "RS256")] == ["key-0", "published"]
    assert choose(keys, "curve", "RS256") == ()
    assert read_key_set({"keys": "none"}) == ()


def test_answers_are_made_once_for_all_who_wait_and_kept_for_their_time() -> None:
    async def run() -> None:
        clock, made = StandingClock(), Counter[str]()
        kept: Expiring[int] = Expiring(clock, most=2)

        async def make(name: str, holds_s: float) -> tuple[int, float]:
            made[name] += 1
            await asyncio.sleep(0)
            return made[name], holds_s

        first = await asyncio.gather(*(kept.get("a", lambda: make("a", 10)) for _ in range(5)))
        assert (first, made["a"]) == ([1] * 5, 1)
        clock.forward(11)
        assert await kept.get("a", lambda: make("a", 0)) == 2
        assert await kept.get("a", lambda: make("a", 10)) == 3
        for name in ("b", "c"):
            await kept.get(name, lambda name=name: make(name, 10))  # type: ignore[misc]
        assert await kept.get("a", lambda: make("a", 10)) == 4, "the oldest gave way"

        async def fails() -> tuple[int, float]:
            raise ProviderError("down")

        for _ in range(2):
            with pytest.raises(ProviderError):
                await kept.get("d", fails)

    asyncio.run(run())
