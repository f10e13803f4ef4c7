"""Kong's `key-auth` with Envoy's `api_key_auth`."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from envoy.extensions.filters.http.api_key_auth.v3 import api_key_auth_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.consumer import Consumer, KeyCredential
from meshgate.model.policy import KeyAuth
from meshgate.policies import key_hidden
from meshgate.policies.key_in_body import KEY_HEADER
from meshgate.policies.packing import http_filter, pack
from meshgate.policies.parts import RouteParts

FILTER = "envoy.filters.http.api_key_auth"
CREDENTIAL_HEADER = "x-meshgate-key-credential"
"""Carries the id of the matched key to the filters behind; never leaves the gateway."""


def config_name(policy: KeyAuth) -> str:
    """Names the settings; equal for policies that ask for the same."""
    parts: tuple[object, ...] = (
        policy.key_names,
        policy.hide_credentials,
        policy.key_in_header,
        policy.key_in_query,
    )
    if policy.key_in_body:
        parts = (*parts, "body")
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:12]


def listener_filters(
    policies: tuple[KeyAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The filter with all keys; off where no route asks for it. Routes that let strangers in do not."""
    if not any(not p.anonymous for p in policies):
        return ()
    return (_filter([credential for consumer in consumers for credential in consumer.keys]),)


def spare_filter() -> hcm.HttpFilter:
    """The filter without a key."""
    return _filter(())


def _filter(credentials: Iterable[KeyCredential]) -> hcm.HttpFilter:
    config = pb.ApiKeyAuth(forwarding=_forwarding(hide=False))
    config.key_sources.add(header="apikey")
    for credential in credentials:
        config.credentials.add(key=credential.key.reveal_text(), client=credential.id)
    return http_filter(FILTER, config, disabled=True)


def route_parts(policy: KeyAuth, consumers: tuple[Consumer, ...]) -> RouteParts:
    """Where this route's keys are looked for: header first, then query, name by name."""
    if policy.anonymous:
        return RouteParts()
    hide = policy.hide_credentials and not key_hidden.is_needed(policy)
    per_route = pb.ApiKeyAuthPerRoute(forwarding=_forwarding(hide=hide))
    if policy.key_in_body:
        # Only there where Kong would take the key from the body.
        per_route.key_sources.add(header=KEY_HEADER)
    for name in policy.key_names:
        if policy.key_in_header:
            per_route.key_sources.add(header=name)
        if policy.key_in_query:
            per_route.key_sources.add(query=name)
    # allowed_clients stays empty: every consumer with a key may come in, as in Kong.
    return RouteParts(filters={FILTER: pack(per_route)}, metadata=reply_metadata(policy))


def reply_metadata(policy: KeyAuth) -> dict[str, str]:
    """What the refusal says, for the gateway's local replies."""
    return {"auth": "key-auth", "realm": f' realm="{policy.realm}"' if policy.realm else ""}


def _forwarding(*, hide: bool) -> pb.Forwarding:
    return pb.Forwarding(header=CREDENTIAL_HEADER, hide_credentials=hide)
