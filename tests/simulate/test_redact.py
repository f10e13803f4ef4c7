"""No secret survives redaction, and what is left still translates."""

from __future__ import annotations

import base64

from meshgate.model.reader import Reader
from meshgate.simulate import redact, stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.golden import cases
from tests.simulate.shop import shop, texts

SECRETS = ("demo-only-secret-of-alice-known-to-everybody", "demo-only-key-of-alice")


def test_the_shops_secrets_are_in_its_configuration_before_and_not_after() -> None:
    assert all(secret in "".join(texts().values()) for secret in SECRETS)
    before = self_contained(Reader(shop()), gateway_proxy()).SerializeToString()
    after = self_contained(Reader(redact(shop())), gateway_proxy()).SerializeToString()
    # A shared key stands as a JSON Web Key there (RFC 7517): base64url without padding.
    in_words = [base64.urlsafe_b64encode(SECRETS[0].encode()).rstrip(b"="), SECRETS[1].encode()]
    assert all(word in before for word in in_words)
    assert not any(word in after for word in in_words)


def test_what_is_no_secret_stays() -> None:
    plain = cases.read("istio/weights").model
    assert redact(plain).mesh_hosts is plain.mesh_hosts
    assert redact(plain).services is plain.services


def test_both_are_pure() -> None:
    assert redact(shop()) == redact(shop())
    assert redact(redact(shop())) == redact(shop())
    linked = cases.read("kubernetes/baseline").model
    assert stand_in(linked) == stand_in(linked)
