"""Loads modules without looking for garbage meanwhile."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def without_collections() -> Iterator[None]:
    """For a block of imports. Nothing that loading makes is garbage: to look for some costs a tenth of the
    start, and each later collection would look through all of it again."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()
