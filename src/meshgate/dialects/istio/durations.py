"""Durations as Istio bounds them."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator

from meshgate.dialects.schema import DurationMs, fault


def _at_least_1ms(milliseconds: float) -> float:
    if milliseconds < 1:
        raise fault("MG2002", "must be at least 1ms")
    return milliseconds


AtLeast1Ms = Annotated[DurationMs, AfterValidator(_at_least_1ms)]
"""In milliseconds; Istio refuses shorter ones."""
