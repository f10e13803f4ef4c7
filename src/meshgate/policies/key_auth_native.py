"""Kong's `key-auth` in our own filter (ADR 027), on routes where nothing else says who somebody is.

It finds the key, refuses one that is there twice, and gives the consumer's headers in one step.
It is told SHA-256 digests of the keys only. Everything else about key-auth (`anonymous`,
`key_in_body`, `hide_credentials`, other ways in on the same route) stays with Envoy's filters.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.consumer import Consumer
from meshgate.model.policies.bridged import BRIDGED
from meshgate.model.policy import (
    AUTHENTICATION,
    Acl,
    ExternalAuth,
    GrpcGateway,
    IpRestriction,
    KeyAuth,
    Policy,
    RateLimit,
    RequestSize,
)
from meshgate.policies import rate_limit_windows
from meshgate.policies.consumer_headers import identity_values
from meshgate.policies.edge_policies import EdgePolicies
from meshgate.policies.key_auth import reply_metadata
from meshgate.policies.native import filter_settings, route_settings
from meshgate.policies.packing import http_filter
from meshgate.policies.parts import RouteParts

FILTER = "meshgate.keys"

BETWEEN = (Acl, ExternalAuth, GrpcGateway, IpRestriction, RequestSize)
"""What the chain asks between keys and limits, beside the bridge."""


def decides(policies: tuple[Policy, ...]) -> KeyAuth | None:
    """The policy of a route that this filter takes over; None where Envoy's filters do it all."""
    match [p for p in policies if isinstance(p, AUTHENTICATION)]:
        case [KeyAuth() as policy] if _simple(policy):
            return policy
        case _:
            return None


def listener_filters(
    policies: tuple[KeyAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The filter with the digests of all keys, off until a route asks for it.

    There for any key-auth, for a change of its settings may make it this filter's.
    """
    if not policies:
        return ()
    table = {
        hashlib.sha256(credential.key.reveal()).hexdigest(): identity_values(consumer, credential.id)
        for consumer in consumers
        for credential in consumer.keys
    }
    return (_filter(table),)


def spare_filter() -> hcm.HttpFilter:
    """The filter without a key."""
    return _filter({})


def _filter(table: Mapping[str, Mapping[str, str]]) -> hcm.HttpFilter:
    values: list[str | int] = ["", len(table)]
    for digest in sorted(table):
        given = {name: value for name, value in table[digest].items() if value}
        values += [digest, len(given)]
        for pair in given.items():
            values += pair
    return http_filter(FILTER, filter_settings("keys", values), disabled=True)


def counts_too(policies: tuple[Policy, ...], edge: EdgePolicies) -> bool:
    """Whether the filter counts the route's local limits too: nothing that decides stands between."""
    between = any(isinstance(p, (*BETWEEN, *BRIDGED)) for p in policies)
    return decides(policies) is not None and not (between or edge.varies or edge.guarded)


def route_parts(policy: KeyAuth, limits: tuple[RateLimit, ...]) -> RouteParts:
    """Where this route's keys are looked for, and what is counted at once."""
    names = policy.key_names
    values: list[str | int] = [int(policy.key_in_header), int(policy.key_in_query), len(names), *names]
    values += rate_limit_windows.rules(limits)
    metadata = {**reply_metadata(policy), **rate_limit_windows.replies(limits)}
    return RouteParts(filters={FILTER: route_settings("keys", values)}, metadata=metadata)


def _simple(policy: KeyAuth) -> bool:
    return not (policy.anonymous or policy.key_in_body or policy.hide_credentials)
