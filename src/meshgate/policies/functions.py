"""Kong's `pre-function` and `post-function`: people's own Lua in a sandbox of ours.

The same program stands in four places, because answers pass the chain backwards: before and
behind all other plugins on the way to the service, and on the way back. What functions may use
is in `lua/sandbox.lua`, `lua/pdk.lua` and `lua/openresty.lua`.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.policies.change import Phases
from meshgate.model.policy import Policy, PostFunction, PreFunction
from meshgate.policies import scripts
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.parts import RouteParts

FILES = (
    "json",
    "form",
    "multipart",
    "body",
    "guard",
    "values",
    "state",
    "pdk",
    "openresty",
    "sandbox",
    "functions",
)
_NOTHING = Phases()


class Place(enum.Enum):
    """Where the program stands."""

    FIRST = "meshgate.functions.first"
    """Before all other plugins, for requests."""
    LAST = "meshgate.functions.last"
    """Behind them, for requests."""
    INNER = "meshgate.functions.inner"
    """Next to the service: the first that sees answers."""
    OUTER = "meshgate.functions.outer"
    """Next to the client: the last that sees answers."""


@dataclass(frozen=True, slots=True)
class Functions:
    """The entry of the chain for one place."""

    place: Place

    def listener(self, edge: EdgePolicies) -> tuple[hcm.HttpFilter, ...]:
        """The program, where any route has one of the plugins."""
        if not self._stands(edge.policies):
            return ()
        return (scripts.script_filter(self.place.value, *FILES),)

    def route(self, policies: tuple[Policy, ...], edge: EdgePolicies) -> RouteParts:
        """What of people's Lua runs here."""
        if not self._stands(policies):
            return RouteParts()
        data = self._data(*_phases(policies))
        return RouteParts(
            filters={self.place.value: scripts.script_data(data)}, body_limit=scripts.BODY_LIMIT_BYTES
        )

    def replies(self, edge: EdgePolicies) -> tuple[hcm.ResponseMapper, ...]:
        """What people's Lua answers stays as it is."""
        return scripts.replies() if self._stands(edge.policies) else ()

    def _stands(self, policies: tuple[Policy, ...]) -> bool:
        found = [p for p in policies if isinstance(p, PreFunction | PostFunction)]
        match self.place:
            case Place.FIRST | Place.INNER:
                return bool(found)
            case Place.LAST:
                late = any(
                    isinstance(p, PostFunction) and (p.phases.access or p.phases.rewrite) for p in found
                )
                return late or any(p.phases.answering for p in found)
            case Place.OUTER:
                return any(isinstance(p, PostFunction) and p.phases.answering for p in found)

    def _data(self, before: Phases, behind: Phases) -> scripts.Data:
        keeps = before.answering or behind.answering
        match self.place:
            case Place.FIRST:
                return _part("pre-function", before, ("rewrite", "access"), keep=keeps)
            case Place.LAST:
                return _part("post-function", behind, ("rewrite", "access"), keep=keeps)
            case Place.INNER:
                return _part("pre-function", before, ("header_filter", "body_filter", "log"), keep=True)
            case Place.OUTER:
                return _part("post-function", behind, ("header_filter", "body_filter", "log"), keep=False)


def _phases(policies: tuple[Policy, ...]) -> tuple[Phases, Phases]:
    before = next((p.phases for p in policies if isinstance(p, PreFunction)), _NOTHING)
    behind = next((p.phases for p in policies if isinstance(p, PostFunction)), _NOTHING)
    return before, behind


def _part(plugin: str, phases: Phases, names: tuple[str, ...], *, keep: bool) -> scripts.Data:
    data: dict[str, object] = {"plugin": plugin, "keep": keep}
    data.update({name: list(texts) for name in names if (texts := getattr(phases, name))})
    return data
