"""What docs/kong-plugins.md says of one plugin besides its fields."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.model.service import EMPTY


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A plugin's part of the page."""

    test: str
    """File of the test against a real Envoy, under tests/."""
    config: str
    """An example in YAML's flow style."""
    text: str
    """What it does, and where it differs from Kong."""
    notes: Mapping[str, str] = EMPTY
    """Field -> its state, where it does not just work."""
