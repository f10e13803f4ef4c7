"""The plugin key-auth: every field and default, and what keeps it closed."""

from __future__ import annotations

import pytest

from meshgate.core.origin import Origin
from meshgate.model.policy import KeyAuth
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: auth}
plugin: key-auth
"""


def test_defaults_are_kongs() -> None:
    (found,) = declared(HEAD + "config: {}\n").plugins
    assert found.policy == KeyAuth(
        key_names=("apikey",),
        hide_credentials=False,
        key_in_header=True,
        key_in_query=True,
        run_on_preflight=True,
        realm="",
        origin=Origin("f.yaml", 5, 9),
    )


def test_every_field() -> None:
    config = (
        "config: {key_names: [X-Key, key, key], hide_credentials: true, key_in_header: false, "
        "key_in_query: true, key_in_body: true, run_on_preflight: true, realm: shop, "
        "anonymous: guest}\n"
    )
    (found,) = declared(HEAD + config).plugins
    assert found.policy == KeyAuth(
        key_names=("x-key", "key"),
        hide_credentials=True,
        key_in_header=False,
        key_in_query=True,
        key_in_body=True,
        run_on_preflight=True,
        realm="shop",
        anonymous="guest",
        origin=Origin("f.yaml", 5, 9),
    )


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (
            "key_in_header: false, key_in_query: false",
            "5:25: error MG2103 KongPlugin default/auth config.key_in_header: must be true where "
            "key_in_query and key_in_body are false, or no key is ever found",
        ),
        (
            "key_names: []",
            "5:21: error MG2103 KongPlugin default/auth config.key_names: must name at least one header or "
            "parameter",
        ),
        (
            "key_name: apikey",
            "5:10: error MG1102 KongPlugin default/auth config.key_name: unknown field; "
            "did you mean key_names?",
        ),
    ],
)
def test_what_is_said_about_a_config_that_stays_closed(config: str, expected: str) -> None:
    text = f"{HEAD}config: {{{config}}}\n"
    assert said(text) == ["f.yaml:" + expected]
    (found,) = read(text).declared.plugins
    assert (found.plugin, found.policy) == ("key-auth", None)
