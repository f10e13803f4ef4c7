"""A service of the shop: answers every request with who it is and what it saw.

    python3 service.py NAME VERSION PORT

It knows nothing of Meshgate: no library, no certificate, no address of another service.
`checkout.py` is the same service with one thing more, calls to the others.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email.message import Message
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

Body = dict[str, object]
Respond = Callable[["Service", "Request"], tuple[int, Body]]

HIDDEN_HEADERS = {"authorization", "apikey", "cookie", "proxy-authorization"}
DRAIN_SECONDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """Who answers."""

    name: str
    version: str
    pod: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What was asked."""

    method: str
    path: str
    """Without the query, which may hold a token."""
    query: dict[str, list[str]]
    headers: Message


def describe(service: Service, request: Request) -> tuple[int, Body]:
    """200 and all there is to know; `/status/503` at the end of a path asks for that status."""
    wanted = re.search(r"/status/([2-5]\d\d)$", request.path)
    status = int(wanted[1]) if wanted else HTTPStatus.OK
    return status, {
        "service": service.name,
        "version": service.version,
        "pod": service.pod,
        "method": request.method,
        "path": request.path,
        "caller": caller(request.headers),
        "headers": seen(request.headers),
    }


def caller(headers: Message) -> str | None:
    """The SPIFFE ID of whoever called, as this service's own sidecar vouches for it.

    The sidecar writes x-forwarded-client-cert; the nearest caller is its last URI.
    """
    uris = re.findall(r"\bURI=([^;,\"]+)", headers.get("x-forwarded-client-cert", ""))
    return uris[-1] if uris else None


def seen(headers: Message) -> dict[str, str]:
    """The request's headers, credentials left out."""
    lower = sorted((name.lower(), value) for name, value in headers.items())
    return {name: "[hidden]" if name in HIDDEN_HEADERS else value for name, value in lower}


class Server(ThreadingHTTPServer):
    """One thread per connection; on SIGTERM it finishes what it has begun."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, where: tuple[str, int], service: Service, respond: Respond) -> None:
        super().__init__(where, Handler)
        self.service = service
        self.respond = respond
        self.draining = False
        self._in_flight = 0
        self._changed = threading.Condition()

    def begin(self) -> None:
        """A request is being answered."""
        with self._changed:
            self._in_flight += 1

    def end(self) -> None:
        """It has been."""
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()

    def drain(self) -> None:
        """Take no new connection, and wait for the requests in flight."""
        self.draining = True
        self.shutdown()
        self.server_close()
        with self._changed:
            self._changed.wait_for(lambda: self._in_flight == 0, timeout=DRAIN_SECONDS)


class Handler(BaseHTTPRequestHandler):
    """Speaks HTTP/1.1 and keeps connections, as a sidecar's connection pool expects."""

    server: Server
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # headers and body leave in one piece
    disable_nagle_algorithm = True

    def answer(self) -> None:
        self.server.begin()
        try:
            self._read_body()
            status, body = self._respond()
            content = json.dumps(body, indent=2).encode() + b"\n"
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            if self.server.draining:
                self.send_header("connection", "close")
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)
            self.wfile.flush()
        except ConnectionError:
            self.close_connection = True  # whoever asked has gone
        finally:
            self.server.end()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def _respond(self) -> tuple[int, Body]:
        url = urlsplit(self.path)
        if url.path == "/healthz":
            ready = not self.server.draining
            return (HTTPStatus.OK if ready else HTTPStatus.SERVICE_UNAVAILABLE), {"ready": ready}
        request = Request(method=self.command, path=url.path, query=parse_qs(url.query), headers=self.headers)
        return self.server.respond(self.server.service, request)

    def _read_body(self) -> None:
        """Read the body and forget it: the next request on this connection follows it."""
        if "chunked" in self.headers.get("transfer-encoding", "").lower():
            while size := int(self.rfile.readline().split(b";")[0], 16):
                self._skip(size + 2)  # the chunk and its line end
            while self.rfile.readline().strip():
                pass  # trailers
        else:
            self._skip(int(self.headers.get("content-length", 0)))

    def _skip(self, length: int) -> None:
        while length > 0 and (piece := self.rfile.read(min(length, 65536))):
            length -= len(piece)

    def log_message(self, format: str, *args: object) -> None:
        path = urlsplit(getattr(self, "path", "")).path  # no query: it may hold a token
        if path != "/healthz":
            print(f"{self.command} {path} {args[1] if len(args) > 1 else ''}", flush=True)


def address(port: int) -> tuple[str, int]:
    """Where to listen: on `PORT` if the environment has it, else on the container's own port.

    Pods that share one machine have a loopback address; then nobody outside may connect.
    """
    pod_ip = os.environ.get("POD_IP", "")
    host = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    return host, int(os.environ.get("PORT", port))


def serve(name: str, version: str, port: int, respond: Respond = describe) -> None:
    """Listen until SIGTERM or Ctrl-C."""
    pod = os.environ.get("HOSTNAME") or socket.gethostname()
    server = Server(address(port), Service(name=name, version=version, pod=pod), respond)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{name} {version} listens on port {server.server_address[1]}", flush=True)
    stop.wait()
    server.drain()


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(f"usage: {sys.argv[0]} NAME VERSION PORT")
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
