"""The Gateway API's ExternalAuth with Envoy's `ext_authz`; whoever gets no answer is refused.

Each distinct configuration is a filter of its own, off until a route switches it on: which headers
are shown is nothing that a route can say (Envoy 1.40).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace

from envoy.config.core.v3 import config_source_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.matcher.v3 import regex_pb2, string_pb2
from envoy.type.v3 import http_status_pb2

from meshgate.core.origin import BUILT_IN
from meshgate.model.policy import ExternalAuth
from meshgate.policies.cluster_names import service_cluster
from meshgate.policies.packing import duration, http_filter, switched_on
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import said_by_itself

PREFIX = "meshgate.external_auth."
_METADATA = "external_auth"
TIMEOUT_MS = 5_000
"""The specification names none; a request that waits longer is refused."""
_NOT_COPIED = (
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
)
"""Of an answer all of whose headers go on: the host, and what is about that answer's own body and
connection, which would change how the backend reads the request."""


def listener_filters(policies: tuple[ExternalAuth, ...]) -> tuple[hcm.HttpFilter, ...]:
    """One for each configuration."""
    found = {filter_name(policy): policy for policy in policies}
    return tuple(http_filter(name, _config(found[name]), disabled=True) for name in sorted(found))


def route_parts(policy: ExternalAuth) -> RouteParts:
    """Switches the filter on."""
    return RouteParts(
        filters={filter_name(policy): switched_on()},
        metadata={_METADATA: "on"},
        body_limit=policy.max_body_bytes,
    )


def replies(policies: tuple[ExternalAuth, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """Refusals are sent as whoever was asked has written them."""
    return (said_by_itself("ext_authz_denied", _METADATA),) if policies else ()


def filter_name(policy: ExternalAuth) -> str:
    """The same for equal configurations, wherever they are written."""
    text = repr(replace(policy, origin=BUILT_IN))
    return PREFIX + hashlib.sha256(text.encode()).hexdigest()[:16]


def _config(policy: ExternalAuth) -> pb.ExtAuthz:
    config = pb.ExtAuthz(
        transport_api_version=config_source_pb2.ApiVersion.V3,
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.StatusCode.ServiceUnavailable),
        validate_mutations=True,
        stat_prefix="external_auth",
    )
    if policy.request_headers:
        config.allowed_headers.CopyFrom(_names(policy.request_headers))
    if policy.max_body_bytes:
        config.with_request_body.max_request_bytes = policy.max_body_bytes
        config.with_request_body.pack_as_bytes = policy.grpc
    cluster = service_cluster(policy.host, policy.port)
    if policy.grpc:
        config.grpc_service.timeout.CopyFrom(duration(TIMEOUT_MS))
        config.grpc_service.envoy_grpc.cluster_name = cluster
        config.grpc_service.envoy_grpc.authority = f"{policy.host}:{policy.port}"
        return config
    service = config.http_service
    service.path_prefix = policy.path_prefix
    service.server_uri.uri = f"http://{policy.host}:{policy.port}"
    service.server_uri.cluster = cluster
    service.server_uri.timeout.CopyFrom(duration(TIMEOUT_MS))
    copied = _names(policy.response_headers) if policy.response_headers else _all_but(_NOT_COPIED)
    service.authorization_response.allowed_upstream_headers.CopyFrom(copied)
    return config


def _names(names: Iterable[str]) -> string_pb2.ListStringMatcher:
    patterns = [string_pb2.StringMatcher(exact=name, ignore_case=True) for name in names]
    return string_pb2.ListStringMatcher(patterns=patterns)


def _all_but(words: tuple[str, ...]) -> string_pb2.ListStringMatcher:
    """Every header with another name; `:status` is none."""
    regex = regex_pb2.RegexMatcher(regex=other_than((":", *words)))
    return string_pb2.ListStringMatcher(patterns=[string_pb2.StringMatcher(safe_regex=regex)])


def other_than(words: Iterable[str], *, inside: bool = False) -> str:
    """A regular expression for the lower-case texts that are none of `words` (RE2 has no look-ahead).

    A word `:` stands for all that begin with it. An empty text is matched only `inside` of a word.
    """
    rests: dict[str, list[str]] = {}
    ends = False
    for word in words:
        if word:
            rests.setdefault(word[0], []).append(word[1:])
        else:
            ends = True
    first = "".join(f"\\{c}" if c in "-^]\\" else c for c in sorted(rests))
    branches = [f"[^{first}].*" if rests else ".+"]
    branches += [f"{c}{other_than(rest, inside=True)}" for c, rest in sorted(rests.items()) if c != ":"]
    return f"({'|'.join(branches)})" + ("?" if inside and not ends else "")
