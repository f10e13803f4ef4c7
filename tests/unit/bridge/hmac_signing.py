"""Signs requests as clients of Kong's `hmac-auth` do."""

from __future__ import annotations

import base64
import hashlib
import hmac


def signature(secret: str, text: str, algorithm: str = "sha256") -> str:
    """Base64 of the HMAC."""
    return base64.b64encode(hmac.digest(secret.encode(), text.encode(), algorithm)).decode()


def authorization(username: str, secret: str, signed: str, names: str, algorithm: str = "sha256") -> str:
    """The header's value for a text that was made of the named parts."""
    return (
        f'hmac username="{username}", algorithm="hmac-{algorithm}", headers="{names}", '
        f'signature="{signature(secret, signed, algorithm)}"'
    )


def digest(body: bytes) -> str:
    """The value of Digest for a body."""
    return f"SHA-256={base64.b64encode(hashlib.sha256(body).digest()).decode()}"
