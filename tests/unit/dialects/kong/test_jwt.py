"""The plugin jwt: every field and default, and what keeps it closed."""

from __future__ import annotations

import pytest

from meshgate.core.origin import Origin
from meshgate.model.policy import JwtAuth
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: auth}
plugin: jwt
"""


def test_defaults_are_kongs() -> None:
    (found,) = declared(HEAD).plugins
    assert found.policy == JwtAuth(
        header_names=("authorization",),
        uri_param_names=("jwt",),
        cookie_names=(),
        key_claim_name="iss",
        verify_exp=False,
        verify_nbf=False,
        secret_is_base64=False,
        maximum_expiration_s=0,
        run_on_preflight=True,
        realm="",
        origin=Origin("f.yaml", 1, 1),
    )


def test_every_field() -> None:
    config = (
        "config: {uri_param_names: [t, t], cookie_names: [c], header_names: [X-Token, x-token], "
        "key_claim_name: kid, secret_is_base64: true, claims_to_verify: [exp, nbf], "
        "maximum_expiration: 3600, run_on_preflight: false, realm: shop, anonymous: guest}\n"
    )
    (found,) = declared(HEAD + config).plugins
    assert found.policy == JwtAuth(
        header_names=("x-token",),
        uri_param_names=("t",),
        cookie_names=("c",),
        key_claim_name="kid",
        verify_exp=True,
        verify_nbf=True,
        secret_is_base64=True,
        maximum_expiration_s=3600,
        run_on_preflight=False,
        realm="shop",
        anonymous="guest",
        origin=Origin("f.yaml", 5, 9),
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            "claims_to_verify: [iat]",
            "5:29: error MG2103 KongPlugin default/auth config.claims_to_verify[0]: must be one "
            "of exp or nbf, "
            "got 'iat'",
        ),
        (
            "maximum_expiration: 60",
            "5:30: error MG2103 KongPlugin default/auth config.maximum_expiration: needs exp in "
            "claims_to_verify; add exp to claims_to_verify",
        ),
        (
            "maximum_expiration: 31536001, claims_to_verify: [exp]",
            "5:30: error MG2103 KongPlugin default/auth config.maximum_expiration: must be <= 31536000, "
            "got 31536001",
        ),
        (
            "header_names: Authorization",
            "5:24: error MG2103 KongPlugin default/auth config.header_names: must be a list, "
            "got 'Authorization'; write it in [ ], or behind a hyphen",
        ),
        (
            "header_names: ['a:']",
            "5:25: error MG2103 KongPlugin default/auth config.header_names[0]: must be a header "
            "name, got 'a:'",
        ),
        (
            "secret_is_base64: 'yes'",
            "5:28: error MG2103 KongPlugin default/auth config.secret_is_base64: must be true or false, "
            "got 'yes'; write it without quotes",
        ),
        (
            'realm: "a\\"b"',
            "5:17: error MG2103 KongPlugin default/auth config.realm: must be one line without quotes, "
            "backslashes or percent signs, got 'a\"b'",
        ),
    ],
)
def test_what_is_said_about_a_config_that_stays_closed(config: str, expected: str) -> None:
    text = f"{HEAD}config: {{{config}}}\n"
    assert said(text) == ["f.yaml:" + expected]
    (found,) = read(text).declared.plugins
    assert (found.plugin, found.policy) == ("jwt", None)
    assert found.problem
