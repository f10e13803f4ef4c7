"""A value that must never be printed."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """Bytes whose `repr` and `str` are `[redacted]`; ask `reveal()` where they are used."""

    _value: bytes

    @classmethod
    def of(cls, text: str) -> Secret:
        """The UTF-8 bytes of `text`, hidden."""
        return cls(text.encode())

    def reveal(self) -> bytes:
        """The bytes themselves; never log or store what this returns."""
        return self._value

    def reveal_text(self) -> str:
        """The bytes as UTF-8 text; raises `UnicodeDecodeError` where they are none."""
        return self._value.decode()

    def fingerprint(self) -> str:
        """12 hex digits of SHA-256: tells two secrets apart without showing either."""
        return hashlib.sha256(self._value).hexdigest()[:12]

    def __repr__(self) -> str:
        return "[redacted]"

    def __str__(self) -> str:
        return "[redacted]"
