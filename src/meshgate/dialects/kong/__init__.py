"""The Kong kinds: configuration.konghq.com, one file per kind.

Each file checks one object and lowers it to `model.declared`; none looks at other objects.
"""

from __future__ import annotations

from meshgate.dialects.kind import KindParser

KINDS: tuple[KindParser, ...] = ()
