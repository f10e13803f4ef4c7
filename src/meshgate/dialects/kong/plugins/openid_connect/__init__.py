"""Kong's `openid-connect` (sold by Kong; schema of Kong Gateway 3.9, and fields that came until 3.15)."""

from __future__ import annotations

from meshgate.dialects.kong.plugins.openid_connect.config import OpenidConnectConfig
from meshgate.dialects.kong.plugins.openid_connect.lowering import lower_openid_connect

__all__ = ["OpenidConnectConfig", "lower_openid_connect"]
