"""Print a JSON Web Token (HS256) with the claims `iss` and `exp`.

    python3 make_token.py ISSUER SECRET [SECONDS]

SECONDS is how long it is valid, 3600 unless told; a negative number makes an expired one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sys
import time


def encode(data: bytes) -> str:
    """Base64 for URLs, without padding (RFC 7515)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def token(issuer: str, secret: str, expires: int) -> str:
    """A signed token; `expires` in seconds since 1970."""
    header = encode(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    claims = encode(json.dumps({"iss": issuer, "exp": expires}).encode())
    signed = f"{header}.{claims}"
    return f"{signed}.{encode(hmac.digest(secret.encode(), signed.encode(), hashlib.sha256))}"


if __name__ == "__main__":
    if len(sys.argv) not in (3, 4):
        sys.exit(f"usage: {sys.argv[0]} ISSUER SECRET [SECONDS]")
    seconds = int(sys.argv[3]) if len(sys.argv) == 4 else 3600
    print(token(sys.argv[1], sys.argv[2], int(time.time()) + seconds))
