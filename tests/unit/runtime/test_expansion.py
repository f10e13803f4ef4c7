"""`$(NAME)` as Kubernetes documents it."""

from __future__ import annotations

import pytest

from meshgate.runtime.expansion import expand, expand_all, expand_environment


@pytest.mark.parametrize(
    ("text", "expanded"),
    [
        ("--id=$(POD_NAME)", "--id=web-1"),
        ("$(POD_NAME)-$(POD_NAME)", "web-1-web-1"),
        ("$(UNKNOWN)", "$(UNKNOWN)"),
        ("$$(POD_NAME)", "$(POD_NAME)"),
        ("$POD_NAME ${POD_NAME}", "$POD_NAME ${POD_NAME}"),
    ],
)
def test_references(text: str, expanded: str) -> None:
    assert expand(text, {"POD_NAME": "web-1"}) == expanded


def test_words_and_values_in_order() -> None:
    env = expand_environment(
        {"URL": "http://$(HOST):$(PORT)/", "AGAIN": "$(URL)x"}, {"HOST": "a", "PORT": "1"}
    )
    assert env["AGAIN"] == "http://a:1/x"
    assert expand_all(("run", "$(AGAIN)"), env) == ("run", "http://a:1/x")
