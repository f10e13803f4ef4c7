"""An identity provider for trying things out: whoever comes is logged in as ann at once.

    python3 provider.py ISSUER PORT

It answers below the path of ISSUER, e.g. http://localhost:8080/login. Its key is made at the start. Never
use it for anything else.
"""

from __future__ import annotations

import json
import os
import secrets
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

ISSUER, PORT = sys.argv[1], int(os.environ.get("PORT", sys.argv[2]))
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
CODES: dict[str, dict[str, str]] = {}
"""Code -> what the login was asked for."""


def token(**claims: str) -> str:
    """A token of ann's for ten minutes."""
    now = int(time.time())
    said = {"iss": ISSUER, "sub": "user-7", "iat": now, "exp": now + 600, "preferred_username": "ann"}
    return jwt.encode({**said, **claims}, KEY, algorithm="RS256", headers={"kid": "demo"})


def configuration() -> dict[str, object]:
    """The discovery document (OpenID Connect Discovery 1.0)."""
    paths = {"authorization_endpoint": "authorize", "token_endpoint": "token", "jwks_uri": "keys"}
    return {"issuer": ISSUER, **{name: f"{ISSUER}/{path}" for name, path in paths.items()}}


def keys() -> dict[str, object]:
    """The public key."""
    return {"keys": [{**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key())), "kid": "demo"}]}


class Provider(BaseHTTPRequestHandler):
    """Three pages and two endpoints."""

    def do_GET(self) -> None:
        where = urlsplit(self.path)
        asked = {name: values[0] for name, values in parse_qs(where.query).items()}
        match where.path.removeprefix(urlsplit(ISSUER).path):
            case "/healthz":
                self._tell({"ready": True})
            case "/.well-known/openid-configuration":
                self._tell(configuration())
            case "/keys":
                self._tell(keys())
            case "/authorize":
                code = secrets.token_urlsafe(16)
                CODES[code] = asked
                back = urlencode({"code": code, "state": asked["state"]})
                self._tell({}, 302, location=f"{asked['redirect_uri']}?{back}")
            case _:
                self._tell({"error": "not found"}, 404)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        form = {name: values[0] for name, values in parse_qs(body).items()}
        asked = CODES.pop(form.get("code", ""), None)
        if form.get("grant_type") == "password":  # for curl in place of a program
            self._tell({"access_token": token(aud="api"), "expires_in": 600})
        elif asked is None:
            self._tell({"error": "invalid_grant"}, 400)
        else:
            proof = token(aud=asked["client_id"], nonce=asked["nonce"])
            self._tell({"access_token": token(aud="api"), "id_token": proof, "expires_in": 600})

    def _tell(self, said: dict[str, object], status: int = 200, **headers: str) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json"}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", PORT), Provider).serve_forever()
