"""CUSTOM policies: whom their rules take is asked about elsewhere, with Envoy's `ext_authz`.

As in Istio 1.27 this comes before tokens are read and before DENY and ALLOW, so that the one
who is asked may bring the token. An RBAC filter that enforces nothing notes which rule took a
request, and the provider is asked where that note is. A provider that is asked over HTTP
cannot be asked about connections: there the rules refuse instead (Istio lets them pass).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from envoy.config.core.v3 import base_pb2, config_source_pb2, grpc_service_pb2
from envoy.config.listener.v3 import listener_components_pb2
from envoy.config.rbac.v3 import rbac_pb2 as pb
from envoy.extensions.filters.http.ext_authz.v3 import ext_authz_pb2 as http_pb
from envoy.extensions.filters.http.rbac.v3 import rbac_pb2 as http_rbac_pb
from envoy.extensions.filters.network.ext_authz.v3 import ext_authz_pb2 as network_pb
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm
from envoy.extensions.filters.network.rbac.v3 import rbac_pb2 as network_rbac_pb
from envoy.type.matcher.v3 import metadata_pb2, string_pb2
from envoy.type.v3 import http_status_pb2

from meshgate.model.authorization import Action, Authorizer, Guard
from meshgate.model.mesh_config import ExtAuthz
from meshgate.policies import matching_text as text
from meshgate.policies.authorization import Place, rbac
from meshgate.policies.packing import duration, http_filter, pack

FILTER = "meshgate.external_authorization"
NOTING_FILTER = "meshgate.external_authorization_rules"
"""Not Envoy's usual names: what a route says about those must not replace these."""
NETWORK_FILTER = "envoy.filters.network.ext_authz"
HTTP_RULES, NETWORK_RULES = "envoy.filters.http.rbac", "envoy.filters.network.rbac"
"""Where Envoy's RBAC filters write, whatever they are called."""
RULE_PREFIX = "istio-ext-authz-"

ClusterOf = Callable[[Authorizer], str]
"""The cluster that leads to a provider."""


def http_filters(guard: Guard, place: Place, cluster: ClusterOf) -> tuple[hcm.HttpFilter, ...]:
    """A pair of filters for each provider; none where no policy is CUSTOM."""
    found: list[hcm.HttpFilter] = []
    for authorizer, rules in _asked(guard, place, http=True):
        prefix = _noted(authorizer)
        noting = http_rbac_pb.RBAC(shadow_rules=rules, shadow_rules_stat_prefix=prefix)
        config = _http(authorizer, cluster(authorizer))
        config.filter_enabled_metadata.CopyFrom(_took(HTTP_RULES, prefix))
        found += [http_filter(NOTING_FILTER, noting), http_filter(FILTER, config)]
    return tuple(found)


def network_filters(
    guard: Guard, place: Place, cluster: ClusterOf
) -> tuple[listener_components_pb2.Filter, ...]:
    """The same for connections whose bytes are carried as they are."""
    found: list[listener_components_pb2.Filter] = []
    for authorizer, rules in _asked(guard, place, http=False):
        if not authorizer.settings.grpc:
            refusing = network_rbac_pb.RBAC(rules=rules, stat_prefix="tcp.")
            found.append(_network(NETWORK_RULES, refusing))
            continue
        prefix = _noted(authorizer)
        noting = network_rbac_pb.RBAC(shadow_rules=rules, shadow_rules_stat_prefix=prefix, stat_prefix="tcp.")
        config = network_pb.ExtAuthz(
            stat_prefix="tcp.",
            failure_mode_allow=authorizer.settings.fail_open,
            transport_api_version=config_source_pb2.ApiVersion.V3,
            grpc_service=_grpc(authorizer, cluster(authorizer)),
        )
        config.filter_enabled_metadata.CopyFrom(_took(NETWORK_RULES, prefix))
        found += [_network(NETWORK_RULES, noting), _network(NETWORK_FILTER, config)]
    return tuple(found)


def _asked(guard: Guard, place: Place, *, http: bool) -> Iterator[tuple[Authorizer, pb.RBAC]]:
    if guard.closed:
        return
    custom = guard.of(Action.CUSTOM)
    for authorizer in guard.authorizers:
        own = [policy for policy in custom if policy.provider == authorizer.name]
        # As with DENY, a rule takes rather too much than too little.
        yield authorizer, rbac(own, pb.RBAC.DENY, place, http=http, prefix=RULE_PREFIX)


def _noted(authorizer: Authorizer) -> str:
    return f"istio_ext_authz_{authorizer.name}_"


def _took(filter_name: str, prefix: str) -> metadata_pb2.MetadataMatcher:
    match = metadata_pb2.MetadataMatcher(filter=filter_name)
    match.path.add(key=f"{prefix}shadow_effective_policy_id")
    match.value.string_match.prefix = RULE_PREFIX
    return match


def _http(authorizer: Authorizer, cluster: str) -> http_pb.ExtAuthz:
    settings = authorizer.settings
    config = http_pb.ExtAuthz(
        transport_api_version=config_source_pb2.ApiVersion.V3,
        failure_mode_allow=settings.fail_open,
        clear_route_cache=settings.clear_route_cache,
        status_on_error=http_status_pb2.HttpStatus(code=int(settings.status_on_error)),
    )
    if (body := settings.request_body) is not None:
        config.with_request_body.max_request_bytes = body.max_request_bytes
        config.with_request_body.allow_partial_message = body.allow_partial_message
        config.with_request_body.pack_as_bytes = body.pack_as_bytes
    if settings.grpc:
        config.grpc_service.CopyFrom(_grpc(authorizer, cluster))
    else:
        config.http_service.CopyFrom(_service(authorizer, cluster))
        if settings.include_request_headers:
            config.allowed_headers.CopyFrom(_names(settings.include_request_headers))
    return config


def _service(authorizer: Authorizer, cluster: str) -> http_pb.HttpService:
    settings: ExtAuthz = authorizer.settings
    service = http_pb.HttpService(path_prefix=settings.path_prefix)
    service.server_uri.uri = f"http://{authorizer.host}"
    service.server_uri.cluster = cluster
    service.server_uri.timeout.CopyFrom(duration(settings.timeout_ms))
    for name, value in sorted(settings.include_additional_headers.items()):
        service.authorization_request.headers_to_add.append(base_pb2.HeaderValue(key=name, value=value))
    answer = service.authorization_response
    for names, field in (
        (settings.headers_to_upstream_on_allow, answer.allowed_upstream_headers),
        (settings.headers_to_downstream_on_deny, answer.allowed_client_headers),
        (settings.headers_to_downstream_on_allow, answer.allowed_client_headers_on_success),
    ):
        if names:
            field.CopyFrom(_names(names))
    return service


def _grpc(authorizer: Authorizer, cluster: str) -> grpc_service_pb2.GrpcService:
    service = grpc_service_pb2.GrpcService(timeout=duration(authorizer.settings.timeout_ms))
    # A cluster's name, Envoy's default, is no authority that servers take.
    service.envoy_grpc.cluster_name = cluster
    service.envoy_grpc.authority = f"{authorizer.host}:{authorizer.settings.address.port}"
    return service


def _names(names: tuple[str, ...]) -> string_pb2.ListStringMatcher:
    """Of headers: exact, `x-*` or `*-id`."""
    return string_pb2.ListStringMatcher(patterns=[text.folded(text.plain(name)) for name in names])


def _network(name: str, config: network_pb.ExtAuthz | network_rbac_pb.RBAC) -> listener_components_pb2.Filter:
    return listener_components_pb2.Filter(name=name, typed_config=pack(config))
