"""The headers of an authorizer's answer that go on to the backend."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from meshgate.policies.external_auth import other_than

WORDS = ("host", "te", "trailer", "transfer-encoding", "content-length", "content-type")
MATCHER = re.compile(other_than((":", *WORDS)))
BEGUN = st.builds(lambda word, length: word[:length], st.sampled_from(WORDS), st.integers(0, 20))
NAMES = st.one_of(st.sampled_from(WORDS), st.builds(str.__add__, BEGUN, st.text("ethos-:")))


@given(NAMES)
def test_all_but_the_words_and_pseudo_headers_match(name: str) -> None:
    wanted = bool(name) and not name.startswith(":") and name not in WORDS
    assert (MATCHER.fullmatch(name) is not None) is wanted
