"""Certificates that Istio's manifests name by file: paths on the machine where the proxies run.

Envoy reads the files itself, with the rights of whoever runs Meshgate, and follows a file
that is replaced by a move. One that cannot be read leaves its server or host closed.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Annotated

from pydantic import AfterValidator

from meshgate.dialects.schema import fault

_HEX = re.compile(r"[0-9A-Fa-f]{64}|[0-9A-Fa-f]{2}(?::[0-9A-Fa-f]{2}){31}")


SYSTEM = "system"
"""In place of a path: the authorities that the machine trusts."""


def file_path(text: str) -> str:
    """The path of a file; empty stays empty."""
    if not text:
        return text
    parts = text.split("/")
    if not text.startswith("/") or text.endswith("/") or ".." in parts:
        raise fault("MG2002", "must be the absolute path of a file")
    if "~" in text or any(ord(c) < 33 for c in text):
        raise fault("MG2002", "must not have spaces, control characters and `~`")
    return text


def _spki(text: str) -> str:
    try:
        good = len(base64.b64decode(text, validate=True)) == 32
    except (binascii.Error, ValueError):
        good = False
    if not good:
        raise fault("MG2002", "must be the base64 of a SHA-256 of a public key")
    return text


def _hash(text: str) -> str:
    if _HEX.fullmatch(text) is None:
        raise fault("MG2002", "must be the SHA-256 of a certificate, in hexadecimal")
    return text


FilePath = Annotated[str, AfterValidator(file_path)]
Spki = Annotated[str, AfterValidator(_spki)]
CertificateHash = Annotated[str, AfterValidator(_hash)]
