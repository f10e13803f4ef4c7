"""Why a request does not come in."""

from __future__ import annotations


class RefusedError(Exception):
    """A credential is not good. The reason is a sentence of ours; it never holds what the client sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ForbiddenError(RefusedError):
    """It is known who asks, and they may not."""


class ProviderError(Exception):
    """The identity provider cannot be reached, or what it says cannot be used."""
