"""Our own filters inside Envoy, in C: a shared library that Envoy loads (ADR 027).

It is built when Meshgate is installed, if there is a C compiler; without it Envoy's own filters do
the same work, with the differences that docs/rate-limiting.md names. `policies/native.py` writes
what the filters read. No Python here but the way to the library.
"""

from __future__ import annotations

from pathlib import Path

LIBRARY = Path(__file__).with_name("libmeshgate_filters.so")
"""Where the build puts it."""
