"""What a token of an identity provider costs at the gateway, in one run, in turn, round by round.

bare; `openid-connect` with its answers repeated in Envoy; the same plugin where the bridge is asked about
each request (a body may bring the token); Kong's `jwt`, which Envoy verifies by itself.
"""

from __future__ import annotations

import json
import statistics
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from edge import INGRESS, SERVICE
from harness import machine, meshgate, spread, wrk

ROUNDS = 7
PLUGINS = """
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: repeated}}
plugin: openid-connect
config: {{issuer: '{issuer}', auth_methods: [bearer], consumer_claim: [sub]}}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: asked}}
plugin: openid-connect
config: {{issuer: '{issuer}', auth_methods: [bearer], consumer_claim: [sub],
  bearer_token_param_type: [header, body]}}
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {{name: native}}
plugin: jwt
config: {{}}
---
apiVersion: v1
kind: Secret
metadata: {{name: caller-jwt, labels: {{konghq.com/credential: jwt}}}}
stringData: {{key: '{issuer}', algorithm: RS256, rsa_public_key: {pem}}}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {{name: caller, annotations: {{kubernetes.io/ingress.class: kong}}}}
username: caller
credentials: [caller-jwt]
"""


def serve(key: rsa.RSAPrivateKey) -> ThreadingHTTPServer:
    """A provider that tells where its keys are, and the keys."""
    jwk = {**json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(key.public_key())), "kid": "k", "use": "sig"}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            issuer = f"http://127.0.0.1:{server.server_port}"
            found = (
                {"keys": [jwk]} if self.path == "/jwks" else {"issuer": issuer, "jwks_uri": f"{issuer}/jwks"}
            )
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def main() -> None:
    """Prints the ratios."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    provider = serve(key)
    issuer = f"http://127.0.0.1:{provider.server_port}"
    claims = {"iss": issuer, "sub": "caller", "exp": int(time.time()) + 3600}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "k"})
    pem = json.dumps(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode())
    names = ("bare", "repeated", "asked", "native")
    manifests = SERVICE + PLUGINS.format(issuer=issuer, pem=pem)
    for name in names:
        plugins = "" if name == "bare" else f"konghq.com/plugins: {name}"
        manifests += INGRESS.format(name=name, annotations=plugins)
    speeds: dict[str, list[float]] = {name: [] for name in names}
    with meshgate(manifests) as running:
        url = f"http://127.0.0.1:{running.port}/"
        shown = f"Authorization: Bearer {token}"
        wrk(url, ["Host: bare.bench", shown], 2)
        for _ in range(ROUNDS):
            for name in names:
                speeds[name].append(wrk(url, [f"Host: {name}.bench", shown], 3))
    provider.shutdown()
    print(machine())
    for name in names:
        ratios = [one / other for one, other in zip(speeds[name], speeds["bare"], strict=True)]
        print(f"{name:9} {statistics.median(speeds[name]):9.0f} requests/s, to bare: {spread(ratios)}")


if __name__ == "__main__":
    main()
