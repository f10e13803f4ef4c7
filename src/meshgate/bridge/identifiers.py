"""Ids that Kong takes from its database, made of names: the same after a restart."""

from __future__ import annotations

import socket
import uuid

_NAMESPACE = uuid.UUID("6f0f4a5c-3d6f-5d6e-9a55-7a1f1d1c0f4e")


def stable_id(kind: str, name: str) -> str:
    """A UUID that an object of that name always has."""
    return str(uuid.uuid5(_NAMESPACE, f"{kind}/{name}"))


NODE = stable_id("node", socket.gethostname())
"""This machine's."""
