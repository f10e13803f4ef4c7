"""Where services of ours answer, by the newest configuration."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

from meshgate.core.secret import Secret
from meshgate.model.policies.receivers import server_of
from meshgate.model.service import EMPTY


class Places:
    """Asked anew for each connection: pods come and go while receivers stay."""

    def __init__(self, found: Mapping[str, str] = EMPTY) -> None:
        self._found = found

    def replace(self, found: Mapping[str, str]) -> None:
        """`host:port` of a service -> `address:port` of a pod of it."""
        self._found = found

    def of(self, host: str, port: int) -> tuple[str, int]:
        """Address and port to connect to; host and port themselves where no service of ours is meant."""
        place = self._found.get(f"{host}:{port}")
        if place is None:
            return host, port
        address, _, number = place.rpartition(":")
        return address, int(number)


class HttpTarget:
    """A URL whose host may be a service of ours."""

    def __init__(self, endpoint: Secret, places: Places) -> None:
        self._parts = urlsplit(endpoint.reveal_text())
        self._server, self._places = server_of(endpoint), places
        self.host = self._parts.netloc.rpartition("@")[2]
        """What the Host header says, wherever the connection leads."""

    @property
    def tls_name(self) -> str | None:
        """The name that the server is asked by; None without TLS."""
        return self._server[0] if self._parts.scheme == "https" else None

    def url(self) -> str:
        """Where to send now, without a user's name and password."""
        place = self._places.of(*self._server)
        netloc = self.host if place == self._server else f"{place[0]}:{place[1]}"
        return urlunsplit((self._parts.scheme, netloc, self._parts.path or "/", self._parts.query, ""))
