"""Plugins that Envoy cannot carry out: it asks `meshgate.bridge`, once a stage, with `ext_authz`.

Which policies a route has is said by an id that stands for all of them: the bridge finds them under
it in its own configuration, so that no secret of theirs is in Envoy's. Where no answer comes
the request is refused.
"""

from __future__ import annotations

import hashlib

from envoy.config.core.v3 import config_source_pb2
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.type.v3 import http_status_pb2

from meshgate.core.typed_json import dump
from meshgate.model.policies.bridged import BRIDGED, Bridged, MtlsAuth, OAuth2, Opa, OpenIdConnect, Stage
from meshgate.model.policy import Policy
from meshgate.policies import captures, client_certificate, verdict_cache
from meshgate.policies.packing import duration, http_filter, pack
from meshgate.policies.parts import RouteParts
from meshgate.policies.replies import said_by_itself, said_reply

CLUSTER = "meshgate_bridge"
"""The static cluster that leads to the bridge's Unix socket."""
FILTERS = {Stage.AUTHENTICATION: "meshgate.bridge.authentication", Stage.ACCESS: "meshgate.bridge.access"}
RULE = "rule"
"""Key of the context under which the bridge finds a rule's id."""
METADATA = "bridge"
"""Key of a route's metadata: the bridge's answers are sent as they are."""
DEADLINE_MARGIN_MS = 500
"""A check keeps its own deadline; Envoy waits this much longer."""


def bridged(policies: tuple[Policy, ...], stage: Stage) -> tuple[Bridged, ...]:
    """Those that are asked about at a stage, in Kong's order."""
    found = [p for p in policies if isinstance(p, BRIDGED) and stage is p.STAGE]
    return tuple(sorted(found, key=lambda p: -p.PRIORITY))


def rule_id(policies: tuple[Bridged, ...]) -> str:
    """Stands for these policies; equal for equal ones, wherever they are written."""
    return hashlib.sha256(dump(policies).encode()).hexdigest()[:20]


def rules(policies: tuple[Policy, ...]) -> dict[str, tuple[Bridged, ...]]:
    """What the bridge must know of a route: id -> policies, for each stage that has any."""
    stages = (bridged(policies, stage) for stage in Stage)
    return {rule_id(found): found for found in stages if found}


def listener_filters(policies: tuple[Policy, ...], stage: Stage) -> tuple[hcm.HttpFilter, ...]:
    """The filter of a stage, off until a route switches it on; none where no policy needs it."""
    found = bridged(policies, stage)
    if not found:
        return ()
    # Of several on one route each may take its time.
    together = sum(
        max(p.deadline_ms for p in found if isinstance(p, kind)) for kind in {type(p) for p in found}
    )
    deadline = duration(together + DEADLINE_MARGIN_MS)
    config = pb.ExtAuthz(
        transport_api_version=config_source_pb2.ApiVersion.V3,
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.StatusCode.InternalServerError),
        encode_raw_headers=True,
        stat_prefix=f"bridge_{stage.value}",
    )
    if any(isinstance(p, MtlsAuth) for p in found):
        config.metadata_context_namespaces.append(client_certificate.NAMESPACE)
    if any(isinstance(p, OAuth2) for p in found):
        # Behind a proxy that is trusted the scheme is what the proxy says.
        config.include_tls_session = True
    if any(isinstance(p, Opa) and p.include_uri_captures for p in found):
        config.metadata_context_namespaces.append(captures.NAMESPACE)
    if stage is Stage.AUTHENTICATION:
        verdict_cache.skip_when_known(config, policies)
    config.grpc_service.timeout.CopyFrom(deadline)
    config.grpc_service.envoy_grpc.cluster_name = CLUSTER
    return (http_filter(FILTERS[stage], config, disabled=True),)


def spare_filter(stage: Stage) -> hcm.HttpFilter:
    """The filter of a stage before anybody needs a bridge: it finds none, and refuses."""
    config = pb.ExtAuthz(
        transport_api_version=config_source_pb2.ApiVersion.V3,
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.StatusCode.InternalServerError),
        stat_prefix=f"bridge_{stage.value}",
    )
    config.grpc_service.envoy_grpc.cluster_name = CLUSTER
    return http_filter(FILTERS[stage], config, disabled=True)


def route_parts(policies: tuple[Policy, ...], stage: Stage) -> RouteParts:
    """Switches the stage's filter on, with the rule's id and as much of the body as is asked for."""
    found = bridged(policies, stage)
    if not found:
        return RouteParts()
    per_route = pb.ExtAuthzPerRoute()
    per_route.check_settings.context_extensions[RULE] = rule_id(found)
    if most := max(p.max_body_bytes for p in found):
        body = per_route.check_settings.with_request_body
        body.max_request_bytes, body.pack_as_bytes = most, True
        # Who only looks for a form lets longer bodies pass, of which it is shown the beginning.
        body.allow_partial_message = all(
            isinstance(p, OpenIdConnect | OAuth2) for p in found if p.max_body_bytes
        )
    return RouteParts(filters={FILTERS[stage]: pack(per_route)}, metadata={METADATA: stage.value})


def replies(policies: tuple[Policy, ...]) -> tuple[hcm.ResponseMapper, ...]:
    """The bridge's own answers as they are, and Kong's sentence where none came."""
    if not any(isinstance(p, BRIDGED) for p in policies):
        return ()
    return (
        said_by_itself("ext_authz_denied", METADATA),
        said_reply("ext_authz_error", METADATA, "An unexpected error occurred"),
    )
