"""Shared libraries that Envoy may load: whether this machine can, and what tells two builds apart."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from meshgate.native import LIBRARY

SEARCH_PATH = "ENVOY_DYNAMIC_MODULES_SEARCH_PATH"
"""Where Envoy 1.40 looks for them."""
SWITCH = "MESHGATE_NATIVE_FILTERS"
"""`off` in the environment of `meshgate up`: Envoy's own filters, though ours are there."""


def native_filters(folder: Path, environment: Mapping[str, str] = os.environ) -> Path | None:
    """Our own filters, if an Envoy that is started from `folder` can load them.

    Not with another Envoy than the one that they were built for, and not from a file system
    that is mounted `noexec`.
    """
    if environment.get(SWITCH) == "off" or environment.get("MESHGATE_ENVOY") or not LIBRARY.is_file():
        return None
    return None if os.statvfs(folder).f_flag & os.ST_NOEXEC else LIBRARY


def build_id(library: Path | None) -> str:
    """A text that differs where the library does; empty for none."""
    return hashlib.sha256(library.read_bytes()).hexdigest()[:10] if library else ""
