"""The demo's tokens, read by somebody else's library."""

from __future__ import annotations

from pathlib import Path

import jwt
import pytest
import yaml

from meshgate.cli.demo_shop import find_shop
from meshgate.cli.demo_tokens import ALICE, ALICE_KEY, CAROL, tampered, token


@pytest.mark.parametrize(("issuer", "secret"), [ALICE, CAROL])
def test_a_good_token_is_good(issuer: str, secret: str) -> None:
    assert jwt.decode(token(issuer, secret), secret, algorithms=["HS256"])["iss"] == issuer


def test_bad_ones_are_bad_in_the_way_they_are_meant_to_be() -> None:
    issuer, secret = ALICE
    with pytest.raises(jwt.ExpiredSignatureError):
        jwt.decode(token(issuer, secret, lives_s=-60), secret, algorithms=["HS256"])
    good = token(issuer, secret)
    with pytest.raises(jwt.InvalidSignatureError):
        jwt.decode(tampered(good), secret, algorithms=["HS256"])
    later = jwt.decode(tampered(good), options={"verify_signature": False})
    assert later["exp"] > jwt.decode(good, secret, algorithms=["HS256"])["exp"]
    unsigned = token(issuer, "", algorithm="none")
    assert (jwt.get_unverified_header(unsigned)["alg"], unsigned[-1]) == ("none", ".")


def test_secrets_are_those_of_the_shop() -> None:
    file: Path = find_shop() / "manifests" / "consumers.yaml"
    secrets = {
        document["metadata"]["name"]: document["stringData"]
        for document in yaml.safe_load_all(file.read_text())
        if document["kind"] == "Secret"
    }
    for name, known in (("alice-jwt", ALICE), ("carol-jwt", CAROL)):
        assert (secrets[name]["key"], secrets[name]["secret"]) == known
    assert secrets["alice-key"]["key"] == ALICE_KEY
