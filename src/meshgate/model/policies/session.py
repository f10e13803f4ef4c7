"""Kong's `session` as data: who has shown who they are once need not do so again for a while."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionCookie:
    """A cookie, without its value."""

    name: str
    path: str = "/"
    domain: str = ""
    same_site: str = "Strict"
    http_only: bool = True
    secure: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Kong's `session`."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1900

    secret: Secret | None = None
    """None: the bridge makes one up, and all sessions end with it."""
    in_cookie: bool = True
    """The cookie holds the session; else it names one that the bridge keeps."""
    audience: str = "default"
    cookie: SessionCookie = SessionCookie(name="session")
    idling_s: float = 900
    rolling_s: float = 3600
    absolute_s: float = 86_400
    remember: SessionCookie | None = None
    """A cookie that outlives the browser; None: there is none."""
    remember_rolling_s: float = 604_800
    remember_absolute_s: float = 2_592_000
    logout_methods: tuple[str, ...] = ("POST", "DELETE")
    logout_query_arg: str = "session_logout"
    logout_post_arg: str = "session_logout"
    read_body_for_logout: bool = False
    response_headers: tuple[str, ...] = ()
    """What of the session the client is told, e.g. `id`: in `Session-Id`."""
    request_headers: tuple[str, ...] = ()
    """The same for the service."""
    origin: Origin = BUILT_IN

    @property
    def anonymous(self) -> str:
        """Whoever has no session is not refused for that."""
        return ""

    @property
    def deadline_ms(self) -> int:
        """Nobody else is asked."""
        return 1000

    @property
    def max_body_bytes(self) -> int:
        """Of a form that may say goodbye."""
        return 1024 * 1024 if self.read_body_for_logout else 0
