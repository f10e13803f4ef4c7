"""An agent of OPA's REST form that lets in whatever asks with `?pass=yes`.

python3 policy_agent.py PORT
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._say({})

    def do_POST(self) -> None:
        said = json.loads(self.rfile.read(int(self.headers["content-length"])))
        query = said["input"]["request"]["http"]["querystring"]
        self._say({"result": query.get("pass") == "yes"})

    def _say(self, answer: object) -> None:
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        pass


if __name__ == "__main__":
    pod_ip = os.environ.get("POD_IP", "")
    host = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    ThreadingHTTPServer((host, int(os.environ.get("PORT", sys.argv[1]))), Handler).serve_forever()
