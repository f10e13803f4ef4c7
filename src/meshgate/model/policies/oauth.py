"""Kong's `oauth2`, as data: the gateway itself hands out tokens (RFC 6749)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.core.secret import Secret
from meshgate.model.policies.openid import BODY_BYTES
from meshgate.model.policies.stages import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2:
    """Kong's `oauth2`: applications of consumers get tokens at `/oauth2/token` of the route's paths."""

    STAGE: ClassVar[Stage] = Stage.AUTHENTICATION
    PRIORITY: ClassVar[int] = 1400

    name: str
    """Of the plugin; its tokens are good for it and for one service alone, unless `global_credentials`."""
    service: str = ""
    """Of the route that the request takes; empty until it is known."""
    scopes: tuple[str, ...] | None = None
    """None: what is asked for is not looked at, and is not given."""
    mandatory_scope: bool = False
    provision_key: Secret | None = None
    """What the service shows that has asked the user; None: nobody can."""
    token_expiration_s: int = 7200
    """0: tokens never end."""
    refresh_token_ttl_s: int = 1_209_600
    """0: they never end."""
    reuse_refresh_token: bool = False
    grants: frozenset[str] = frozenset()
    """`authorization_code`, `implicit`, `client_credentials`, `password`."""
    pkce: str = "lax"
    """`none`, `lax` (public clients must), `strict` (all must)."""
    hide_credentials: bool = False
    global_credentials: bool = False
    accept_http_if_already_terminated: bool = False
    auth_header_name: str = "authorization"
    realm: str = ""
    anonymous: str = ""
    origin: Origin = BUILT_IN

    @property
    def deadline_ms(self) -> int:
        """Nobody else is asked."""
        return 2000

    @property
    def max_body_bytes(self) -> int:
        """Of forms, which ask for tokens or bring them."""
        return BODY_BYTES
