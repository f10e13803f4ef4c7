"""What the specification of the Gateway API wants to be said about its objects."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.model.gateway_api import ParentRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One condition; `observedGeneration` is that of its object."""

    type: str
    holds: bool
    reason: str
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenerStatus:
    """One listener of a Gateway or ListenerSet."""

    name: str
    port: int
    kinds: tuple[tuple[str, str], ...]
    """(group, kind) of the routes that it takes."""
    attached_routes: int
    conditions: tuple[Condition, ...]
    opened: bool
    """Whether it is served."""
    datagrams: bool = False
    """UDP."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentStatus:
    """What one parent makes of a route, or one ancestor of a policy."""

    parent: ParentRef
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayService:
    """The Service that stands for a Gateway among the objects that are shown (GEP-1762)."""

    name: str
    labels: Mapping[str, str]
    """Those of `infrastructure`, and the Gateway's name."""
    annotations: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectStatus:
    """The status of one object; parts that its kind does not have are None."""

    generation: int
    conditions: tuple[Condition, ...] = ()
    addresses: tuple[str, ...] | None = None
    listeners: tuple[ListenerStatus, ...] | None = None
    parents: tuple[ParentStatus, ...] | None = None
    ancestors: tuple[ParentStatus, ...] | None = None
    listener_sets: int | None = None
    """How many are attached to a Gateway."""
    features: tuple[str, ...] | None = None
    service: GatewayService | None = None
    """Of a Gateway that is accepted."""
