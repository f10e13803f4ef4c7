"""Kong's `opa` as data: another server decides by what it is told of a request."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Opa:
    """Kong's `opa`: the Open Policy Agent is asked."""

    STAGE: ClassVar[Stage] = Stage.ACCESS
    PRIORITY: ClassVar[int] = 920
    TIMEOUT_MS: ClassVar[int] = 5000
    """Kong's plugin has no field for it."""

    host: str = "localhost"
    """A DNS name or address; the name of a Service of ours leads to its pods."""
    port: int = 8181
    path: str
    https: bool = False
    ssl_verify: bool = True
    include_body: bool = False
    include_parsed_json_body: bool = False
    include_uri_captures: bool = False
    include_consumer: bool = False
    include_service: bool = False
    include_route: bool = False
    service: str = ""
    """What is told of it, as JSON; put in by `link`."""
    route: str = ""
    origin: Origin = BUILT_IN

    @property
    def anonymous(self) -> str:
        """Nobody is let in by it."""
        return ""

    @property
    def deadline_ms(self) -> int:
        """One question."""
        return self.TIMEOUT_MS

    @property
    def max_body_bytes(self) -> int:
        """Of a body that is to be told."""
        return 1024 * 1024 if self.include_body or self.include_parsed_json_body else 0
