"""Whatever stands in a field, lowering ends in diagnostics, never in an exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.core.diagnostics import has_errors
from meshgate.dialects.kong import KINDS
from meshgate.model.declared import Declared
from tests.documents import from_object

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=20)
)
TELLING = st.sampled_from(
    ["*", "%", "(((", "[a", "\\", "1ms", "-1s", "mesh", "/", ":", "\ud800", "²", 65536, -1]
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS | TELLING,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)

FULL: dict[str, Any] = {
    "KongPlugin": {
        "plugin": "jwt",
        "protocols": ["http", "https", "grpc", "grpcs"],
        "config": {
            "header_names": ["authorization"],
            "claims_to_verify": ["exp"],
            "maximum_expiration": 60,
            "realm": "shop",
        },
    },
    "KongClusterPlugin": {
        "config": {
            "second": 1,
            "minute": 2,
            "limit_by": "header",
            "header_name": "x-team",
            "policy": "redis",
            "sync_rate": -1,
            "error_code": 429,
            "redis": {"host": "redis", "password": "hush"},
            "redis_username": "a",
        },
    },
    "KongConsumer": {"username": "alice", "custom_id": "1", "credentials": ["alice-key"]},
}


def places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """The paths of everything in a JSON value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, inner in items for found in places(inner, (*path, key)))]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_a_hostile_value_anywhere_is_a_diagnostic_at_worst(data: st.DataObject) -> None:
    parser = data.draw(st.sampled_from([k for k in KINDS if k.kind in FULL]))
    obj = {
        "apiVersion": f"{parser.group}/v1",
        "kind": parser.kind,
        "metadata": {"name": "a", "annotations": {"kubernetes.io/ingress.class": "kong"}},
        **json.loads(json.dumps(FULL[parser.kind])),
    }
    path = data.draw(st.sampled_from([p for p in places(obj) if p and p[0] in FULL[parser.kind]]))
    node: Any = obj
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = data.draw(VALUES)
    document, _ = from_object(obj)
    assert document is not None
    lowered = parser.lower(document)
    assert has_errors(lowered.diagnostics) or lowered.declared != Declared()
    assert all(str(d).startswith("<api>: ") for d in lowered.diagnostics)
