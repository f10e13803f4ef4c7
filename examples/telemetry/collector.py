"""A collector of Zipkin spans that prints each on a line: enough to see a trace, nothing to keep it."""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Collector(BaseHTTPRequestHandler):
    """Takes POSTs of Zipkin's JSON (version 2); answers GETs that it is well."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(200)

    def do_POST(self) -> None:
        for span in json.loads(self._body()):
            tags = span.get("tags", {})
            service = span.get("localEndpoint", {}).get("serviceName", "")
            tag = tags.get("environment", "")
            line = f"span {span['traceId'][-6:]} {service} {span['kind']} {tags.get('http.url', '')} {tag}"
            sys.stdout.write(f"{line.rstrip()}\n")  # in one piece, beside other threads
            sys.stdout.flush()
        self._answer(202)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))
        parts = []
        while size := int(self.rfile.readline().partition(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing of its own."""

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ.get("PORT", sys.argv[1]))), Collector).serve_forever()
