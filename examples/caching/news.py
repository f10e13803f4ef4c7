"""News that take their time: a second for each answer, each with a number of its own.

PORT=8080 python3 news.py
"""

from __future__ import annotations

import itertools
import os
import signal
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EDITION = itertools.count(1)


class News(BaseHTTPRequestHandler):
    """`/` may be kept for a minute, says its Cache-Control; `/mine` may not be kept by others."""

    def do_GET(self) -> None:
        if self.path == "/healthz":
            body = b"ok\n"
        else:
            time.sleep(1)
            body = f"edition {next(EDITION)}\n".encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/plain")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "private" if self.path == "/mine" else "max-age=60")
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
ThreadingHTTPServer((os.environ.get("POD_IP", ""), int(os.environ.get("PORT", "8080"))), News).serve_forever()
