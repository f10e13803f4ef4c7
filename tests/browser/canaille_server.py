"""Canaille, an identity provider, with one client and the users of a test; run by its own Python.

    python canaille_server.py PORT < SETTINGS

SETTINGS is JSON: `client` (its attributes as Canaille names them) and `users` (a list of the same).
It keeps everything in memory and prints `ready` before it serves.
"""

# mypy: ignore-errors
# Its packages are in that environment and not in ours.
import asyncio
import json
import sys

from asgiref.wsgi import WsgiToAsgi
from canaille import create_app
from canaille.app import models
from canaille.backends import Backend
from hypercorn.asyncio import serve
from hypercorn.config import Config
from joserfc import jwk


def main() -> None:
    port, settings = int(sys.argv[1]), json.load(sys.stdin)
    key = jwk.RSAKey.generate_key(2048, parameters={"kid": "canaille-1", "alg": "RS256", "use": "sig"})
    app = create_app(
        {
            "SECRET_KEY": "demo-only",
            "SERVER_NAME": f"localhost:{port}",
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {"DATABASE": "memory", "JAVASCRIPT": False, "HTMX": False},
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [key.as_dict(private=True)]},
        }
    )
    with app.app_context(), Backend.instance.session():
        for user in settings["users"]:
            Backend.instance.save(models.User(**user))
        client = models.Client(**settings["client"])
        Backend.instance.save(client)
        client.audience = [client]  # as when a client is registered in its pages
        Backend.instance.save(client)
    config = Config()
    config.bind = [f"127.0.0.1:{port}"]
    config.accesslog = None
    print("ready", flush=True)
    asyncio.run(serve(WsgiToAsgi(app), config))


if __name__ == "__main__":
    main()
