"""Pure work on JSON objects: merge patch, three-way apply, content hashes, the view of an object."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping

from meshgate.dialects.document import Json

MAX_DEPTH = 100


def merge_patch(target: Json, patch: Json) -> Json:
    """`target` after a JSON merge patch (RFC 7386); neither is changed."""
    if not isinstance(patch, Mapping):
        return patch
    merged: dict[str, Json] = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge_patch(merged.get(key), value)
    return merged


def three_way(last: Json, live: Json, wanted: Json) -> Json:
    """What `kubectl apply` makes of `live`: `wanted` over it, without what `last` had and `wanted` has not.

    Maps are merged key by key; everything else, lists too, is replaced.
    """
    if not (isinstance(live, Mapping) and isinstance(wanted, Mapping)):
        return wanted
    before: Mapping[str, Json] = last if isinstance(last, Mapping) else {}
    merged = {k: v for k, v in live.items() if k in wanted or k not in before}
    for key, value in wanted.items():
        if key in live:
            merged[key] = three_way(before.get(key), live[key], value)
        else:
            merged[key] = value
    return merged


def content_hash(data: Json) -> str:
    """16 hex digits; equal for equal JSON values, whatever the order of keys."""
    text = json.dumps(data, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


def desired(data: Mapping[str, Json]) -> dict[str, Json]:
    """An object without its metadata and status: what its generation counts."""
    return {k: v for k, v in data.items() if k not in ("metadata", "status")}


def too_deep(data: Json) -> bool:
    """Whether a JSON value has more levels than a manifest may have."""
    level: list[Json] = [data]
    for _ in range(MAX_DEPTH + 1):
        inner: list[Json] = []
        for value in level:
            if isinstance(value, Mapping):
                inner.extend(value.values())
            elif isinstance(value, list | tuple):
                inner.extend(value)
        if not inner:
            return False
        level = inner
    return True


def with_metadata(data: Mapping[str, Json], members: Mapping[str, Json]) -> dict[str, Json]:
    """The object with these members of `metadata` set; the original stays."""
    metadata = data.get("metadata")
    return {**data, "metadata": {**(metadata if isinstance(metadata, Mapping) else {}), **members}}


def encoded_secret(data: Mapping[str, Json]) -> dict[str, Json]:
    """A Secret as an API server stores it: `stringData` moved to `data`, base64."""
    given = data.get("stringData")
    if not isinstance(given, Mapping):
        return dict(data)
    kept = data.get("data")
    both: dict[str, Json] = dict(kept) if isinstance(kept, Mapping) else {}
    for key, value in given.items():
        both[key] = base64.b64encode(str(value).encode(errors="surrogatepass")).decode()
    return {**{k: v for k, v in data.items() if k != "stringData"}, "data": both}
