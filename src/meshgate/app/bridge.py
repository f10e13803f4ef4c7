"""What the bridge must know of a model, and the process that it runs in."""

from __future__ import annotations

from pathlib import Path

from meshgate.app.instances import NO_INSTANCES, Instances, pod_place
from meshgate.bridge.config import BridgeConfig, write_config
from meshgate.model.graph import Model
from meshgate.model.policies.bridged import Bridged, servers
from meshgate.policies.bridge import rules
from meshgate.runtime.daemons import Daemon

NAME = "bridge"


def bridge_config(model: Model, instances: Instances = NO_INSTANCES) -> BridgeConfig:
    """The rules of all routes, each once, and the consumers where there is any; and where services
    of ours that policies ask are."""
    found: dict[str, tuple[Bridged, ...]] = {}
    for edge_host in model.edge_hosts.values():
        for rule in edge_host.rules:
            found.update(rules(rule.policies))
    if not found:
        return BridgeConfig()
    consumers = tuple(model.consumers[key] for key in sorted(model.consumers))
    asked = {server for policies in found.values() for p in policies for server in servers(p)}
    places: dict[str, str] = {}
    for host, port in sorted(asked):
        if (place := pod_place(model, instances, host, port)) is not None:
            places[f"{host}:{port}"] = f"{place[0]}:{place[1]}"
    return BridgeConfig(rules=dict(sorted(found.items())), consumers=consumers, places=places)


class BridgeFiles:
    """Where the bridge's configuration and socket are."""

    def __init__(self, state: Path, run: Path) -> None:
        self._config = state / "bridge.json"
        self.socket = run / "bridge.sock"

    def write(self, model: Model, instances: Instances) -> frozenset[str]:
        """Writes what it must know; gives the daemon's name where it must run."""
        config = bridge_config(model, instances)
        if config.needed or self._config.exists():
            write_config(self._config, config)
        return frozenset({NAME}) if config.needed else frozenset()

    def daemon(self) -> Daemon:
        """The process."""
        arguments = (
            "-m",
            "meshgate.bridge",
            "--config",
            str(self._config),
            "--listen",
            f"unix:{self.socket}",
        )
        return Daemon(name=NAME, python_arguments=arguments, socket=self.socket)
