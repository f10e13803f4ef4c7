"""Where a request brings tokens and passwords. Pure."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import parse_qsl

from meshgate.bridge.openid.problems import RefusedError
from meshgate.bridge.request import Request
from meshgate.model.policies.openid import BODY_BYTES, CredentialPlace, CredentialSources

_BEARER_HEADERS = ("authorization", "access-token", "x-access-token")
_REFRESH_HEADERS = ("refresh-token", "x-refresh-token")


@dataclass(frozen=True, slots=True, kw_only=True)
class Credential:
    """A token, or a name with its password, and where it was."""

    value: str
    name: str = ""
    header: str = ""
    parameter: tuple[str, ...] = ()
    """Of the query."""
    cookie: str = ""


class Arguments:
    """What a request brings by name, read once."""

    def __init__(self, request: Request) -> None:
        self.request = request
        self._query = request.query
        self._form: tuple[tuple[str, str], ...] | None = None

    @property
    def form(self) -> tuple[tuple[str, str], ...]:
        """Texts of the body, where it is a form or a JSON object and wholly there."""
        if self._form is None:
            self._form = tuple(_read_form(self.request))
        return self._form

    def query(self, name: str) -> str | None:
        """The only parameter of that name. Raises `RefusedError` where there are several."""
        return self._one(self._query, name)

    def posted(self, name: str) -> str | None:
        """The same of the body."""
        return self._one(self.form, name)

    def anywhere(self, name: str) -> str | None:
        """Of the query, the body or a header, the first that has it."""
        found = self.query(name)
        found = self.posted(name) if found is None else found
        return self.request.header(name.lower()) if found is None else found

    @staticmethod
    def _one(pairs: tuple[tuple[str, str], ...], name: str) -> str | None:
        found = {value for key, value in pairs if key == name}
        if len(found) > 1:
            raise RefusedError("a parameter is there twice")
        return next(iter(found), None)


def _read_form(request: Request) -> Iterator[tuple[str, str]]:
    kind = (request.header("content-type") or "").partition(";")[0].strip().lower()
    if not request.body or len(request.body) >= BODY_BYTES:
        return
    if kind == "application/x-www-form-urlencoded":
        yield from parse_qsl(request.body.decode("latin-1"), keep_blank_values=True)
    elif kind == "application/json":
        try:
            found = json.loads(request.body)
        except (ValueError, RecursionError):
            return
        if isinstance(found, dict):
            yield from ((key, value) for key, value in found.items() if isinstance(value, str))


def bearer(sources: CredentialSources, arguments: Arguments) -> Credential | None:
    """The request's token. Raises `RefusedError` where it brings several that differ."""
    found = list(_bearers(sources, arguments))
    if len({credential.value for credential in found}) > 1:
        raise RefusedError("several tokens")
    return found[0] if found else None


def _bearers(sources: CredentialSources, arguments: Arguments) -> Iterator[Credential]:
    request = arguments.request
    if CredentialPlace.HEADER in sources.bearer:
        for name in (sources.bearer_header,) if sources.bearer_header else _BEARER_HEADERS:
            for line in request.values(name):
                scheme, blank, value = line.strip().partition(" ")
                if scheme.lower() == "bearer" and blank:
                    yield Credential(value=value.strip(), header=name)
                elif name != "authorization" and not blank and scheme:
                    yield Credential(value=scheme, header=name)
    if CredentialPlace.QUERY in sources.bearer:
        for key, value in request.query:
            if key == "access_token":
                yield Credential(value=value, parameter=(key,))
    if CredentialPlace.BODY in sources.bearer and (value := arguments.posted("access_token") or ""):
        yield Credential(value=value)
    if CredentialPlace.COOKIE in sources.bearer:
        for key, value in request.cookies:
            if key == sources.bearer_cookie:
                yield Credential(value=value, cookie=key)


def refresh_token(sources: CredentialSources, arguments: Arguments) -> Credential | None:
    """A token that gets other tokens."""
    name = sources.refresh_token_name
    if CredentialPlace.HEADER in sources.refresh_token:
        own = () if name == "refresh_token" else (name.lower(),)
        for header in (*own, *_REFRESH_HEADERS):
            if value := arguments.request.header(header):
                return Credential(value=value.removeprefix("Bearer "), header=header)
    if CredentialPlace.QUERY in sources.refresh_token and (value := arguments.query(name)):
        return Credential(value=value, parameter=(name,))
    if CredentialPlace.BODY in sources.refresh_token and (value := arguments.posted(name)):
        return Credential(value=value)
    return None


def password(places: frozenset[CredentialPlace], arguments: Arguments) -> Credential | None:
    """A user's name and password."""
    return _pair(places, arguments, "username", "password")


def client_secret(places: frozenset[CredentialPlace], arguments: Arguments) -> Credential | None:
    """A client's id and secret."""
    return _pair(places, arguments, "client_id", "client_secret")


def _pair(
    places: frozenset[CredentialPlace], arguments: Arguments, name: str, secret: str
) -> Credential | None:
    if CredentialPlace.HEADER in places and (found := _basic(arguments.request)) is not None:
        return found
    if CredentialPlace.QUERY in places:
        user, word = arguments.query(name), arguments.query(secret)
        if user and word:
            return Credential(name=user, value=word, parameter=(name, secret))
    if CredentialPlace.BODY in places:
        user, word = arguments.posted(name), arguments.posted(secret)
        if user and word:
            return Credential(name=user, value=word)
    return None


def _basic(request: Request) -> Credential | None:
    lines = request.values("authorization")
    scheme, _, encoded = (lines[0] if len(lines) == 1 else "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, word = base64.b64decode(encoded.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return Credential(name=name, value=word, header="authorization") if colon and name else None
