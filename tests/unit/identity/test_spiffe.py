"""SPIFFE IDs: one spelling per identity, and nothing else is taken for one."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.identity.spiffe import SpiffeId, trust_domain_problem, trust_domain_uri

_TRUST_DOMAINS = st.from_regex(r"[a-z0-9._-]{1,255}", fullmatch=True)
_LABELS = st.from_regex(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", fullmatch=True)
_ACCOUNTS = st.lists(_LABELS, min_size=1, max_size=3).map(".".join).filter(lambda name: len(name) <= 253)
_IDS = st.builds(SpiffeId, _TRUST_DOMAINS, _LABELS, _ACCOUNTS)


def test_prints_as_istio_does() -> None:
    spiffe_id = SpiffeId("cluster.local", "default", "payment")
    assert str(spiffe_id) == "spiffe://cluster.local/ns/default/sa/payment"
    assert trust_domain_uri("cluster.local") == "spiffe://cluster.local"


@given(_IDS)
def test_parse_is_the_inverse_of_str(spiffe_id: SpiffeId) -> None:
    assert SpiffeId.parse(str(spiffe_id)) == spiffe_id


@given(st.one_of(st.text(), st.text().map("spiffe://td/ns/a/sa/".__add__), _IDS.map(lambda i: f"{i}\n")))
def test_parse_takes_a_text_as_it_is_or_refuses_it(text: str) -> None:
    try:
        parsed = SpiffeId.parse(text)
    except ValueError:
        return
    assert str(parsed) == text
    assert re.fullmatch(r"[!-~]+", text)


@given(_IDS, st.data())
def test_a_foreign_character_anywhere_is_refused(spiffe_id: SpiffeId, data: st.DataObject) -> None:
    text = str(spiffe_id)
    place = data.draw(st.integers(0, len(text)))
    character = data.draw(st.sampled_from(" \t\n\0%?#@:/ABZéı\u212a"))
    with pytest.raises(ValueError, match=r"."):
        SpiffeId.parse(text[:place] + character + text[place:])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "starts with spiffe://"),
        ("https://cluster.local/ns/a/sa/b", "starts with spiffe://"),
        ("SPIFFE://cluster.local/ns/a/sa/b", "starts with spiffe://"),
        ("spiffe://cluster.local", "must be spiffe://"),
        ("spiffe://cluster.local/ns/a/sa/b/", "must be spiffe://"),
        ("spiffe://cluster.local/ns/a/b/sa", "must be spiffe://"),
        ("spiffe:///ns/a/sa/b", "trust domain"),
        ("spiffe://Cluster.local/ns/a/sa/b", "trust domain"),
        ("spiffe://user@cluster.local/ns/a/sa/b", "trust domain"),
        ("spiffe://cluster.local:80/ns/a/sa/b", "trust domain"),
        ("spiffe://cluster.local/ns//sa/b", "namespace"),
        ("spiffe://cluster.local/ns/a.b/sa/b", "namespace"),
        ("spiffe://cluster.local/ns/-a/sa/b", "namespace"),
        (f"spiffe://cluster.local/ns/{'a' * 64}/sa/b", "namespace"),
        ("spiffe://cluster.local/ns/a/sa/", "service account"),
        ("spiffe://cluster.local/ns/a/sa/b_c", "service account"),
        ("spiffe://cluster.local/ns/a/sa/b..c", "service account"),
        ("spiffe://cluster.local/ns/a/sa/b-", "service account"),
        ("spiffe://cluster.local/ns/a/sa/b?x=1", "service account"),
        ("spiffe://cluster.local/ns/a/sa/%62", "service account"),
        (f"spiffe://cluster.local/ns/a/sa/{'b' * 254}", "service account"),
        ("spiffe://" + "a" * 3000, "2048"),
    ],
)
def test_refuses(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)) as raised:
        SpiffeId.parse(text)
    assert len(str(raised.value)) < 300


def test_parts_are_checked_without_parsing() -> None:
    with pytest.raises(ValueError, match="namespace"):
        SpiffeId("cluster.local", "a/sa/x", "b")
    assert SpiffeId("td", "n", "s" * 253).service_account == "s" * 253


def test_ids_have_an_order() -> None:
    a, b = SpiffeId("td", "a", "z"), SpiffeId("td", "b", "a")
    assert sorted([b, a]) == [a, b]


@pytest.mark.parametrize("name", ["cluster.local", "td-1", "a_b", "x" * 255])
def test_good_trust_domains(name: str) -> None:
    assert trust_domain_problem(name) == ""


@pytest.mark.parametrize("name", ["", "Cluster.local", "a/b", "a b", "x" * 256, "a\n"])
def test_bad_trust_domains(name: str) -> None:
    assert "trust domain" in trust_domain_problem(name)
