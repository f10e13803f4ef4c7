"""Kong's declarative files (kong.yaml, decK; `_format_version` 1.1 to 3.0) as Kubernetes manifests.

What comes of a file is what Kong's ingress controller would be given for the same
behaviour; what has no counterpart is named, never dropped in silence.
"""

from __future__ import annotations

from meshgate.dialects.kong.declarative.convert import Converted, convert

__all__ = ["Converted", "convert"]
