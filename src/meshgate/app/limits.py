"""The rules file of the rate limit service, with the names of our services made addresses, and the process
that reads it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from meshgate.app.instances import pod_place
from meshgate.core.own_process import own_module
from meshgate.model.graph import Model
from meshgate.model.policy import LimitStore, RateLimit, RedisTarget, ResponseRateLimit
from meshgate.model.workload import Instance
from meshgate.ratelimit.rules_file import write_rules
from meshgate.runtime.daemons import Daemon

NAME = "rate-limit"


class LimitFiles:
    """Where the rules and the socket of the service are. It runs from the first rule on."""

    def __init__(self, state: Path, run: Path) -> None:
        self._rules = state / "rate-limit-rules.json"
        self.socket = run / "rate-limit.sock"

    def write(self, model: Model, instances: Mapping[str, tuple[Instance, ...]]) -> frozenset[str]:
        """Writes the rules, before xDS names a new one; gives the daemon's name where it must run."""
        shared, by_answers = shared_rules(model, instances), response_rules(model, instances)
        needed = bool(shared or by_answers)
        if needed or self._rules.exists():
            write_rules(self._rules, shared, by_answers)
        return frozenset({NAME} if needed else ())

    def daemon(self) -> Daemon:
        """The process."""
        arguments = (
            "--rules",
            str(self._rules),
            "--listen",
            f"unix:{self.socket}",
        )
        return Daemon(name=NAME, argv=own_module("meshgate.ratelimit", *arguments), socket=self.socket)


def shared_rules(model: Model, instances: Mapping[str, tuple[Instance, ...]]) -> tuple[RateLimit, ...]:
    """Every rule that the service counts, once, sorted by id."""
    found: dict[str, RateLimit] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            for policy in rule.policies:
                if not isinstance(policy, RateLimit):
                    continue
                if policy.store is LimitStore.QUOTA:
                    found[policy.rule_id] = policy
                if policy.store is LimitStore.REDIS and policy.redis:
                    target = reachable(policy.redis, model, instances)
                    found[policy.rule_id] = replace(policy, redis=target)
    return tuple(found[key] for key in sorted(found))


def response_rules(
    model: Model, instances: Mapping[str, tuple[Instance, ...]]
) -> tuple[ResponseRateLimit, ...]:
    """Every rule by what answers cost, once, sorted by id."""
    found: dict[str, ResponseRateLimit] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            for policy in rule.every_policy:
                if isinstance(policy, ResponseRateLimit):
                    target = reachable(policy.redis, model, instances) if policy.redis else None
                    found[policy.rule_id] = replace(policy, redis=target)
    return tuple(found[key] for key in sorted(found))


def reachable(
    target: RedisTarget, model: Model, instances: Mapping[str, tuple[Instance, ...]]
) -> RedisTarget:
    """A Redis that is a service of ours, by the address of its first ready pod.

    Where none is ready the name stays: it resolves to nothing, and `fault_tolerant` decides.
    """
    place = pod_place(model, instances, target.host, target.port)
    return replace(target, host=place[0], port=place[1]) if place is not None else target
