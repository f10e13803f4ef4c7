"""Answers on $PORT and is ready as long as no file `not-ready-NAME` lies beside it; tells when it did what.

    python3 toggled_server.py NAME

Each line of `seen-NAME` is a time of the monotonic clock, which all processes share, and `ready`,
`not-ready` (answers to probes) or `request`.
"""

from __future__ import annotations

import os
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

NAME = sys.argv[1] if len(sys.argv) > 1 else ""
HERE = Path(__file__).resolve().parent
TOGGLE = HERE / f"not-ready-{NAME}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """`/healthz` says whether it is ready; every other path is a request."""
        what = "request"
        if self.path == "/healthz":
            what = "not-ready" if TOGGLE.exists() else "ready"
        self.send_response(503 if what == "not-ready" else 200)
        self.send_header("content-length", "0")
        self.end_headers()
        self.wfile.flush()
        SEEN.write(f"{time.monotonic()} {what}\n")
        SEEN.flush()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: what counts is in `seen-NAME`."""


if __name__ == "__main__":
    SEEN = (HERE / f"seen-{NAME}").open("a")
    ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler).serve_forever()
