"""The rules file of the rate limit service, with the names of our services made addresses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.app.instances import reached_port
from meshgate.model.graph import Model
from meshgate.model.policy import LimitStore, RateLimit, RedisTarget
from meshgate.model.workload import Instance


def shared_rules(model: Model, instances: Mapping[str, tuple[Instance, ...]]) -> tuple[RateLimit, ...]:
    """Every rule that the service counts, once, sorted by id."""
    found: dict[str, RateLimit] = {}
    for host in model.edge_hosts.values():
        for rule in host.rules:
            for policy in rule.policies:
                if isinstance(policy, RateLimit) and policy.store is LimitStore.REDIS and policy.redis:
                    target = reachable(policy.redis, model, instances)
                    found[policy.rule_id] = replace(policy, redis=target)
    return tuple(found[key] for key in sorted(found))


def reachable(
    target: RedisTarget, model: Model, instances: Mapping[str, tuple[Instance, ...]]
) -> RedisTarget:
    """A Redis that is a service of ours, by the address of its first ready pod.

    Where none is ready the name stays: it resolves to nothing, and `fault_tolerant` decides.
    """
    service = model.services.get(target.host)
    port = service.port(target.port) if service else None
    if service is None or port is None:
        return target
    for key in model.backends.get(target.host, ()):
        for instance in instances.get(key, ()):
            if number := reached_port(port, instance):
                return replace(target, host=instance.ip, port=number)
    return target
