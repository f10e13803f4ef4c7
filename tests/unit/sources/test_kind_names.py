"""Names of kinds that two groups have."""

from __future__ import annotations

import pytest

from meshgate.sources.kinds import resolve

API, ISTIO = "gateway.networking.k8s.io", "networking.istio.io"


@pytest.mark.parametrize(
    ("written", "group"),
    [
        ("gateway", API),
        ("Gateways", API),
        ("gtw", API),
        (f"gateways.{API}", API),
        (f"gateway.{API}", API),
        ("gw", ISTIO),
        (f"gateways.{ISTIO}", ISTIO),
    ],
)
def test_two_kinds_of_one_name_are_told_apart(written: str, group: str) -> None:
    assert resolve(written).group == group


def test_what_is_there_is_meant_where_nothing_says_otherwise() -> None:
    assert resolve("gateway", {(ISTIO, "Gateway")}).group == ISTIO
    assert resolve("gateway", {(ISTIO, "Gateway"), (API, "Gateway")}).group == API
    assert resolve(f"gateways.{API}", {(ISTIO, "Gateway")}).group == API
