"""Kong's `basic-auth` with Envoy's `basic_auth`.

Envoy knows passwords by their SHA-1 alone, so that is what its configuration holds. Where
they are looked for: `basic_login`.
"""

from __future__ import annotations

import base64
import hashlib

from envoy.config.core.v3 import base_pb2
from envoy.extensions.filters.http.basic_auth.v3 import basic_auth_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm

from meshgate.model.consumer import Consumer
from meshgate.model.policy import BasicAuth
from meshgate.policies.basic_login import LOGIN_HEADER
from meshgate.policies.packing import http_filter, switched_on
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import unauthorized_reply

FILTER = "envoy.filters.http.basic_auth"
CREDENTIAL_HEADER = "x-meshgate-basic-credential"
"""Carries the username to the filters behind; never leaves the gateway."""

_NOBODY = "-:{SHA}" + base64.b64encode(bytes(hashlib.sha1().digest_size)).decode()
"""Envoy wants a user; nobody knows a password with this hash."""


def listener_filters(
    policies: tuple[BasicAuth, ...], consumers: tuple[Consumer, ...]
) -> tuple[hcm.HttpFilter, ...]:
    """The filter with all users; off where no route asks for it. Routes that let strangers in do not."""
    if not any(not p.anonymous for p in policies):
        return ()
    users = sorted(_user(c.username, c.password.reveal()) for consumer in consumers for c in consumer.basic)
    return (_filter(users or [_NOBODY]),)


def spare_filter() -> hcm.HttpFilter:
    """The filter without a user."""
    return _filter([_NOBODY])


def _filter(users: list[str]) -> hcm.HttpFilter:
    config = pb.BasicAuth(
        users=base_pb2.DataSource(inline_string="\n".join(users)),
        forward_username_header=CREDENTIAL_HEADER,
        authentication_header=LOGIN_HEADER,
    )
    return http_filter(FILTER, config, disabled=True)


def route_parts(policy: BasicAuth) -> RouteParts:
    """Switches the filter on, with the users that it has."""
    if policy.anonymous:
        return RouteParts()
    metadata = {"basic_realm": policy.realm}
    return RouteParts(filters={FILTER: switched_on()}, metadata=metadata)


def replies(policies: tuple[BasicAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Kong's answer, whatever is wrong with the credentials."""
    challenge = 'Basic realm="%METADATA(ROUTE:meshgate:basic_realm)%"'
    return (unauthorized_reply("_for_basic_auth", challenge),) if policies else ()


def _user(username: str, password: bytes) -> str:
    digest = hashlib.sha1(password, usedforsecurity=False).digest()
    return f"{username}:{{SHA}}{base64.b64encode(digest).decode()}"
