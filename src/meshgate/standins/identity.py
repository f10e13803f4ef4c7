"""Who a stand-in is, as it tells everybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """The container that it stands in for."""

    workload: str
    namespace: str
    pod: str
    container: str
    image: str = ""
    version: str = ""
    """The label `version` of the pod; empty where it has none."""

    @property
    def header(self) -> str:
        """What every answer carries as `x-stand-in`, also where it has no body."""
        return f"{self.namespace}/{self.pod}"

    def told(self) -> Mapping[str, str]:
        """The members of an answer that say who gave it; what is not known is left out."""
        members = {
            "stand_in_for": self.image,
            "workload": self.workload,
            "namespace": self.namespace,
            "pod": self.pod,
            "container": self.container,
            "version": self.version,
        }
        return {name: text for name, text in members.items() if text}
