"""RequestAuthentications: token rules, their keys, and what is broken closes."""

from __future__ import annotations

import pytest

from meshgate.model.authorization import JwtRule, RemoteKeys
from tests.unit.dialects.reading import declared, read, said

HEAD = "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: a, namespace: shop}\n"
KEYS = '{"keys": [{"kty": "oct", "alg": "HS256", "k": "c2VjcmV0"}]}'


def _rule(text: str) -> JwtRule:
    (policy,) = declared(HEAD + f"spec: {{jwtRules: [{{issuer: me, {text}}}]}}\n").request_authentications
    (rule,) = policy.rules
    return rule


@pytest.mark.parametrize(
    ("url", "keys"),
    [
        ("https://a.test/k", RemoteKeys(url="https://a.test/k", host="a.test", port=443, tls=True)),
        ("http://a.test:8080/k", RemoteKeys(url="http://a.test:8080/k", host="a.test", port=8080, tls=False)),
    ],
)
def test_remote_keys(url: str, keys: RemoteKeys) -> None:
    assert _rule(f"jwksUri: '{url}'").remote == keys


def test_everything_of_a_rule() -> None:
    rule = _rule(
        f"jwks: '{KEYS}', audiences: [x], fromHeaders: [{{name: X-T, prefix: 'T '}}], fromParams: [p],"
        " fromCookies: [c], forwardOriginalToken: true, outputPayloadToHeader: X-P,"
        " outputClaimToHeaders: [{header: X-S, claim: sub}], timeout: 2s, spaceDelimitedClaims: [r]"
    )
    assert rule.jwks is not None
    assert (rule.audiences, rule.from_headers, rule.from_params) == (("x",), (("X-T", "T "),), ("p",))
    assert (rule.from_cookies, rule.forward, rule.timeout_ms) == (("c",), True, 2000)
    assert (rule.output_headers, rule.space_delimited) == (("x-p", "x-s"), ("r",))


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("", "OpenID discovery"),
        ("jwks: '{}'", "must be a JSON Web Key Set"),
        ('jwks: \'{"keys": [{"kty": "RSA"}]}\'', "must be a JSON Web Key Set"),
        ("jwks: hidden", "must be a JSON Web Key Set"),
        (f"jwks: '{KEYS}', jwksUri: 'https://a.test'", "together"),
        ("jwksUri: 'ftp://a.test/k'", "http or https"),
        ("jwksUri: 'https://user@a.test/k'", "http or https"),
        ("jwksUri: 'https://a.test:x/k'", "http or https"),
        ("jwksUri: 'https:///k'", "http or https"),
        (f"jwks: '{KEYS}', outputPayloadToHeader: Host", "steer"),
        (f"jwks: '{KEYS}', outputPayloadToHeader: Authorization", "steer"),
        (f"jwks: '{KEYS}', outputPayloadToHeader: ':path'", "name of a header"),
        (f"jwks: '{KEYS}', outputClaimToHeaders: [{{header: a, claim: b}}, {{header: A, claim: c}}]", "once"),
        (f"jwks: '{KEYS}', fromHeader: []", "unknown field"),
    ],
)
def test_what_cannot_be_honoured_closes(rule: str, message: str) -> None:
    text = HEAD + f"spec: {{selector: {{matchLabels: {{app: x}}}}, jwtRules: [{{issuer: me, {rule}}}]}}\n"
    (policy,) = read(text).declared.request_authentications
    assert (bool(policy.closed), dict(policy.selector), policy.rules) == (True, {"app": "x"}, ())
    assert message in "\n".join(said(text))
    assert "hidden" not in "\n".join(said(text))


def test_a_set_with_one_good_key_is_taken_and_the_rest_named() -> None:
    keys = KEYS.replace("[", '[{"kty": "what"}, ')
    text = HEAD + f"spec: {{jwtRules: [{{issuer: me, jwks: '{keys}'}}]}}\n"
    assert [d.code for d in read(text).diagnostics] == ["MG1103"]
    (policy,) = read(text).declared.request_authentications
    assert not policy.closed
