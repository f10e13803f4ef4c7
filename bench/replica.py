"""A replica for benchmarks and tests: says who it is, and fails or waits where it is told to.

    python3 replica.py NAME PORT FOLDER

A file FOLDER/NAME holds the status that it answers with; `?wait=0.2` makes it wait so many seconds.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

NAME, PORT, FOLDER = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])


class Handler(BaseHTTPRequestHandler):
    """Keeps connections."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        told = FOLDER / NAME
        status = int(told.read_text()) if url.path != "/healthz" and told.exists() else 200
        time.sleep(float(parse_qs(url.query).get("wait", ["0"])[0]))
        body = json.dumps({"version": NAME, "pod": os.environ.get("HOSTNAME", "")}).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: it would cost more than the answer."""


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def main() -> None:
    """Listen until SIGTERM, then finish what has begun."""
    pod_ip = os.environ.get("POD_IP", "")
    address = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    server = Server((address, int(os.environ.get("PORT", PORT))), Handler)
    over = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    over.wait()
    server.shutdown()


main()
