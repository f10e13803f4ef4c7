"""Programs that decide for CUSTOM policies: one is asked over HTTP, one by gRPC."""

from __future__ import annotations

import contextlib
import http.server
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from envoy.config.core.v3 import base_pb2
from envoy.service.auth.v3 import external_auth_pb2 as pb
from envoy.service.auth.v3 import external_auth_pb2_grpc as service_pb


@dataclass(frozen=True, slots=True)
class Asked:
    """What an authorizer was told about a request."""

    path: str
    headers: dict[str, str]
    principal: str = ""
    body: str = ""


@dataclass(slots=True)
class Authorizer:
    """Lets in whom `x-let` says `in`; a connection, who has no headers, where `connections` says so."""

    port: int = 0
    asked: list[Asked] = field(default_factory=list)
    connections: bool = False


@contextlib.contextmanager
def over_http() -> Iterator[Authorizer]:
    """Answers 200 with headers for the service, or 418 with some for the client."""
    found = Authorizer()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _decide(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            found.asked.append(Asked(self.path, headers, body=body.decode()))
            if headers.get("x-let") == "fail":
                self.close_connection = True
                return
            good = headers.get("x-let") == "in"
            self.send_response(200 if good else 418)
            for name in ("x-user", "x-secret", "x-reason"):
                self.send_header(name, "anna")
            self.send_header("authorization", "Bearer made-by-the-authorizer")
            text = b"" if good or self.command == "HEAD" else b"<p>no</p>"
            if text:
                self.send_header("content-type", "text/html")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_HEAD = _decide

        def log_message(self, format: str, *args: object) -> None:
            """Nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        found.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield found
        finally:
            server.shutdown()


@contextlib.contextmanager
def over_grpc() -> Iterator[Authorizer]:
    """Envoy's `Authorization` service."""
    found = Authorizer()

    class Service(service_pb.AuthorizationServicer):  # type: ignore[misc]
        def Check(self, request: pb.CheckRequest, context: grpc.ServicerContext) -> pb.CheckResponse:
            said = request.attributes.request.http
            headers = dict(said.headers)
            principal = request.attributes.source.principal
            found.asked.append(Asked(said.path, headers, principal, said.body or said.raw_body.decode()))
            if headers.get("x-let") == "fail":
                context.abort(grpc.StatusCode.INTERNAL, "asked to")
            good = headers.get("x-let") == "in" if headers else found.connections
            answer = pb.CheckResponse()
            if good:
                value = base_pb2.HeaderValue(key="x-user", value="anna")
                answer.ok_response.headers.append(base_pb2.HeaderValueOption(header=value))
            else:
                answer.status.code = 7
                answer.denied_response.status.code = 418
            return answer

    with ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool)
        service_pb.add_AuthorizationServicer_to_server(Service(), server)
        found.port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        try:
            yield found
        finally:
            server.stop(0).wait()
