"""Who may open a stream: one bearer token per proxy."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Final, Generic, TypeVar

from meshgate.core.secret import Secret

P = TypeVar("P")

_TOKEN_BYTES: Final = 32


class Tokens(Generic[P]):
    """The proxies that are expected, by node id; keeps hashes of tokens, never tokens."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[bytes, P]] = {}
        self._nobody = secrets.token_bytes(_TOKEN_BYTES)

    def issue(self, node_id: str, proxy: P) -> Secret:
        """A fresh token for a proxy; an older one of the same node stops working."""
        token = Secret.of(secrets.token_urlsafe(_TOKEN_BYTES))
        self.admit(node_id, token, proxy)
        return token

    def proxy(self, node_id: str) -> P | None:
        """The proxy that was admitted under that id; None for any other id."""
        found = self._known.get(node_id)
        return found[1] if found is not None else None

    def admit(self, node_id: str, token: Secret, proxy: P) -> None:
        """Expect a proxy that has its token already, e.g. from before a restart."""
        self._known[node_id] = (_hash(token.reveal()), proxy)

    def revoke(self, node_id: str) -> None:
        """No new stream for this node; an open one goes on."""
        self._known.pop(node_id, None)

    def authenticate(self, token: str, node_id: str) -> P | None:
        """The proxy if token and node id belong together; takes as long for an unknown node."""
        expected, proxy = self._known.get(node_id, (self._nobody, None))
        same = hmac.compare_digest(_hash(token.encode(errors="replace")), expected)
        return proxy if same else None


def _hash(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()
