"""The request as a client sends it, and the headers as routes compare them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request as the client sends it."""

    authority: str
    """`host` or `host:port`."""
    method: str = "GET"
    path: str = "/"
    """With its query string."""
    headers: tuple[tuple[str, str], ...] = ()
    scheme: str = "http"


def compared_headers(request: Request, path: str, dropped: Iterable[str] = ()) -> dict[str, str]:
    """Lower-case name -> value, with the pseudo headers; values of one name are joined as by Envoy."""
    found: dict[str, str] = {}
    gone = frozenset(dropped)
    for name, value in request.headers:
        key = name.lower()
        if key in gone or key.startswith((":", "@")) or key == "host":
            continue
        joint = "; " if key == "cookie" else ","
        found[key] = f"{found[key]}{joint}{value}" if key in found else value
    return found | {
        ":method": request.method,
        ":authority": request.authority,
        ":path": path,
        ":scheme": request.scheme,
    }
