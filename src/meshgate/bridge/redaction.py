"""Keeps credentials out of what is told of requests: `REDACTED` stands for their values.

Addresses in headers (where somebody is sent, or comes from) are shown as the request's own is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import parse_qsl, unquote_plus

REDACTED = "REDACTED"
_SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "cookie", "set-cookie"})
_ADDRESSES = frozenset({"location", "content-location", "referer"})
_SECRET_PARAMETERS = frozenset({"access_token", "refresh_token", "id_token", "client_secret"})

Headers = dict[str, str | list[str]]


class Redaction:
    """What is shown of requests."""

    def __init__(self, hidden: Iterable[str]) -> None:
        """`hidden`: names, in lower case, of headers and parameters in which a gateway's routes look for
        credentials."""
        names = frozenset(hidden)
        self._headers, self._parameters = _SECRET_HEADERS | names, _SECRET_PARAMETERS | names

    def headers(self, headers: Mapping[str, str | list[str]]) -> Headers:
        """Those that are no pseudo headers, without secrets."""
        return {
            name: self._header(name.lower(), value)
            for name, value in sorted(headers.items())
            if not name.startswith(":")
        }

    def _header(self, name: str, value: str | list[str]) -> str | list[str]:
        if name in self._headers:
            return REDACTED
        if name not in _ADDRESSES:
            return value
        return self.address(value) if isinstance(value, str) else list(map(self.address, value))

    def address(self, url: str) -> str:
        """A URL without secrets, in its fragment too: some flows bring tokens there."""
        before, mark, fragment = url.partition("#")
        return f"{self.uri(before)}{mark}{self._parameters_of(fragment)}"

    def uri(self, path: str) -> str:
        """Path and query, without secrets."""
        before, mark, query = path.partition("?")
        return f"{before}{mark}{self._parameters_of(query)}"

    def _parameters_of(self, query: str) -> str:
        return "&".join(map(self._parameter, query.split("&")))

    def query(self, query: str) -> dict[str, object]:
        """The parameters, without secrets; True for one without a value, a list for several."""
        found: dict[str, object] = {}
        for name, text in parse_qsl(query, keep_blank_values=True):
            value: object = REDACTED if self._is_secret(name) else text or True
            before = found.get(name)
            if before is None:
                found[name] = value
            elif isinstance(before, list):
                before.append(value)
            else:
                found[name] = [before, value]
        return found

    def _parameter(self, text: str) -> str:
        name, equals, _ = text.partition("=")
        return f"{name}={REDACTED}" if equals and self._is_secret(unquote_plus(name)) else text

    def _is_secret(self, name: str) -> bool:
        return name.lower() in self._parameters
