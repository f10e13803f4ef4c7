"""Durations as Kubernetes and Istio write them."""

from __future__ import annotations

import re

_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_MS = {"ns": 1e-6, "us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4, "h": 3.6e6}


def parse_duration_ms(text: str) -> float | None:
    """Milliseconds of a Go duration (`1h30m`, `0.5s`, `250ms`); None if it is not one."""
    if len(text) > 64:
        return None
    total, end = 0.0, 0
    for part in _PART.finditer(text):
        if part.start() != end:
            return None
        total += float(part.group(1)) * _MS[part.group(2)]
        end = part.end()
    if end == 0 or end != len(text):
        return None
    return total
