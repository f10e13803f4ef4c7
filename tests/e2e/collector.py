"""Takes spans and metrics' like for a test: Zipkin's JSON and OTLP over HTTP, one JSON line for each span.

python3 collector.py PORT
"""

from __future__ import annotations

import json
import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2


class Collector(BaseHTTPRequestHandler):
    """`/api/v2/spans` is Zipkin, `/v1/traces` OTLP; GET /metrics counts as an application does."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        body = b"# TYPE collector_spans counter\ncollector_spans 7\n"
        self._answer(200, body)

    def do_POST(self) -> None:
        body = self._body()
        if self.path == "/v1/traces":
            self._otlp(body)
        else:
            for span in json.loads(body):
                self._print("zipkin", span["traceId"], span["tags"], span["localEndpoint"]["serviceName"])
        self._answer(202, b"")

    def _otlp(self, body: bytes) -> None:
        request = trace_service_pb2.ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            named = {a.key: a.value.string_value for a in resource.resource.attributes}
            # The field of number 2, called `scope_spans` since OTLP 0.15.
            for scope in resource.instrumentation_library_spans:
                for span in scope.spans:
                    tags = {a.key: a.value.string_value for a in span.attributes}
                    self._print("otlp", span.trace_id.hex(), tags, named.get("service.name", ""))

    def _print(self, kind: str, trace: str, tags: dict[str, str], service: str) -> None:
        said = {"kind": kind, "trace": trace, "service": service, "tags": tags}
        said["tenant"] = self.headers.get("x-tenant", "")
        sys.stdout.write(json.dumps(said) + "\n")  # in one piece, beside other threads
        sys.stdout.flush()

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

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


if __name__ == "__main__":
    ThreadingHTTPServer(("", int(os.environ.get("PORT", sys.argv[1]))), Collector).serve_forever()
