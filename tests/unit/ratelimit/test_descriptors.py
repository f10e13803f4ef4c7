from __future__ import annotations

from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from meshgate.model.policy import LimitBy, Limits, RateLimit
from meshgate.ratelimit.descriptors import (
    MalformedRequest,
    RequestFacts,
    counter_prefix,
    identify,
    read_request,
)
from tests.unit.ratelimit.asking import request

ALL = RequestFacts(
    rule="r", consumer="alice", credential="key-1", remote_address="10.0.0.1", header="H", path="/a?b=c"
)
ONLY_IP = RequestFacts(rule="r", remote_address="10.0.0.1")
NO_CONSUMER = replace(ALL, consumer="")
IP = ("ip", "10.0.0.1")


def rule(limit_by: LimitBy) -> RateLimit:
    return RateLimit(rule_id="r", limits=Limits(minute=1), limit_by=limit_by, path="/a", service_id="svc")


@pytest.mark.parametrize(
    ("limit_by", "facts", "identity"),
    [
        (LimitBy.CONSUMER, ALL, ("consumer", "alice")),
        (LimitBy.CONSUMER, NO_CONSUMER, ("credential", "key-1")),
        (LimitBy.CONSUMER, ONLY_IP, IP),
        (LimitBy.CREDENTIAL, ALL, ("credential", "key-1")),
        (LimitBy.CREDENTIAL, ONLY_IP, IP),
        (LimitBy.IP, ALL, IP),
        (LimitBy.SERVICE, ONLY_IP, ("service", "svc")),
        (LimitBy.HEADER, ALL, ("header", "H")),
        (LimitBy.HEADER, ONLY_IP, IP),
        (LimitBy.PATH, ALL, ("path", "/a")),
        (LimitBy.PATH, replace(ALL, path="/a/b"), IP),
        (LimitBy.PATH, ONLY_IP, IP),
    ],
)
def test_identities_fall_back_as_kongs_do(
    limit_by: LimitBy, facts: RequestFacts, identity: tuple[str, str]
) -> None:
    assert identify(rule(limit_by), facts) == identity


def test_a_service_without_id_falls_back_to_the_address() -> None:
    assert identify(replace(rule(LimitBy.SERVICE), service_id=""), ONLY_IP) == IP


names = st.sampled_from(["rule", "consumer", "credential", "remote_address", "header", "path", "other"])


@given(st.lists(st.dictionaries(names, st.text(max_size=300), max_size=7), max_size=4))
def test_reading_agrees_with_protobuf(descriptors: list[dict[str, str]]) -> None:
    expected = [
        RequestFacts(**{key: value for key, value in entries.items() if key != "other"})
        for entries in descriptors
        if entries.get("rule")
    ]
    assert list(read_request(request(*descriptors))) == expected


@given(st.binary(max_size=200))
@example(request({"rule": "r" * 200})[:-1])
def test_hostile_bytes_are_read_or_refused_as_malformed(message: bytes) -> None:
    with suppress(MalformedRequest):
        assert all(facts.rule for facts in read_request(message))


def test_a_message_cut_short_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="cut short"):
        read_request(request({"rule": "r"})[:-1])


def test_a_value_that_is_not_utf8_still_counts() -> None:
    plain = request({"rule": "r", "header": "XX"})
    odd, other = plain.replace(b"XX", b"\xff\xfe"), plain.replace(b"XX", b"\xff\xfd")
    by_header = rule(LimitBy.HEADER)
    prefixes = {counter_prefix(by_header, read_request(message)[0]) for message in (plain, odd, other)}
    assert len(prefixes) == 3


def test_counter_keys_show_no_identity_and_differ_by_rule_and_kind() -> None:
    keyed = counter_prefix(rule(LimitBy.HEADER), replace(ALL, header="secret-token"))
    assert "secret-token" not in keyed
    same_text = replace(ALL, consumer="x", credential="x")
    assert counter_prefix(rule(LimitBy.CONSUMER), same_text) != counter_prefix(
        rule(LimitBy.CREDENTIAL), same_text
    )
    assert counter_prefix(rule(LimitBy.IP), ALL) != counter_prefix(
        replace(rule(LimitBy.IP), rule_id="q"), ALL
    )
