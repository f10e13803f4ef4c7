"""One service behind many hosts, each with another plugin in front: what the edge's tests ask."""

from __future__ import annotations

import textwrap
from pathlib import Path

from tests.e2e import tokens
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, mesh_namespace, service

ALICE_KEY, BOB_KEY, CAROL_KEY = "key-of-alice-0123456789", "key-of-bob-0123456789", "key-of-carol-0123456789"

PLUGINS: dict[str, tuple[str, dict[str, object]]] = {
    "jwt": ("jwt", {"claims_to_verify": ["exp"]}),
    "jwt-nbf": ("jwt", {"claims_to_verify": ["exp", "nbf"]}),
    "jwt-realm": ("jwt", {"realm": "shop", "uri_param_names": ["token"], "cookie_names": ["session"]}),
    "key": ("key-auth", {"key_names": ["apikey", "x-key"], "hide_credentials": True}),
    "key-shown": ("key-auth", {"realm": "shop"}),
    "five": ("rate-limiting", {"minute": 5, "hour": 50, "policy": "local"}),
    "five-by-ip": ("rate-limiting", {"minute": 5, "policy": "local"}),
    "two-hidden": (
        "rate-limiting",
        {
            "minute": 2,
            "policy": "local",
            "hide_client_headers": True,
            "error_code": 403,
            "error_message": "slow down",
        },
    ),
}
HOSTS = {
    "open": "",
    "jwt": "jwt",
    "jwt-nbf": "jwt-nbf",
    "jwt-realm": "jwt-realm",
    "key": "key",
    "key-shown": "key-shown",
    "five": "key,five",
    "five-by-ip": "five-by-ip",
    "two-hidden": "key,two-hidden",
}
"""Host `NAME.example.test` -> its plugins."""


def manifests() -> str:
    """Everything in one text."""
    plugins = "".join(_plugin(name, kind, config) for name, (kind, config) in PLUGINS.items())
    routes = "".join(
        ingress(name, host=f"{name}.example.test", backend="mirror", plugins=chosen)
        for name, chosen in HOSTS.items()
    )
    mirror = f"python3 {Path(__file__).with_name('mirror.py')} 8080"
    base = mesh_namespace() + KONG_CLASS + service("mirror") + deployment("mirror", command=mirror, probe="/")
    return base + plugins + routes + _consumers()


def _plugin(name: str, kind: str, config: dict[str, object]) -> str:
    return f"""
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: {name}}}
plugin: {kind}
config: {config!r}
---
"""


def _consumers() -> str:
    key = textwrap.indent(tokens.BOB_PUBLIC_PEM.decode(), "    ")
    return (
        consumer("alice", "alice-jwt", "alice-key", custom_id="0815")
        + consumer("bob", "bob-jwt", "bob-key")
        + consumer("carol", "carol-key")
        + key_secret("alice-key", ALICE_KEY)
        + key_secret("bob-key", BOB_KEY)
        + key_secret("carol-key", CAROL_KEY)
        + f"""
apiVersion: v1
kind: Secret
metadata: {{name: alice-jwt, labels: {{konghq.com/credential: jwt}}}}
stringData: {{algorithm: HS256, key: {tokens.ALICE_ISSUER}, secret: {tokens.ALICE_SECRET}}}
---
apiVersion: v1
kind: Secret
metadata: {{name: bob-jwt, labels: {{konghq.com/credential: jwt}}}}
stringData:
  algorithm: RS256
  key: {tokens.BOB_ISSUER}
  rsa_public_key: |
{key}
---
"""
    )


def consumer(name: str, *credentials: str, custom_id: str = "") -> str:
    """A KongConsumer with the Secrets of its credentials."""
    more = f'custom_id: "{custom_id}"\n' if custom_id else ""
    return f"""
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {{name: {name}, annotations: {{kubernetes.io/ingress.class: kong}}}}
username: {name}
{more}credentials: [{", ".join(credentials)}]
---
"""


def key_secret(name: str, key: str) -> str:
    """A credential for key-auth."""
    return f"""
apiVersion: v1
kind: Secret
metadata: {{name: {name}, labels: {{konghq.com/credential: key-auth}}}}
stringData: {{key: {key}}}
---
"""
