"""The values of authorization rules, and `when` keys, checked and made conditions.

A value that no request can ever have is an error, not a rule without effect: in a DENY
policy it would leave open what it was written to close.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from urllib.parse import unquote

from meshgate.model.authorization import Attribute, Condition

_CLAIMS = re.compile(r"request\.auth\.claims((?:\[[^\[\]]+\])+)")
_HEADER = re.compile(r"request\.headers\[(:?[A-Za-z0-9!#$%&'*+.^_`|~-]+)\]")
_PART = re.compile(r"\[([^\[\]]+)\]")
_TEMPLATE = re.compile(r"\{\*\*?\}")
_ESCAPE = re.compile(r"%[0-9A-Fa-f]{2}")
_UNRESERVED = re.compile(r"[A-Za-z0-9._~/\\-]")
MAX_VALUE = 2048
"""Characters of one value."""

_PLAIN_KEYS: Mapping[str, Attribute] = MappingProxyType(
    {
        attribute.value: attribute
        for attribute in (
            Attribute.SOURCE_IP,
            Attribute.REMOTE_IP,
            Attribute.NAMESPACE,
            Attribute.SERVICE_ACCOUNT,
            Attribute.PRINCIPAL,
            Attribute.REQUEST_PRINCIPAL,
            Attribute.AUDIENCES,
            Attribute.PRESENTER,
            Attribute.DESTINATION_IP,
            Attribute.DESTINATION_PORT,
            Attribute.SNI,
        )
    }
)
WHEN_KEYS = (*_PLAIN_KEYS, "request.headers[...]", "request.auth.claims[...]")


def when_key(text: str) -> tuple[Attribute, tuple[str, ...]] | None:
    """The attribute that a condition's key names, and the way into it; None for any other text."""
    if (plain := _PLAIN_KEYS.get(text)) is not None:
        return plain, ()
    if found := _HEADER.fullmatch(text):
        return Attribute.HEADER, (found[1].lower(),)
    if found := _CLAIMS.fullmatch(text):
        return Attribute.CLAIM, tuple(_PART.findall(found[1]))
    return None


def value_problem(attribute: Attribute, text: str) -> str:
    """Why no request can have this value, or an empty string."""
    if not text:
        return "must not be empty"
    if len(text) > MAX_VALUE:
        return f"must have at most {MAX_VALUE} characters"
    if any(ord(c) < 32 or c == "\x7f" for c in text):
        return "must not have control characters"
    check = _CHECKS.get(attribute)
    return check(text) if check else ""


def condition(
    attribute: Attribute,
    values: Sequence[str],
    not_values: Sequence[str] = (),
    *,
    key: tuple[str, ...] = (),
    namespace: str = "",
) -> Condition:
    """A condition with its values in one form: addresses as blocks, accounts with a namespace."""
    return Condition(
        attribute=attribute,
        key=key,
        values=tuple(_normal(attribute, v, namespace) for v in values),
        not_values=tuple(_normal(attribute, v, namespace) for v in not_values),
    )


def _normal(attribute: Attribute, text: str, namespace: str) -> str:
    match attribute:
        case Attribute.SOURCE_IP | Attribute.REMOTE_IP | Attribute.DESTINATION_IP:
            return str(ipaddress.ip_network(text, strict=False))
        case Attribute.DESTINATION_PORT:
            return str(int(text))
        case Attribute.SERVICE_ACCOUNT if "/" not in text:
            return f"{namespace}/{text}"
        case _:
            return text


def _address(text: str) -> str:
    try:
        ipaddress.ip_network(text, strict=False)
    except ValueError:
        return "must be an IP address or a CIDR block"
    return ""


def _port(text: str) -> str:
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 5 else 0
    return "" if 1 <= number <= 65535 else "must be a port from 1 to 65535"


def _star_at_an_end(text: str) -> str:
    inner = text[1:] if text.startswith("*") else text[:-1] if text.endswith("*") else text
    return "must have `*` at its beginning or at its end only" if "*" in inner else ""


def _principal(text: str) -> str:
    if "://" in text:
        return "must be written without spiffe://"
    return _star_at_an_end(text)


def _account(text: str) -> str:
    parts = text.split("/")
    if "*" in text or len(parts) > 2 or not all(parts):
        return "must be an account or namespace/account, without `*`"
    return ""


def _host(text: str) -> str:
    if "/" in text or any(c.isspace() for c in text):
        return "must be a host, without scheme and path"
    if not text.isascii():
        return "must be in its ASCII form (xn--...), as requests have it"
    return _star_at_an_end(text)


def _method(text: str) -> str:
    if text != text.upper():
        return "must be in upper case, as the methods of requests are"
    return _star_at_an_end(text)


def _path(text: str) -> str:
    """Paths are compared in their normalised form, without a query."""
    if not text.startswith(("/", "*")):
        return "must begin with `/` or `*`"
    if not text.isascii() or " " in text:
        return "must have other characters than ASCII percent-encoded"
    if "?" in text or "#" in text:
        return "must not have a query or a fragment: the path alone is compared"
    if "{" in text or "}" in text:
        return _template(text)
    problem = _star_at_an_end(text)
    return problem or _not_normal(text.strip("*") if text != "*" else "/")


def _template(text: str) -> str:
    segments = text.split("/")[1:]
    for index, segment in enumerate(segments):
        if "{" in segment or "}" in segment:
            if _TEMPLATE.fullmatch(segment) is None:
                return "must have `{*}` or `{**}` as a whole segment"
            if segment == "{**}" and any("{" in later for later in segments[index + 1 :]):
                return "must have `{**}` as its last operator"
        elif "*" in segment:
            return "must not have `*` beside `{*}` or `{**}`"
    return _not_normal(text) if text.startswith("/") else "must begin with `/`"


def _not_normal(text: str) -> str:
    said = "is never the path of a request, for paths are normalised first"
    if "//" in text or "\\" in text or any(s in (".", "..") for s in text.split("/")):
        return said
    decoded = (unquote(e, encoding="latin-1") for e in _ESCAPE.findall(text))
    return said if any(_UNRESERVED.fullmatch(c) for c in decoded) else ""


_CHECKS: Mapping[Attribute, Callable[[str], str]] = MappingProxyType(
    {
        Attribute.SOURCE_IP: _address,
        Attribute.REMOTE_IP: _address,
        Attribute.DESTINATION_IP: _address,
        Attribute.DESTINATION_PORT: _port,
        Attribute.PRINCIPAL: _principal,
        Attribute.SERVICE_ACCOUNT: _account,
        Attribute.TRUST_DOMAIN: _star_at_an_end,
        Attribute.REQUEST_PRINCIPAL: _star_at_an_end,
        Attribute.METHOD: _method,
        Attribute.HOST: _host,
        Attribute.PATH: _path,
    }
)
