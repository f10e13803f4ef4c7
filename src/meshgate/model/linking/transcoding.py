"""JSON for gRPC on an edge route: which service is asked what it speaks. Internal to `link`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from meshgate.core.findings import Findings
from meshgate.model.edge import EdgeHost
from meshgate.model.linking.input import Input
from meshgate.model.policies.grpc import (
    GrpcGateway,
    GrpcWeb,
    ProtoReflection,
    Transcoding,
    transcoding_plugin,
)
from meshgate.model.policy import Policy
from meshgate.model.route import Destination, Forward, Rule


def link_transcoding(given: Input, hosts: Mapping[str, EdgeHost], findings: Findings) -> dict[str, EdgeHost]:
    """The hosts; reflection is asked of the service that a rule leads to (of several, of the first).

    A port that is not said to speak HTTP/2 is MG3110: a server that speaks gRPC takes nothing else.
    """
    return {
        key: replace(host, rules=tuple(_rule(given, rule, findings) for rule in host.rules))
        if any(transcoding_plugin(rule.every_policy) for rule in host.rules)
        else host
        for key, host in hosts.items()
    }


def _rule(given: Input, rule: Rule, findings: Findings) -> Rule:
    plugin = transcoding_plugin(rule.every_policy)
    if plugin is None or not isinstance(rule.action, Forward) or not rule.action.destinations:
        return rule
    destination = rule.action.destinations[0].destination
    _compare(given, plugin, destination, findings)

    def asking(policies: tuple[Policy, ...]) -> tuple[Policy, ...]:
        return tuple(_asking(policy, destination) for policy in policies)

    variants = tuple(replace(variant, policies=asking(variant.policies)) for variant in rule.variants)
    return replace(rule, policies=asking(rule.policies), variants=variants)


def _asking(policy: Policy, destination: Destination) -> Policy:
    match policy:
        case (
            GrpcGateway(transcoding=Transcoding(source=ProtoReflection()))
            | GrpcWeb(transcoding=Transcoding(source=ProtoReflection()))
        ):
            assert policy.transcoding is not None
            source = ProtoReflection(host=destination.host, port=destination.port)
            return replace(policy, transcoding=replace(policy.transcoding, source=source))
        case _:
            return policy


def _compare(
    given: Input, plugin: GrpcGateway | GrpcWeb, destination: Destination, findings: Findings
) -> None:
    service = given.hosts.get(destination.host)
    port = service.port(destination.port) if service is not None else None
    if service is None or port is None or port.protocol.is_http2 or plugin.ref is None:
        return
    findings.warn(
        "MG3110",
        plugin.origin,
        plugin.ref,
        f"requests become gRPC, but port {port.number} of {service.host} is not said to speak it",
        "name the port `grpc`, or give it `appProtocol: grpc`",
    )
