"""Backends of Gateway API rules as destinations; what cannot be had keeps its share. Internal to `link`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from meshgate.model.gateway_api_routes import ApiRoute, Backend
from meshgate.model.linking.gateway_api.refs import Problem, References
from meshgate.model.route import Destination, WeightedDestination
from meshgate.model.service import Service
from meshgate.model.status import Condition

NOWHERE = Destination(host="nowhere.invalid", port=0)
"""Stands for a backend that does not exist: connections to it fail."""


@dataclass(frozen=True, slots=True)
class LinkedBackend:
    """A backend and the Service that it leads to; None where it leads nowhere."""

    declared: Backend
    service: Service | None
    destination: Destination
    problem: str = ""


@dataclass(slots=True)
class Resolution:
    """Follows the references of one route and keeps what went wrong."""

    route: ApiRoute
    references: References
    problems: list[Problem] = field(default_factory=list)

    def backends(self, declared: Iterable[Backend]) -> tuple[LinkedBackend, ...]:
        """All of a rule."""
        return tuple(self.backend(one) for one in declared)

    def backend(self, declared: Backend) -> LinkedBackend:
        """One backend."""
        found = self.references.backend(self.route, declared.target)
        if isinstance(found, Problem):
            self.problems.append(found)
            return LinkedBackend(declared, None, NOWHERE, found.message)
        service, port = found
        if closed := self.references.closed(service, port):
            return LinkedBackend(declared, None, NOWHERE, closed)
        if not self.route.kind.is_http and (closed := self.references.closed_to_connections(service)):
            self.problems.append(Problem("PluginNotRun", closed))
            return LinkedBackend(declared, None, NOWHERE, closed)
        return LinkedBackend(declared, service, Destination(host=service.host, port=port.number))

    def resolved(self) -> Condition:
        """The route's condition `ResolvedRefs`."""
        if not self.problems:
            return Condition(type="ResolvedRefs", holds=True, reason="ResolvedRefs")
        first = self.problems[0]
        message = "; ".join(dict.fromkeys(p.message for p in self.problems))
        return Condition(type="ResolvedRefs", holds=False, reason=first.reason, message=message)


def stream_destinations(backends: Iterable[LinkedBackend]) -> tuple[WeightedDestination, ...]:
    """Where connections go; those of a share that leads nowhere are closed."""
    found = tuple(
        WeightedDestination(destination=one.destination, weight=one.declared.weight)
        for one in backends
        if one.declared.weight
    )
    return found or (WeightedDestination(destination=NOWHERE, weight=1),)
