"""What the identity tests share."""

from __future__ import annotations

import base64
import shutil

import pytest
from hypothesis import strategies as st

OPENSSL = shutil.which("openssl") or ""
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="the openssl command is not installed")

Damage = list[tuple[int, bytes]]
"""Places and the bytes written over what is there."""


def damages(size: int) -> st.SearchStrategy[Damage]:
    return st.lists(st.tuples(st.integers(0, size), st.binary(min_size=1, max_size=2)), max_size=3)


def damaged(content: bytes, damage: Damage) -> bytes:
    for at, junk in damage:
        content = content[:at] + junk + content[at + len(junk) :]
    return content


def der(pem: bytes) -> bytes:
    """The bytes in the first block of a PEM text."""
    return base64.b64decode(b"".join(pem.split(b"-----")[2].split()))


def pem(content: bytes, label: bytes) -> bytes:
    """The inverse of `der`."""
    return b"-----BEGIN %b-----\n%b-----END %b-----\n" % (label, base64.encodebytes(content), label)
