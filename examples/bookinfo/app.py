"""One program for all four parts of a book shop: productpage, details, reviews and ratings.

    python3 app.py NAME VERSION PORT

productpage asks details and reviews, reviews v2 and v3 ask ratings, ratings v2 asks the
database. Each answers with JSON that says which version it is; the headers `end-user` and
`authorization` are passed on, as tracing headers are. `?wait=0.5` makes an answer take half
a second, and `/requests` tells how many requests there have been.
"""

from __future__ import annotations

import itertools
import json
import os
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import database

PASSED_ON = ("end-user", "authorization", "x-request-id", "traceparent")
CALLS = {
    ("productpage", "v1"): ("details", "reviews"),
    ("reviews", "v2"): ("ratings",),
    ("reviews", "v3"): ("ratings",),
    ("ratings", "v2"): ("mysqldb",),
}
STARS = {"v2": "black", "v3": "red"}
PORT, DATABASE_PORT = 9080, 3306
WAIT_S = 10.0


class Handler(BaseHTTPRequestHandler):
    """Answers any path; which one was asked for is in the answer."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    """An answer goes out in one piece."""
    name, version = "", ""
    counted = itertools.count()

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        body: dict[str, object] = {"service": self.name, "version": self.version, "path": self.path}
        if self.name == "reviews" and self.version in STARS:
            body["stars"] = STARS[self.version]
        if asked.path == "/requests":
            body["requests"] = int(repr(self.counted)[6:-1])
        elif asked.path != "/healthz":
            next(self.counted)
            time.sleep(float(parse_qs(asked.query).get("wait", ["0"])[0]))
            for other in CALLS.get((self.name, self.version), ()):
                body[other] = _tried(self._rating if other == "mysqldb" else lambda o=other: self._ask(o))
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)
        self.wfile.flush()

    def _ask(self, service: str) -> object:
        headers = {name: value for name in PASSED_ON if (value := self.headers.get(name))}
        request = urllib.request.Request(f"http://{service}:{PORT}/{service}/0", headers=headers)
        with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
            return json.load(answer)

    def _rating(self) -> object:
        # Where names of TCP services are not to be had, the environment says where they are.
        host = os.environ.get("MYSQLDB_SERVICE_HOST", "mysqldb")
        port = int(os.environ.get("MYSQLDB_SERVICE_PORT", DATABASE_PORT))
        return database.query(host, port, "SELECT rating FROM ratings", WAIT_S)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the sidecar knows every request."""


def _tried(ask: Callable[[], object]) -> object:
    try:
        return ask()
    except urllib.error.HTTPError as error:
        with error:
            return {"status": error.code}
    except (OSError, EOFError) as error:
        return {"error": str(error) or type(error).__name__}


def main() -> None:
    """Serves until it is ended; locally the port is the one that `PORT` says."""
    Handler.name, Handler.version, port = sys.argv[1:4]
    pod = os.environ.get("POD_IP", "")
    host = pod if pod.startswith("127.") else "0.0.0.0"
    ThreadingHTTPServer.request_queue_size = 128
    ThreadingHTTPServer((host, int(os.environ.get("PORT", port))), Handler).serve_forever()


if __name__ == "__main__":
    main()
