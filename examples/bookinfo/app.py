"""One program for all four parts of a book shop: productpage, details, reviews and ratings.

    python3 app.py NAME VERSION PORT

productpage asks details and reviews, reviews v2 and v3 ask ratings. Each answers with JSON
that says which version it is; the header `end-user` is passed on, as tracing headers are.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PASSED_ON = ("end-user", "x-request-id", "traceparent")
CALLS = {
    ("productpage", "v1"): ("details", "reviews"),
    ("reviews", "v2"): ("ratings",),
    ("reviews", "v3"): ("ratings",),
}
STARS = {"v2": "black", "v3": "red"}
PORT = 9080


class Handler(BaseHTTPRequestHandler):
    """Answers any path; which one was asked for is in the answer."""

    protocol_version = "HTTP/1.1"
    name, version = "", ""

    def do_GET(self) -> None:
        body: dict[str, object] = {"service": self.name, "version": self.version, "path": self.path}
        if self.name == "reviews" and self.version in STARS:
            body["stars"] = STARS[self.version]
        if self.path != "/healthz":
            for other in CALLS.get((self.name, self.version), ()):
                body[other] = self._ask(other)
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def _ask(self, service: str) -> object:
        headers = {name: value for name in PASSED_ON if (value := self.headers.get(name))}
        request = urllib.request.Request(f"http://{service}:{PORT}/{service}/0", headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            with error:
                return {"status": error.code}
        except OSError as error:
            return {"error": str(error)}

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the sidecar knows every request."""


def main() -> None:
    """Serves until it is ended; locally the port is the one that `PORT` says."""
    Handler.name, Handler.version, port = sys.argv[1:4]
    pod = os.environ.get("POD_IP", "")
    host = pod if pod.startswith("127.") else "0.0.0.0"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", port))), Handler).serve_forever()


if __name__ == "__main__":
    main()
