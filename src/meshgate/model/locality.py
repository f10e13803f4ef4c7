"""Places: where clients and endpoints are, and how near they are to one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

REGION_LABEL = "topology.kubernetes.io/region"
ZONE_LABEL = "topology.kubernetes.io/zone"
SUB_ZONE_LABEL = "topology.istio.io/subzone"
LOCALITY_LABEL = "istio-locality"
"""On a pod: `region.zone.sub-zone`, or with slashes; goes before the three labels of nodes."""


@dataclass(frozen=True, slots=True, order=True)
class Locality:
    """A place; empty parts are not known."""

    region: str = ""
    zone: str = ""
    sub_zone: str = ""

    def __str__(self) -> str:
        return "/".join((self.region, self.zone, self.sub_zone)).rstrip("/")

    def distance(self, other: Locality) -> int:
        """0 same sub-zone, 1 same zone, 2 same region, 3 elsewhere."""
        if self.region != other.region:
            return 3
        if self.zone != other.zone:
            return 2
        return 0 if self.sub_zone == other.sub_zone else 1

    def within(self, pattern: str) -> bool:
        """Whether `region/zone/*`, `region`, `*` and the like are about this place."""
        wanted = parse_locality(pattern)
        if wanted.region not in ("*", self.region):
            return False
        if wanted.zone not in ("*", "", self.zone):
            return False
        return wanted.sub_zone in ("*", "", self.sub_zone)


NOWHERE = Locality()


def parse_locality(text: str) -> Locality:
    """`region/zone/sub-zone`, from the left as far as it is known."""
    region, zone, sub_zone = (*text.split("/", 2), "", "")[:3]
    return Locality(region, zone, sub_zone)


def locality_of(labels: Mapping[str, str]) -> Locality:
    """Where a pod with these labels is."""
    if own := labels.get(LOCALITY_LABEL):
        return parse_locality(own if "/" in own else own.replace(".", "/", 2))
    return Locality(labels.get(REGION_LABEL, ""), labels.get(ZONE_LABEL, ""), labels.get(SUB_ZONE_LABEL, ""))


def placed_labels(labels: Mapping[str, str], place: Locality) -> Mapping[str, str]:
    """The labels, with those that tell the place."""
    parts = {REGION_LABEL: place.region, ZONE_LABEL: place.zone, SUB_ZONE_LABEL: place.sub_zone}
    return {**labels, **{label: part for label, part in parts.items() if part}}
