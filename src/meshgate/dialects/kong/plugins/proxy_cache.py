"""Kong's `proxy-cache`: answers are kept and given again (schema of Kong 3.9.3)."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, HeaderName, Report, Word
from meshgate.dialects.schema import Items, show
from meshgate.model.policies.cached import ProxyCache

_TYPE = re.compile(r"\s*[\w!#$&^.+*-]+/[\w!#$&^.+*-]+\s*(?:;.*)?", re.ASCII)
_MAX_S = 2**31 - 1


class MemoryConfig(Config):
    """Where answers are kept."""

    dictionary_name: Word = "kong_db_cache"


class ResponseHeadersConfig(Config):
    """Which headers tell the client about the cache."""

    age: bool = True
    status: Annotated[bool, Field(alias="X-Cache-Status")] = True
    key: Annotated[bool, Field(alias="X-Cache-Key")] = True


class ProxyCacheConfig(Config):
    """Every field of the plugin."""

    response_code: Items[Annotated[int, Field(ge=100, le=900)]] = (200, 301, 404)
    request_method: Items[Literal["HEAD", "GET", "POST", "PATCH", "PUT"]] = ("GET", "HEAD")
    content_type: Items[str] = ("text/plain", "application/json")
    cache_ttl: Annotated[int, Field(ge=1, le=_MAX_S)] = 300
    strategy: Literal["memory"]
    cache_control: bool = False
    ignore_uri_case: bool = False
    storage_ttl: Annotated[int, Field(ge=0, le=_MAX_S)] | None = None
    memory: MemoryConfig = MemoryConfig()
    vary_query_params: Items[str] = ()
    vary_headers: Items[HeaderName] = ()
    response_headers: ResponseHeadersConfig = ResponseHeadersConfig()


def lower_proxy_cache(config: ProxyCacheConfig, report: Report) -> ProxyCache:
    """The policy; its route and service are named by `link`."""
    for number, kind in enumerate(config.content_type):
        if not _TYPE.fullmatch(kind):
            report.error(
                "MG2103",
                ("content_type", number),
                f"must be a media type, got {show(kind)}",
                "write type/subtype, or * in place of either",
            )
    for field in ("response_code", "request_method", "content_type"):
        if not getattr(config, field):
            report.error("MG2103", (field,), "must name at least one, or nothing is ever kept")
    shown = config.response_headers
    return ProxyCache(
        response_codes=tuple(sorted(set(config.response_code))),
        methods=tuple(sorted(set(config.request_method))),
        content_types=tuple(dict.fromkeys(config.content_type)),
        ttl_s=config.cache_ttl,
        cache_control=config.cache_control,
        storage_ttl_s=config.storage_ttl,
        dictionary=config.memory.dictionary_name,
        ignore_path_case=config.ignore_uri_case,
        vary_parameters=tuple(sorted(set(config.vary_query_params))),
        vary_headers=tuple(sorted(set(config.vary_headers))),
        show_age=shown.age,
        show_status=shown.status,
        show_key=shown.key,
        origin=report.origin(),
    )
