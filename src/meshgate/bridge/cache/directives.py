"""The directives of Cache-Control, as a shared cache reads them (RFC 9111, section 5.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

MOST_S = 2**31
"""A longer time counts as this (RFC 9111, section 1.2.2)."""

_DIRECTIVE = re.compile(
    r"""[\s,]*([!#$%&'*+.^_`|~0-9A-Za-z-]+)(?:\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s,"]*)))?([^,]*)""", re.ASCII
)
_SECONDS = re.compile(r"[0-9]+", re.ASCII)

Parsed = dict[str, list[str | None]]
"""Directive, in lower case -> its arguments, one for each time that it is there; None: without one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDirectives:
    """What a client asks of caches (section 5.2.1). Times are in seconds; None: not asked for."""

    no_store: bool = False
    no_cache: bool = False
    only_if_cached: bool = False
    max_age: int | None = None
    min_fresh: int | None = None
    max_stale: int | None = None
    """`MOST_S` where any age is welcome."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseDirectives:
    """What a service allows caches (section 5.2.2; RFC 5861 for the two `stale_*`)."""

    no_store: bool = False
    no_cache: bool = False
    """Also where it names fields: all of the answer is meant then, which is always safe."""
    private: bool = False
    """The same."""
    public: bool = False
    must_revalidate: bool = False
    proxy_revalidate: bool = False
    must_understand: bool = False
    max_age: int | None = None
    s_maxage: int | None = None
    stale_while_revalidate: int = 0
    stale_if_error: int = 0

    @property
    def never_stale(self) -> bool:
        """No stale answer may be given, whoever asks (section 4.2.4; `s-maxage` implies it, 5.2.2.10)."""
        return self.must_revalidate or self.proxy_revalidate or self.s_maxage is not None or self.no_cache


def request_directives(lines: Iterable[str]) -> RequestDirectives:
    """Of a request's Cache-Control, one text for each line of it."""
    found = _parse(lines)
    max_stale = found.get("max-stale")
    any_stale = max_stale is not None and any(not value for value in max_stale)
    return RequestDirectives(
        no_store="no-store" in found,
        no_cache="no-cache" in found,
        only_if_cached="only-if-cached" in found,
        max_age=_least(found, "max-age"),
        min_fresh=_most(found, "min-fresh"),
        max_stale=MOST_S if any_stale else _least(found, "max-stale"),
    )


def response_directives(lines: Iterable[str]) -> ResponseDirectives:
    """Of an answer's Cache-Control, one text for each line of it."""
    found = _parse(lines)
    return ResponseDirectives(
        no_store="no-store" in found,
        no_cache="no-cache" in found,
        private="private" in found,
        public="public" in found,
        must_revalidate="must-revalidate" in found,
        proxy_revalidate="proxy-revalidate" in found,
        must_understand="must-understand" in found,
        max_age=_least(found, "max-age"),
        s_maxage=_least(found, "s-maxage"),
        stale_while_revalidate=_least(found, "stale-while-revalidate") or 0,
        stale_if_error=_least(found, "stale-if-error") or 0,
    )


def delta_seconds(text: str | None) -> int | None:
    """A number of seconds; None for anything else (section 1.2.2)."""
    if text is None or not _SECONDS.fullmatch(text):
        return None
    return min(int(text), MOST_S) if len(text) <= 10 else MOST_S


def http_date(text: str | None) -> float | None:
    """Seconds since 1970 of an HTTP date; None for what is none (RFC 9110, section 5.6.7)."""
    if not text:
        return None
    try:
        found = parsedate_to_datetime(text)
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def written_date(at: float) -> str:
    """The HTTP date of a time in seconds since 1970."""
    return datetime.fromtimestamp(at, UTC).strftime("%a, %d %b %Y %H:%M:%S GMT")


def _parse(lines: Iterable[str]) -> Parsed:
    found: Parsed = {}
    for match in _DIRECTIVE.finditer(", ".join(lines)):
        name, quoted, plain, rest = match.groups()
        value = plain if quoted is None else re.sub(r"\\(.)", r"\1", quoted)
        # What stands behind an argument makes it unreadable, and so never a longer time.
        found.setdefault(name.lower(), []).append("?" if rest.strip() else value)
    return found


def _least(found: Parsed, name: str) -> int | None:
    """The shortest time of a directive that is there several times; unreadable ones are 0 (section 4.2.1)."""
    if name not in found:
        return None
    return min(delta_seconds(value) or 0 for value in found[name])


def _most(found: Parsed, name: str) -> int | None:
    """The strictest reading of a least time; unreadable ones ask for more than there can be."""
    if name not in found:
        return None
    seconds = (delta_seconds(value) for value in found[name])
    return max(MOST_S if s is None else s for s in seconds)
