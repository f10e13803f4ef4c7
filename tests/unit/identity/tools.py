"""What the identity tests share."""

from __future__ import annotations

import shutil

import pytest

OPENSSL = shutil.which("openssl") or ""
needs_openssl = pytest.mark.skipif(not OPENSSL, reason="the openssl command is not installed")
