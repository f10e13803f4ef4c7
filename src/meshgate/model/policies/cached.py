"""The policy that keeps answers."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheLimits:
    """How much of answers is kept, for all routes together."""

    memory_bytes: int = 128 << 20
    """As much as Kong's `kong_db_cache` has."""
    answer_bytes: int = 1 << 20
    """A longer body is not kept; at most a quarter of all memory."""


CACHE_LIMITS = CacheLimits()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxyCache:
    """Kong's `proxy-cache`: answers of the service are kept in memory and given again."""

    response_codes: tuple[int, ...] = (200, 301, 404)
    methods: tuple[str, ...] = ("GET", "HEAD")
    content_types: tuple[str, ...] = ("text/plain", "application/json")
    """Compared with their parameters; `*` stands for any type or subtype."""
    ttl_s: int = 300
    cache_control: bool = False
    """RFC 9111 decides what is kept, and how long; else `ttl_s` alone does."""
    storage_ttl_s: int | None = None
    """For how long stale answers are kept, counted from when they came; None: as long as they are fresh."""
    dictionary: str = "kong_db_cache"
    """Keeps apart what is kept under other names."""
    ignore_path_case: bool = False
    vary_parameters: tuple[str, ...] = ()
    """The parameters of the query that count; empty: all."""
    vary_headers: tuple[str, ...] = ()
    """In lower case."""
    show_age: bool = True
    show_status: bool = True
    show_key: bool = True
    route: str = ""
    """Its label: other routes have answers of their own."""
    service: str = ""
    origin: Origin = BUILT_IN
