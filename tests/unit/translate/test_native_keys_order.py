"""Keys and limits share a filter only where nothing that may refuse stands between them."""

from __future__ import annotations

from meshgate.model.policy import AUTHENTICATION, KeyAuth
from meshgate.policies.chain import CHAIN
from meshgate.policies.entries import LocalLimits, NativeKeys, Plain
from meshgate.policies.key_auth_native import BETWEEN
from meshgate.policies.standing import Standing


def test_all_that_stands_between_keys_and_limits_is_named() -> None:
    chain = [entry.entry if isinstance(entry, Standing) else entry for entry in CHAIN]
    places = {type(entry): place for place, entry in enumerate(chain)}
    between = chain[places[NativeKeys] + 1 : places[LocalLimits]]
    kinds = {entry.kind for entry in between if isinstance(entry, Plain)}
    # Other ways in, and keys that the filter leaves to Envoy's, are no case for it at all.
    assert kinds - set(AUTHENTICATION) - {KeyAuth} == set(BETWEEN)
