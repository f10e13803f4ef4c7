"""Takes every secret out of a model and leaves something of the same shape in its place.

What is translated from the result can be shown, stored and checked by Envoy.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import cast

from meshgate.core.secret import Secret
from meshgate.model.authorization import JwtRule
from meshgate.model.consumer import JwtCredential, KeyCredential
from meshgate.model.edge import Certificate
from meshgate.model.graph import Model
from meshgate.model.workload import Svid
from meshgate.simulate.certificates import leaf

PLACEHOLDER = base64.b64encode(b"redacted: this is no key but stands where one was").decode()
"""Valid as text and as base64, and long enough for every HMAC."""
PLACEHOLDER_KEY_SET = f'{{"keys":[{{"kty":"oct","alg":"HS256","k":"{PLACEHOLDER}"}}]}}'


def redact(model: Model) -> Model:
    """The model with placeholders for shared keys, API keys, private keys and passwords.

    API keys are numbered, so that different ones stay different; certificates are replaced
    together with their keys, for Envoy wants pairs.
    """
    return cast("Model", _Cleaning().clean(model))


class _Cleaning:
    """One pass over a model."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def clean(self, value: object) -> object:
        """`value` without secrets; the very same object where it has none."""
        match value:
            case JwtCredential(secret=Secret()):
                return replace(value, secret=Secret.of(PLACEHOLDER))
            case JwtRule(jwks=Secret()):
                return replace(value, jwks=Secret.of(PLACEHOLDER_KEY_SET))
            case KeyCredential():
                # The id is made of the key: whoever guesses the key could tell by it.
                name = f"redacted-{next(self._numbers)}"
                return KeyCredential(id=name, key=Secret.of(name))
            case Certificate() if value.chain_pem:
                chain, key = leaf(value.name, value.hosts or ("localhost",))
                return replace(value, chain_pem=chain, key_pem=key)
            case Svid():
                chain, key = leaf(value.spiffe_id, (value.spiffe_id,))
                return replace(value, chain_pem=chain, key_pem=key)
            case Secret():
                return Secret.of(PLACEHOLDER)
            case tuple():
                items = tuple(self.clean(item) for item in value)
                return value if all(a is b for a, b in zip(value, items, strict=True)) else items
            case Mapping():
                cleaned = {key: self.clean(item) for key, item in value.items()}
                return cleaned if any(cleaned[key] is not item for key, item in value.items()) else value
            case _ if is_dataclass(value) and not isinstance(value, type):
                changed = {f.name: self.clean(getattr(value, f.name)) for f in fields(value)}
                kept = all(new is getattr(value, name) for name, new in changed.items())
                return value if kept else replace(value, **changed)
            case _:
                return value
