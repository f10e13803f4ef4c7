"""The bridge's configuration, as a file between the control plane, which writes it, and the bridge.

Mode 0600, for it holds secrets. Replaced in one step, so that a reader sees the old one or the new
one, never half of it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from meshgate.core.typed_json import MalformedError, dump, load
from meshgate.model.consumer import Consumer
from meshgate.model.policies.bridged import Bridged
from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits, ProxyCache
from meshgate.model.policies.logs import LoggedRoute
from meshgate.model.service import EMPTY

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is refused."""


class ConfigError(ValueError):
    """The file cannot be used; the message names a kind or a field, never a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BridgeConfig:
    """All that the bridge must know."""

    rules: Mapping[str, tuple[Bridged, ...]] = field(default_factory=lambda: MappingProxyType({}))
    """Id, as Envoy names it -> the policies of one route at one stage, in the order of their asking."""
    logged: Mapping[str, LoggedRoute] = field(default_factory=lambda: MappingProxyType({}))
    """Id, as Envoy names it -> a route whose requests are written down."""
    hidden: tuple[str, ...] = ()
    """Names, in lower case, of headers and parameters whose values nobody is told."""
    consumers: tuple[Consumer, ...] = ()
    places: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    """`host:port` of a service of ours -> `address:port` of a pod of it."""
    caches: Mapping[str, ProxyCache] = field(default_factory=lambda: MappingProxyType({}))
    """Id, as Envoy names it -> what is kept for a route."""
    cache_limits: CacheLimits = CACHE_LIMITS

    @property
    def needed(self) -> bool:
        """Whether anybody will ask."""
        return bool(self.rules or self.caches or self.logged)


def write_config(path: Path, config: BridgeConfig) -> None:
    """Replaces the file atomically, mode 0600, where it would change. Raises `OSError`."""
    text = dump(config)
    if path.exists() and _digest(path.read_bytes()) == _digest(text.encode()):
        return
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink()
        raise


def read_config(path: Path) -> BridgeConfig:
    """What the file says. Raises `ConfigError`, also where it cannot be read."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"cannot read the file: {error.strerror}") from error
    if len(text) > MAX_BYTES:
        raise ConfigError("the file is too large")
    try:
        return load(BridgeConfig, text)
    except MalformedError as error:
        raise ConfigError(str(error)) from error


def _digest(text: bytes) -> bytes:
    return hashlib.sha256(text).digest()
