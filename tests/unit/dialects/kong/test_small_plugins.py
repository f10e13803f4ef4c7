"""The plugins that only refuse or change: values that Envoy would choke on end in a diagnostic."""

from __future__ import annotations

import pytest

from meshgate.model.policies.change import FieldChanges, IdGenerator
from meshgate.model.policy import (
    CorrelationId,
    CrossOrigin,
    IpRestriction,
    Redirection,
    RequestSize,
    RequestTransformer,
    Termination,
)
from tests.unit.dialects.reading import declared, read


def _text(plugin: str, config: str) -> str:
    return (
        "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: x}\n"
        f"plugin: {plugin}\nconfig: {config}\n"
    )


def _policy(plugin: str, config: str) -> object:
    (found,) = declared(_text(plugin, config)).plugins
    return found.policy


def test_defaults_are_kongs() -> None:
    size = _policy("request-size-limiting", "{}")
    assert isinstance(size, RequestSize)
    assert (size.max_body_bytes, size.require_content_length) == (128 * 2**20, False)
    ended = _policy("request-termination", "{}")
    assert isinstance(ended, Termination)
    assert (ended.status, ended.body) == (503, '{"message":"Service unavailable"}')
    named = _policy("correlation-id", "{}")
    assert isinstance(named, CorrelationId)
    assert (named.header_name, named.generator) == ("Kong-Request-ID", IdGenerator.UUID_COUNTER)
    cors = _policy("cors", "{}")
    assert isinstance(cors, CrossOrigin)
    assert (cors.any_origin, cors.credentials, cors.allow_origin_absent) == (True, False, True)
    moved = _policy("redirect", "{location: 'https://a.example/b'}")
    assert isinstance(moved, Redirection)
    assert (moved.status, moved.location, moved.keep_path) == (301, "https://a.example/b", False)
    allowed = _policy("ip-restriction", "{allow: [10.1.2.3/8, 10.0.0.0/8, '::1']}")
    assert isinstance(allowed, IpRestriction)
    assert (allowed.allow, allowed.status) == (("10.0.0.0/8", "::1/128"), 403)


def test_values_become_formats_and_stay_what_they_say() -> None:
    found = _policy(
        "request-transformer",
        "{add: {headers: ['a:50% of $(headers[\"x-b\"])$(query_params.q)', 'b:c:d']}}",
    )
    assert isinstance(found, RequestTransformer)
    assert found.headers == FieldChanges(add=(("a", "50%% of %REQ(x-b)%%QUERY_PARAM(q)%"), ("b", "c:d")))


@pytest.mark.parametrize(
    ("plugin", "config"),
    [
        ("correlation-id", "{header_name: 'a%REQ(b)%'}"),
        ("cors", "{exposed_headers: ['%a']}"),
        ("ip-restriction", "{allow: ['fe80::1%eth0']}"),
        ("redirect", "{location: 'https://[::1'}"),
        ("redirect", "{location: \"https://a.example/\\r\\nX: y\"}"),
        ("request-termination", "{message: \"a\\nb\"}"),
        ("request-termination", "{trigger: 'a b'}"),
        ("request-transformer", "{add: {headers: ['a%b:c']}}"),
        ("request-transformer", "{add: {headers: ['x-meshgate-groups:,admin,']}}"),
        ("request-transformer", "{add: {headers: [\"a:b\\r\\nc: d\"]}}"),
        ("request-transformer", "{add: {headers: ['a:$(headers.é)']}}"),
        ("request-transformer", "{rename: {headers: ['a:host']}}"),
        ("request-transformer", "{append: {querystring: ['a&b:c']}}"),
        ("request-transformer", "{replace: {uri: '/a?b'}}"),
        ("request-transformer", "{http_method: 'P\"T'}"),
        ("response-transformer", "{append: {headers: [':status:200']}}"),
    ],
)  # fmt: skip
def test_what_envoy_could_not_take_closes_the_plugin(plugin: str, config: str) -> None:
    lowered = read(_text(plugin, config))
    (found,) = lowered.declared.plugins
    assert found.policy is None
    assert found.problem
    assert {d.code for d in lowered.diagnostics} <= {"MG2103", "MG1104"}
