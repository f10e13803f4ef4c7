"""When the bridge is asked about a request."""

from __future__ import annotations

import enum


class Stage(enum.Enum):
    """Where in the chain of filters the question is asked."""

    AUTHENTICATION = "authentication"
    """Who is it? Behind Envoy's own ways to tell, before the consumer that stands for strangers."""
    ACCESS = "access"
    """May they? Behind all that looks at who it is."""
