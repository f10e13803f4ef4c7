"""Hosts that a ServiceEntry adds to the mesh."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass


class Resolution(enum.Enum):
    """How the addresses behind a host are found."""

    NONE = "NONE"
    """Wherever the client was going."""
    STATIC = "STATIC"
    DNS = "DNS"
    DNS_ROUND_ROBIN = "DNS_ROUND_ROBIN"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExternalEndpoint:
    """One address: an IP address with STATIC, a DNS name or an IP address with DNS."""

    address: str
    ports: tuple[tuple[str, int], ...] = ()
    """Port name -> port there; a port that is not named is the entry's own."""
    labels: tuple[tuple[str, str], ...] = ()
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class External:
    """What a `Service` made of a ServiceEntry has beside its ports."""

    host: str
    """Lower case; may begin with `*.`."""
    resolution: Resolution
    endpoints: tuple[ExternalEndpoint, ...] = ()
    addresses: tuple[str, ...] = ()
    """By which clients may also reach it (netns isolation)."""
    by_workloads: bool = False
    """The pods that the service's selector takes answer, not `endpoints`."""
    export_to: tuple[str, ...] = ("*",)

    def visible_from(self, namespace: str, own: str) -> bool:
        """Whether clients in `namespace` know the host; `own` is the entry's namespace."""
        seen = "*" in self.export_to or namespace in self.export_to
        return seen or ("." in self.export_to and namespace == own)

    def chosen(self, labels: Mapping[str, str]) -> tuple[ExternalEndpoint, ...]:
        """The endpoints that have all of the labels."""
        return tuple(e for e in self.endpoints if set(labels.items()) <= set(e.labels))
