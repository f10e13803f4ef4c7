"""A client, a cache and a service whose answers a test says, without any I/O."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from meshgate.bridge.cache.directives import written_date
from meshgate.bridge.cache.exchange import Exchange, Go, Then
from meshgate.bridge.cache.given import Given
from meshgate.bridge.cache.store import Store
from meshgate.bridge.request import Headers, Request
from meshgate.model.policies.cached import ProxyCache
from tests.unit.bridge.tools import NOW

RFC = ProxyCache(cache_control=True)
KONG = ProxyCache()
TEXT = ("content-type", "text/plain")


@dataclass(frozen=True, slots=True)
class Service:
    """What the service answers."""

    status: int = 200
    headers: Headers = ()
    body: bytes = b"body"
    etag: str = ""
    """Answers 304 to whoever has it."""
    kind: str = "text/plain"


@dataclass(frozen=True, slots=True)
class Got:
    """What the client got, and what the service was asked."""

    status: int
    headers: Headers
    body: bytes
    asked: Request | None

    def __getitem__(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    @property
    def cache(self) -> str | None:
        """X-Cache-Status."""
        return self["x-cache-status"]


@dataclass(slots=True)
class World:
    """One policy, one store, and a clock that a test moves."""

    policy: ProxyCache = RFC
    store: Store = field(default_factory=Store)
    now: float = NOW.timestamp()

    def begin(self, request: Request, body: bytes = b"") -> tuple[Exchange, Go | Given]:
        """A request that has come as far as the cache."""
        exchange = Exchange("rule", self.policy, self.store, lambda: self.now)
        said = exchange.request(request, ended=not body)
        if isinstance(said, Go) and said.then is Then.REQUEST_BODY:
            said = exchange.request_body(body, whole=True)
        return exchange, said

    def finish(self, exchange: Exchange, go: Go, request: Request, service: Service) -> Got:
        """The service's answer on its way back."""
        gone = {*go.remove_headers, *(name for name, _ in go.set_headers)}
        rest = tuple(h for h in request.headers if h[0] not in gone)
        asked = replace(request, headers=(*rest, *go.set_headers))
        status, body = service.status, service.body if request.method != "HEAD" else b""
        headers: Headers = (("content-type", service.kind), *service.headers)
        if service.etag:
            headers = (*headers, ("etag", service.etag))
            if service.etag in (asked.header("if-none-match") or ""):
                status, body = 304, b""
        if not any(name == "date" for name, _ in headers):
            headers = (*headers, ("date", written_date(self.now)))
        if go.then is not Then.RESPONSE:
            return Got(status, headers, body, asked)
        said = exchange.response(status, ((":status", str(status)), *headers), ended=not body)
        if isinstance(said, Given):
            exchange.end()
            return Got(said.status, (*said.headers, *said.added), said.body, asked)
        if said.then is Then.RESPONSE_BODY:
            half = len(body) // 2
            if exchange.response_body(body[:half], ended=False).then is Then.RESPONSE_BODY:
                exchange.response_body(body[half:], ended=True)
        exchange.end()
        return Got(status, (*headers, *said.set_headers), body, asked)

    def ask(self, request: Request, service: Service | None = None, body: bytes = b"") -> Got:
        """A request and what comes of it; without a service it must be answered from what is kept."""
        exchange, said = self.begin(request, body)
        if isinstance(said, Given):
            exchange.end()
            return Got(said.status, (*said.headers, *said.added), said.body, None)
        assert service is not None, "the service was asked"
        return self.finish(exchange, said, request, service)


def get(
    path: str = "/", *headers: tuple[str, str], method: str = "GET", host: str = "shop.example"
) -> Request:
    """A request."""
    return Request(method=method, scheme="https", host=host, path=path, headers=headers)


def controlled(value: str, *more: tuple[str, str], etag: str = "", body: bytes = b"body") -> Service:
    """A service with that Cache-Control."""
    return Service(headers=(("cache-control", value), *more), etag=etag, body=body)
