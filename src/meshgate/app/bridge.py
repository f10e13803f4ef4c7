"""What the bridges must know of a model, and the processes that they run in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from meshgate.app.instances import NO_INSTANCES, Instances, pod_place
from meshgate.bridge.config import BridgeConfig, write_config
from meshgate.core.own_process import own_module
from meshgate.model.consumer import Consumer
from meshgate.model.graph import Model
from meshgate.model.policies.bridged import Bridged, servers
from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits, ProxyCache
from meshgate.model.policies.logs import LoggedRoute
from meshgate.model.policies.receivers import receivers
from meshgate.policies import proxy_cache
from meshgate.policies.bridge import rules
from meshgate.policies.credential_names import credential_names
from meshgate.policies.route_logs import logged_id, logged_routes
from meshgate.runtime.daemons import Daemon

NAME, CACHE, LOGS = "bridge", "cache", "logs"


def bridge_config(model: Model, instances: Instances = NO_INSTANCES) -> BridgeConfig:
    """The rules of all routes, each once, and the consumers where there is any; and where services
    of ours that policies ask are."""
    found: dict[str, tuple[Bridged, ...]] = {}
    for edge_host in model.edge_hosts.values():
        for rule in edge_host.rules:
            found.update(rules(rule.policies))
    if not found:
        return BridgeConfig()
    asked = {server for policies in found.values() for p in policies for server in servers(p)}
    return BridgeConfig(
        rules=dict(sorted(found.items())),
        consumers=tuple(model.consumers[key] for key in sorted(model.consumers)),
        places=_places(model, instances, asked),
    )


def cache_config(model: Model, limits: CacheLimits = CACHE_LIMITS) -> BridgeConfig:
    """What is kept for all routes."""
    found: dict[str, ProxyCache] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            found.update(proxy_cache.rules(rule.every_policy))
    return BridgeConfig(caches=dict(sorted(found.items())), cache_limits=limits)


def logs_config(model: Model, instances: Instances = NO_INSTANCES) -> BridgeConfig:
    """The routes whose requests are written down, and who consumers are: nothing that they prove it by."""
    logged: dict[str, LoggedRoute] = {}
    for edge_host in model.edge_hosts.values():
        for rule in edge_host.rules:
            logged.update({logged_id(route): route for route in logged_routes(rule)})
    if not logged:
        return BridgeConfig()
    told = {
        place
        for route in logged.values()
        for one in (*route.logs, *route.tracers)
        for place in receivers(one)
    }
    consumers = (model.consumers[key] for key in sorted(model.consumers))
    return BridgeConfig(
        logged=dict(sorted(logged.items())),
        hidden=_credentials(model),
        consumers=tuple(Consumer(id=c.id, username=c.username, custom_id=c.custom_id) for c in consumers),
        places=_places(model, instances, told),
    )


def _credentials(model: Model) -> tuple[str, ...]:
    """Where any route looks for them: a client may send one's credentials to another."""
    rules = (rule for host in model.edge_hosts.values() for rule in host.rules)
    tokens = (one for guard in model.edge_guard.values() for one in guard.jwt)
    return credential_names((policy for rule in rules for policy in rule.every_policy), tokens)


def _places(model: Model, instances: Instances, wanted: Iterable[tuple[str, int]]) -> dict[str, str]:
    places: dict[str, str] = {}
    for host, port in sorted(wanted):
        if (place := pod_place(model, instances, host, port)) is not None:
            places[f"{host}:{port}"] = f"{place[0]}:{place[1]}"
    return places


@dataclass(frozen=True, slots=True)
class _Process:
    config: Path
    socket: Path

    def daemon(self, name: str) -> Daemon:
        arguments = ("--config", str(self.config), "--listen", f"unix:{self.socket}")
        return Daemon(name=name, argv=own_module("meshgate.bridge", *arguments), socket=self.socket)


class BridgeFiles:
    """Where the configurations and sockets are: of the bridge, of another that only keeps answers, and of
    one that only writes requests down.

    They are three, so that however many answers are asked for, and however slow those are who are told
    of requests, nobody waits for a decision.
    """

    def __init__(self, state: Path, run: Path, cache_limits: CacheLimits = CACHE_LIMITS) -> None:
        self._cache_limits = cache_limits
        self._processes = {
            name: _Process(state / f"{name}.json", run / f"{name}.sock") for name in (NAME, CACHE, LOGS)
        }

    @property
    def socket(self) -> Path:
        """Of the one that decides."""
        return self._processes[NAME].socket

    @property
    def cache_socket(self) -> Path:
        """Of the one that keeps answers."""
        return self._processes[CACHE].socket

    @property
    def logs_socket(self) -> Path:
        """Of the one that writes requests down."""
        return self._processes[LOGS].socket

    def write(self, model: Model, instances: Instances) -> frozenset[str]:
        """Writes what they must know; gives the names of the daemons that must run."""
        wanted = {
            NAME: bridge_config(model, instances),
            CACHE: cache_config(model, self._cache_limits),
            LOGS: logs_config(model, instances),
        }
        for name, config in wanted.items():
            file = self._processes[name].config
            if config.needed or file.exists():
                write_config(file, config)
        return frozenset(name for name, config in wanted.items() if config.needed)

    def daemons(self) -> tuple[Daemon, ...]:
        """The processes."""
        return tuple(process.daemon(name) for name, process in self._processes.items())
