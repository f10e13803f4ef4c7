"""What a stand-in says to a request: what arrived, as JSON.

Two paths do more, for those who try retries, health checks and timeouts: one that ends in `/status/CODE`
answers with that code, one that ends in `/delay/SECONDS` waits first (ten at most).
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from dataclasses import dataclass, field

from meshgate.standins.identity import Identity

_SHOWN_BYTES = 4096
"""Of a body that is text; its length and digest tell of the rest."""
_STATUS = re.compile(r"/status/([2-5]\d\d)/?")
_DELAY = re.compile(r"/delay/(\d{1,2}(?:\.\d{1,3})?)/?")
_LONGEST_DELAY_S = 10.0
_WITHOUT_BODY = frozenset({204, 205, 304})


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """The head of a request."""

    method: str
    target: str
    """Path and query, as they came."""
    host: str
    protocol: str
    """`HTTP/1.1`, `HTTP/2`."""
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in their order."""
    port: int
    """The container's port."""
    tls: bool = False

    def header(self, name: str) -> str:
        """Its first value; empty where there is none."""
        return next((value for key, value in self.headers if key == name), "")


@dataclass(slots=True)
class Body:
    """Counts a body that passes, keeps its beginning."""

    size: int = 0
    _digest: hashlib._Hash = field(default_factory=hashlib.sha256)
    _start: bytearray = field(default_factory=bytearray)

    def take(self, data: bytes) -> None:
        """The next part of it."""
        self.size += len(data)
        self._digest.update(data)
        self._start += data[: _SHOWN_BYTES - len(self._start)]

    def told(self) -> dict[str, object]:
        """Its length and digest, and its text where it is one that is not too long."""
        found: dict[str, object] = {"bytes": self.size, "sha256": self._digest.hexdigest()}
        if self.size == len(self._start):
            with contextlib.suppress(UnicodeDecodeError):
                found["text"] = self._start.decode("utf-8")
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""


def delay_s(target: str) -> float:
    """How long the path asks to wait."""
    found = _DELAY.search(_path(target))
    return min(float(found[1]), _LONGEST_DELAY_S) if found and found.end() == len(_path(target)) else 0.0


def tell(request: Request, status: int) -> None:
    """A line of the container's log; without the query, in which keys may be."""
    print(f"{request.method} {_path(request.target)!a} {status}", flush=True)


def answer(identity: Identity, request: Request, body: Body) -> Answer:
    """The same for the same request, whoever probes or asks."""
    path = _path(request.target)
    found = _STATUS.search(path)
    status = int(found[1]) if found and found.end() == len(path) else 200
    headers = (("x-stand-in", identity.header),)
    if status in _WITHOUT_BODY:
        return Answer(status=status, headers=headers)
    told: dict[str, object] = {
        **identity.told(),
        "port": request.port,
        "protocol": request.protocol + (" over TLS" if request.tls else ""),
        "method": request.method,
        "path": request.target,
        "host": request.host,
        "headers": _headers(request.headers),
    }
    if body.size:
        told["body"] = body.told()
    content = json.dumps(told, indent=2).encode() + b"\n"
    return Answer(status=status, headers=(*headers, ("content-type", "application/json")), body=content)


def _path(target: str) -> str:
    return target.partition("?")[0]


def _headers(headers: tuple[tuple[str, str], ...]) -> dict[str, str | list[str]]:
    """Each name once; a list where it came several times."""
    found: dict[str, str | list[str]] = {}
    for name, value in headers:
        known = found.get(name)
        if known is None:
            found[name] = value
        elif isinstance(known, list):
            known.append(value)
        else:
            found[name] = [known, value]
    return found
