"""Paths the way Envoy sees them; `test_against_envoy` holds the same against Envoy."""

from __future__ import annotations

import pytest

from meshgate.simulate.paths import see


@pytest.mark.parametrize(
    ("path", "edge", "mesh"),
    [
        ("/a/../b", "/b", "/b"),
        ("/../..", "/", "/"),
        ("/a/./b/.", "/a/b/", "/a/b/"),
        ("//a//b", "/a/b", "//a//b"),
        ("/%7Euser", "/~user", "/~user"),
        ("/{a|b}", "/%7Ba%7Cb%7D", "/%7Ba%7Cb%7D"),
        ("/a%20b", "/a%20b", "/a%20b"),
        ("/a?b=/../c", "/a?b=/../c", "/a?b=/../c"),
        ("//", "//", "//"),
        ("/a/..;b/c", "/c", "/c"),
        ("/a/.;/c", "/a/c", "/a/c"),
        ("/a/%2e%2e;/c", "/a/..;/c", "/a/..;/c"),
    ],
)
def test_normalised(path: str, edge: str, mesh: str) -> None:
    assert see(path, edge=True).path == edge
    assert see(path, edge=False).path == mesh


def test_escaped_slashes_send_the_client_elsewhere_at_the_edge_only() -> None:
    assert see("/a%2Fb", edge=True).redirect
    assert not see("/a%2Fb", edge=False).redirect
    assert not see("/a?b=%2F", edge=True).redirect


@pytest.mark.parametrize("path", ["", "a", "/a#b", "/%00"])
def test_what_is_no_path_is_refused(path: str) -> None:
    assert see(path, edge=True).invalid
    assert "must begin with a slash" in see(path, edge=False).problem
    assert not see("*", edge=True).invalid
