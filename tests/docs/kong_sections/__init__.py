"""The parts of docs/kong-plugins.md that are written by hand: one file per purpose of plugins."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from tests.docs.kong_sections import (
    authentication,
    observability,
    openid_connect,
    security,
    traffic,
    transformations,
)
from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        **authentication.SECTIONS,
        **observability.SECTIONS,
        **openid_connect.SECTIONS,
        **security.SECTIONS,
        **traffic.SECTIONS,
        **transformations.SECTIONS,
    }
)
"""Plugin -> its part."""
