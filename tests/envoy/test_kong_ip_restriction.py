"""Kong's `ip-restriction` on a real Envoy."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.envoy.kong_edge import Answer, Ask, asked, plugin, route

MANIFESTS = (
    plugin("allow", "ip-restriction", "{allow: [127.0.0.2, 127.1.0.0/16]}")
    + plugin("deny", "ip-restriction", "{deny: [127.0.0.2]}")
    + plugin(
        "both", "ip-restriction", "{allow: [127.0.0.0/8], deny: [127.0.0.2/32], status: 404, message: Gone}"
    )
    + route("allow", "allow")
    + route("deny", "deny")
    + route("both", "both")
)


@pytest.mark.envoy
def test_addresses(tmp_path: Path) -> None:
    spoofed = (("X-Forwarded-For", "127.0.0.2"), ("X-Real-IP", "127.0.0.2"), ("Forwarded", "for=127.0.0.2"))
    requests = [
        Ask("/allow", source="127.0.0.2"),
        Ask("/allow", source="127.1.9.9"),
        Ask("/allow", source="127.0.0.3"),
        Ask("/allow", source="127.0.0.3", headers=spoofed),
        Ask("/deny", source="127.0.0.3", headers=spoofed),
        Ask("/deny", source="127.0.0.2"),
        Ask("/both", source="127.0.0.3"),
        Ask("/both", source="127.0.0.2"),
    ]
    answers = asked(MANIFESTS, requests, tmp_path)
    assert [a.reached for a in answers] == [True, True, False, False, True, False, True, False]
    for number, address in ((2, "127.0.0.3"), (3, "127.0.0.3"), (5, "127.0.0.2")):
        _is(answers[number], 403, f"IP address not allowed: {address}")
    _is(answers[7], 404, "Gone")


def _is(answer: Answer, status: int, message: str) -> None:
    assert (answer.status, answer.message) == (status, message)
