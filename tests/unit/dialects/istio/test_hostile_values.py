"""Whatever stands in a field, lowering ends in diagnostics, never in an exception."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.core.diagnostics import has_errors
from meshgate.dialects.istio import KINDS
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
    "VirtualService": {
        "hosts": ["payment"],
        "gateways": ["mesh"],
        "exportTo": ["."],
        "http": [
            {
                "match": [
                    {
                        "uri": {"prefix": "/a"},
                        "method": {"regex": "GET"},
                        "headers": {"x-a": {"exact": "a"}},
                        "queryParams": {"q": {}},
                        "port": 80,
                        "sourceLabels": {"app": "a"},
                    }
                ],
                "route": [
                    {"destination": {"host": "a", "subset": "v1", "port": {"number": 80}}, "weight": 1},
                    {"destination": {"host": "b"}, "weight": 1},
                ],
                "timeout": "1s",
                "retries": {"attempts": 1, "retryOn": "503,reset", "perTryTimeout": "1s"},
                "fault": {
                    "delay": {"fixedDelay": "1s", "percentage": {"value": 1}},
                    "abort": {"grpcStatus": "OK", "percentage": {"value": 1}},
                },
                "headers": {"request": {"set": {"a": "b"}, "add": {"c": "d"}, "remove": ["e"]}},
                "mirror": {"host": "c"},
                "rewrite": {"uriRegexRewrite": {"match": "(a)", "rewrite": "\\1"}},
                "corsPolicy": {"allowOrigins": [{"exact": "a"}], "maxAge": "1s"},
            },
            {"redirect": {"uri": "/a", "port": 80}},
            {"directResponse": {"status": 200, "body": {"string": "a"}}},
            {"directResponse": {"status": 200, "body": {"bytes": "aGk="}}},
        ],
    },
    "DestinationRule": {
        "host": "payment",
        "trafficPolicy": {
            "loadBalancer": {"consistentHash": {"httpCookie": {"name": "a", "ttl": "1s"}, "maglev": {}}},
            "connectionPool": {"tcp": {"tcpKeepalive": {"time": "1s"}}, "http": {"maxRetries": 1}},
            "outlierDetection": {"consecutiveErrors": 1, "interval": "1s"},
            "tls": {"mode": "SIMPLE"},
            "portLevelSettings": [{"port": {"number": 80}}],
        },
        "subsets": [{"name": "v1", "labels": {"a": "b"}}],
    },
    "PeerAuthentication": {
        "selector": {"matchLabels": {"a": "b"}},
        "mtls": {"mode": "STRICT"},
        "portLevelMtls": {"80": {"mode": "DISABLE"}},
    },
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
        "metadata": {"name": "a"},
        "spec": json.loads(json.dumps(FULL[parser.kind])),
    }
    path = data.draw(st.sampled_from(list(places(obj["spec"], ("spec",)))))
    node: Any = obj
    for part in path[:-1]:
        node = node[part]
    node[path[-1]] = data.draw(VALUES)
    document, _ = from_object(obj)
    assert document is not None
    lowered = parser.lower(document)
    assert has_errors(lowered.diagnostics) or lowered.declared != Declared()
    assert all(str(d).startswith("<api>: ") for d in lowered.diagnostics)
