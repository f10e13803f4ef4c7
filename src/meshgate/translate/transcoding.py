"""What services of an edge host speak, and routes that are closed until that is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.model.edge import EdgeHost
from meshgate.model.policies.grpc import ProtoDescriptor, described
from meshgate.model.reader import Reader
from meshgate.model.route import Forward, Refuse


def with_descriptors(reader: Reader, host: EdgeHost) -> tuple[EdgeHost, Mapping[str, ProtoDescriptor]]:
    """The host, where routes whose description cannot be had answer 503, and the others' descriptions."""
    found: dict[str, ProtoDescriptor] = {}
    rules = []
    for rule in host.rules:
        for how in map(described, rule.policies_of_each):
            if how is None or not isinstance(rule.action, Forward):
                continue
            descriptor = reader.descriptor(how.key)
            if descriptor is None:
                # For everybody, also where it is one consumer's: nobody gets to a service by another way.
                reason = f"the description of its gRPC service ({how.key}) cannot be had"
                rule = replace(rule, action=Refuse(status=503, reason=reason))
            else:
                found[how.key] = descriptor
        rules.append(rule)
    return replace(host, rules=tuple(rules)), found
