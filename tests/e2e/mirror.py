"""An application that answers with the request as it arrived: its line, and every header as often as it came.

python3 mirror.py PORT
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_GET(self) -> None:
        body = json.dumps({"target": self.path, "headers": self.headers.items()}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    pod_ip = os.environ.get("POD_IP", "")
    host = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", sys.argv[1]))), Handler).serve_forever()
