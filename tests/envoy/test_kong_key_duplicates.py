"""Kong's `key-auth` and keys that are there several times, on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import NATIVE, Ask, asked, consumer, plugin, route

ONE, TWO = ("apikey", "one"), ("apikey", "two")
MANIFESTS = (
    plugin("both", "key-auth", "{key_names: [apikey, x-key], realm: shop}")
    + plugin("query", "key-auth", "{key_in_header: false}")
    + route("both", "both")
    + route("query", "query")
    + consumer("alice", {"a": ("key-auth", {"key": "one"}), "b": ("key-auth", {"key": "a,b"})})
)
REFUSED = (
    Ask("/both", headers=(ONE, ONE)),
    Ask("/both", headers=(ONE, TWO)),
    Ask("/both", headers=(("x-key", "one"), ("x-key", "two"))),
    Ask("/both?apikey=one&apikey=one"),
    Ask("/both?a=b&apikey=one&c=d&apikey=two&e"),
    Ask("/both?apikey=one&%61pike%79=two"),
    Ask("/both?x-key=one&x-key=two"),
    Ask("/query?apikey=one&apikey", headers=(ONE,)),
)
PASSED = (
    Ask("/both", headers=(ONE,)),
    Ask("/both?apikey=a,b"),
    Ask("/both?apikey=two&apikey=three", headers=(ONE,)),  # the header has it
    Ask("/both?apikey=one&apikeys=two&xapikey=three&a=apikey=four"),
    Ask("/both?apikey=one&x-key=a&x-key=b"),
    Ask("/query?apikey=one", headers=(ONE, TWO)),
)


@pytest.mark.envoy
@NATIVE
def test_a_key_that_is_there_twice(native: bool, tmp_path: Path) -> None:
    unknown = (Ask("/both", headers=(("apikey", "x,y"),)), Ask("/both"))
    answers = asked(MANIFESTS, (*REFUSED, *PASSED, *unknown), tmp_path, native=native)
    refused, passed = answers[: len(REFUSED)], answers[len(REFUSED) : -2]
    assert [(a.status, a.message) for a in refused] == [(401, "Duplicate API key found")] * len(REFUSED)
    assert {a.header("www-authenticate") for a in refused[:-1]} == {'Key realm="shop"'}
    assert refused[-1].header("www-authenticate") == "Key"
    assert [a.reached for a in passed] == [True] * len(PASSED)
    # A key with a comma that nobody has cannot be told from two.
    assert [a.status for a in answers[-2:]] == [401, 401]
