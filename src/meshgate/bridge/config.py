"""The bridge's configuration, as a file between the control plane, which writes it, and the bridge."""

from __future__ import annotations

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
from meshgate.stores.settings_file import SettingsError, replace_file


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
    """Replaces the file where it would change. Raises `OSError`."""
    replace_file(path, dump(config).encode())


def parse_config(text: bytes) -> BridgeConfig:
    """What the file says. Raises `SettingsError`."""
    try:
        return load(BridgeConfig, text)
    except MalformedError as error:
        raise SettingsError(str(error)) from error
