"""Places: read from labels, compared, matched by patterns."""

from __future__ import annotations

import pytest

from meshgate.model.locality import NOWHERE, Locality, locality_of, parse_locality, placed_labels

EU = Locality("eu", "west", "rack1")


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({}, NOWHERE),
        ({"istio-locality": "eu.west.rack1"}, EU),
        ({"istio-locality": "eu/west/rack1"}, EU),
        ({"istio-locality": "eu/we.st"}, Locality("eu", "we.st")),
        ({"istio-locality": "us", "topology.kubernetes.io/region": "eu"}, Locality("us")),
        (
            {
                "topology.kubernetes.io/region": "eu",
                "topology.kubernetes.io/zone": "west",
                "topology.istio.io/subzone": "rack1",
            },
            EU,
        ),
    ],
)
def test_labels_say_where_a_pod_is(labels: dict[str, str], expected: Locality) -> None:
    assert locality_of(labels) == expected


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*", True),
        ("eu", True),
        ("eu/*", True),
        ("eu/west", True),
        ("eu/west/*", True),
        ("eu/west/rack1", True),
        ("eu/west/rack2", False),
        ("eu/east/*", False),
        ("us", False),
    ],
)
def test_patterns(pattern: str, expected: bool) -> None:
    assert EU.within(pattern) is expected


def test_distance_counts_what_is_shared_from_the_left() -> None:
    assert [
        EU.distance(parse_locality(t)) for t in ("eu/west/rack1", "eu/west", "eu/x/rack1", "us/west/rack1")
    ] == [
        0,
        1,
        2,
        3,
    ]


def test_the_place_goes_over_labels_of_a_pod_that_say_otherwise() -> None:
    found = placed_labels({"topology.kubernetes.io/region": "us", "app": "a"}, Locality("eu"))
    assert found == {"topology.kubernetes.io/region": "eu", "app": "a"}
    assert str(EU) == "eu/west/rack1"
    assert str(Locality("eu")) == "eu"
