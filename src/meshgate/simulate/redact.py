"""Takes every secret out of a model and leaves something of the same shape in its place.

What is translated from the result can be shown, stored and checked by Envoy.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import TypeVar, cast

from meshgate.core.secret import Secret
from meshgate.model.consumer import JwtCredential, KeyCredential
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model
from meshgate.model.workload import Svid
from meshgate.simulate.certificates import leaf

T = TypeVar("T")

PLACEHOLDER = base64.b64encode(b"redacted: this is no key but stands where one was").decode()
"""Valid as text and as base64, and long enough for every HMAC."""


def redact(model: Model) -> Model:
    """The model with placeholders for shared keys, API keys, private keys and passwords.

    Which keys differ stays visible (each API key's placeholder holds its public id);
    certificates are replaced together with their keys, for Envoy wants pairs.
    """
    return cast("Model", _clean(model))


def _clean(value: object) -> object:
    match value:
        case JwtCredential(secret=Secret()):
            return replace(value, secret=Secret.of(PLACEHOLDER))
        case KeyCredential():
            return replace(value, key=Secret.of(f"redacted-{value.id}"))
        case Certificate():
            chain, key = leaf(value.name, value.hosts or ("localhost",))
            return replace(value, chain_pem=chain, key_pem=key)
        case Svid():
            chain, key = leaf(value.spiffe_id, (value.spiffe_id,))
            return replace(value, chain_pem=chain, key_pem=key)
        case Secret():
            return Secret.of(PLACEHOLDER)
        case tuple():
            return _same(value, tuple(_clean(item) for item in value))
        case Mapping():
            cleaned = {key: _clean(item) for key, item in value.items()}
            return cleaned if any(cleaned[key] is not item for key, item in value.items()) else value
        case _ if is_dataclass(value) and not isinstance(value, type):
            changed = {f.name: _clean(getattr(value, f.name)) for f in fields(value)}
            kept = all(new is getattr(value, name) for name, new in changed.items())
            return value if kept else replace(value, **changed)
        case _:
            return value


def _same(old: tuple[object, ...], new: tuple[object, ...]) -> tuple[object, ...]:
    """`old` itself where nothing in it changed, so that unchanged parts stay identical."""
    return old if all(a is b for a, b in zip(old, new, strict=True)) else new
