"""What the bridge must know of a model, and the process that it runs in."""

from __future__ import annotations

from pathlib import Path

from meshgate.app.instances import NO_INSTANCES, Instances, pod_place
from meshgate.bridge.config import BridgeConfig, write_config
from meshgate.model.graph import Model
from meshgate.model.policies.bridged import Bridged, servers
from meshgate.model.policies.cached import ProxyCache
from meshgate.model.policies.logs import LoggedRoute
from meshgate.policies import proxy_cache
from meshgate.policies.bridge import rules
from meshgate.policies.route_logs import logged_id, logged_routes
from meshgate.runtime.daemons import Daemon

NAME = "bridge"
CACHE = "cache"


def bridge_config(model: Model, instances: Instances = NO_INSTANCES) -> BridgeConfig:
    """The rules of all routes, each once, and the consumers where there is any; and where services
    of ours that policies ask are."""
    found: dict[str, tuple[Bridged, ...]] = {}
    logged: dict[str, LoggedRoute] = {}
    for edge_host in model.edge_hosts.values():
        for rule in edge_host.rules:
            found.update(rules(rule.policies))
            logged.update({logged_id(route): route for route in logged_routes(rule)})
    if not found and not logged:
        return BridgeConfig()
    consumers = tuple(model.consumers[key] for key in sorted(model.consumers))
    asked = {server for policies in found.values() for p in policies for server in servers(p)}
    places: dict[str, str] = {}
    for host, port in sorted(asked):
        if (place := pod_place(model, instances, host, port)) is not None:
            places[f"{host}:{port}"] = f"{place[0]}:{place[1]}"
    return BridgeConfig(
        rules=dict(sorted(found.items())),
        logged=dict(sorted(logged.items())),
        consumers=consumers,
        places=places,
    )


def cache_config(model: Model) -> BridgeConfig:
    """What is kept for all routes."""
    found: dict[str, ProxyCache] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            found.update(proxy_cache.rules(rule.every_policy))
    return BridgeConfig(caches=dict(sorted(found.items())))


class BridgeFiles:
    """Where the configurations and sockets are: of the bridge, and of another that only keeps answers.

    They are two, so that however many answers are asked for, nobody waits for a decision.
    """

    def __init__(self, state: Path, run: Path) -> None:
        self._config, self._cache_config = state / "bridge.json", state / "cache.json"
        self.socket, self.cache_socket = run / "bridge.sock", run / "cache.sock"

    def write(self, model: Model, instances: Instances) -> frozenset[str]:
        """Writes what they must know; gives the names of the daemons that must run."""
        wanted = {
            NAME: (self._config, bridge_config(model, instances)),
            CACHE: (self._cache_config, cache_config(model)),
        }
        for file, config in wanted.values():
            if config.needed or file.exists():
                write_config(file, config)
        return frozenset(name for name, (_, config) in wanted.items() if config.needed)

    def daemons(self) -> tuple[Daemon, ...]:
        """The processes."""
        return (
            _daemon(NAME, self._config, self.socket),
            _daemon(CACHE, self._cache_config, self.cache_socket),
        )


def _daemon(name: str, config: Path, socket: Path) -> Daemon:
    arguments = ("-m", "meshgate.bridge", "--config", str(config), "--listen", f"unix:{socket}")
    return Daemon(name=name, python_arguments=arguments, socket=socket)
