"""The application of the runtime's tests: an HTTP server that tells what it was given.

`python app_server.py [--port N] [--sick FILE]`: listens on PORT; answers /healthz with 503
while FILE exists; /env with its environment; /slow after 300 ms; anything else with its pid.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--sick", type=Path, default=Path("/nonexistent"))
    parser.add_argument("--text", default="")
    options = parser.parse_args()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = 200, options.text or str(os.getpid())
            if self.path == "/healthz" and options.sick.exists():
                status = 503
            if self.path == "/env":
                body = json.dumps(dict(os.environ))
            if self.path == "/slow":
                time.sleep(0.3)
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ["PORT"])), Handler)
    server.daemon_threads = False
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print("listening", flush=True)
    server.serve_forever()
    server.server_close()
    print("stopped", flush=True)


main()
