"""KongConsumers: names, credentials, plugins and class."""

from __future__ import annotations

import pytest

from meshgate.core.diagnostics import ObjectRef
from meshgate.core.origin import Origin
from meshgate.model.declared import ConsumerObject
from meshgate.model.names import Name
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata:
  name: alice
  namespace: shop
  annotations:
    kubernetes.io/ingress.class: kong
"""


def test_every_field() -> None:
    text = (
        HEAD
        + "    konghq.com/plugins: gold, slow,gold\n"
        + "username: Alice\ncustom_id: '42'\ncredentials: [alice-jwt, alice-key, alice-jwt]\n"
    )
    assert declared(text).consumers == (
        ConsumerObject(
            ref=ObjectRef("KongConsumer", "shop", "alice", "configuration.konghq.com"),
            name=Name("shop", "alice"),
            username="Alice",
            custom_id="42",
            credentials=("alice-jwt", "alice-key"),
            plugin_names=("gold", "slow"),
            plugins_origin=Origin("f.yaml", 8, 25),
            origin=Origin("f.yaml", 1, 1),
        ),
    )


def test_a_custom_id_is_name_enough() -> None:
    (found,) = declared(HEAD + "custom_id: a\n").consumers
    assert (found.username, found.custom_id, found.plugin_names) == ("", "a", ())


def test_without_a_class_it_is_taken_with_a_warning() -> None:
    text = HEAD.replace("kubernetes.io/ingress.class: kong", "team: blue") + "username: a\n"
    assert len(read(text).declared.consumers) == 1
    assert said(text) == [
        "f.yaml:7:5: warning MG2005 KongConsumer shop/alice metadata.annotations: has no annotation "
        "kubernetes.io/ingress.class, without which Kong leaves it out; it is taken all the same; "
        "add kubernetes.io/ingress.class: kong"
    ]


def test_of_another_class_it_is_left_out() -> None:
    text = HEAD.replace("class: kong", "class: nginx") + "username: a\n"
    assert read(text).declared.consumers == ()
    assert said(text) == [
        "f.yaml:7:34: warning MG2005 KongConsumer shop/alice "
        "metadata.annotations['kubernetes.io/ingress.class']"
        ": belongs to class 'nginx', not to kong; it is left out"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", "1:1: error MG2003 KongConsumer shop/alice username: is required where there is no custom_id"),
        (
            "username: 5\n",
            "8:11: error MG2001 KongConsumer shop/alice username: must be a string, got 5; put it in quotes",
        ),
        (
            'username: "a\\nb"\n',
            "8:11: error MG2002 KongConsumer shop/alice username: must be text that a header can hold: one "
            "line, no spaces around it, got 'a\\nb'",
        ),
        (
            "usrname: a\ncustom_id: a\n",
            "8:1: error MG1102 KongConsumer shop/alice usrname: unknown field; did you mean username?",
        ),
        (
            "username: a\ncredentials: [A b]\n",
            "9:15: error MG2004 KongConsumer shop/alice credentials[0]: must be the name of a Secret in the "
            "same namespace, got 'A b'",
        ),
        (
            "    konghq.com/plugin: a\nusername: a\n",
            "8:5: error MG2005 KongConsumer shop/alice metadata.annotations['konghq.com/plugin']: unknown "
            "annotation konghq.com/plugin; did you mean konghq.com/plugins?",
        ),
        (
            "    konghq.com/plugins: A b\nusername: a\n",
            "8:25: error MG2005 KongConsumer shop/alice "
            "metadata.annotations['konghq.com/plugins']: must be a "
            "comma list of KongPlugin names, got 'A b'",
        ),
    ],
)
def test_what_is_said_about_a_consumer(fields: str, expected: str) -> None:
    assert said(HEAD + fields) == ["f.yaml:" + expected]
