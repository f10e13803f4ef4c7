"""What is shown of requests."""

from __future__ import annotations

from meshgate.bridge.redaction import Redaction

SHOWN = Redaction(("x-key", "token"))


def test_addresses_in_headers_are_shown_without_secrets() -> None:
    headers: dict[str, str | list[str]] = {
        ":path": "/a",
        "location": "https://a.example/b?code=1&token=t#access_token=t&state=s",
        "referer": ["/a?TOKEN=t", "/b"],
        "x-key": ["k", "l"],
        "set-cookie": "session=1",
        "x-plain": "token=t",
    }
    assert SHOWN.headers(headers) == {
        "location": "https://a.example/b?code=1&token=REDACTED#access_token=REDACTED&state=s",
        "referer": ["/a?TOKEN=REDACTED", "/b"],
        "x-key": "REDACTED",
        "set-cookie": "REDACTED",
        "x-plain": "token=t",
    }


def test_names_are_read_as_services_read_them() -> None:
    assert (
        SHOWN.uri("/a?%74oken=t&token&token=&x=token") == "/a?%74oken=REDACTED&token&token=REDACTED&x=token"
    )
    assert SHOWN.query("%74oken=t&token=&x=1&x=2&y") == {
        "token": ["REDACTED", "REDACTED"],
        "x": ["1", "2"],
        "y": True,
    }
