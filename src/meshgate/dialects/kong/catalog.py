"""Kong's bundled plugins: their names, the fields of their `config`, and which fields must be there.

The fields serve to tell which plugin a KongPlugin without `plugin` means. Source: the
schemas of Kong 3.9.3. A plugin whose fields are not listed can be named, never inferred.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from meshgate.dialects.kong.openid_catalog import OPENID_CONNECT_FIELDS


class Purpose(enum.Enum):
    """What a plugin is for: why nothing may pass where it was asked for and cannot run."""

    ACCESS = "it decides who gets in"
    LIMIT = "it guards against too many requests"
    CHANGE = "it changes requests or answers, and either end may rely on that"
    RECORD = "it only watches: requests pass without it"


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownPlugin:
    """What is known about one plugin's config."""

    purpose: Purpose
    fields: frozenset[str] = frozenset()
    """Top-level fields, old spellings included; empty where they are not listed here."""
    required: tuple[frozenset[str], ...] = ()
    """Of each set at least one field must be there."""

    def fits(self, given: Collection[str]) -> bool:
        """Whether the given fields can be this plugin's config."""
        return self.fields.issuperset(given) and all(not one.isdisjoint(given) for one in self.required)


REDIS_FIELDS = (
    "host",
    "port",
    "timeout",
    "username",
    "password",
    "database",
    "ssl",
    "ssl_verify",
    "server_name",
)
"""Of the record `redis`; each was `redis_<name>` beside it until Kong 3.8."""

WINDOWS = ("second", "minute", "hour", "day", "month", "year")

_FLAT_REDIS = " ".join(f"redis_{name}" for name in REDIS_FIELDS)


_PHASES = "certificate rewrite access header_filter body_filter log"


def _known(purpose: Purpose, fields: str = "", *required: str) -> KnownPlugin:
    return KnownPlugin(
        purpose=purpose,
        fields=frozenset(fields.split()),
        required=tuple(frozenset(one.split()) for one in required),
    )


_A, _L, _C, _R = Purpose.ACCESS, Purpose.LIMIT, Purpose.CHANGE, Purpose.RECORD

CATALOG: Mapping[str, KnownPlugin] = MappingProxyType(
    {
        "acl": _known(
            _A,
            "allow deny hide_groups_header always_use_authenticated_groups include_consumer_groups",
            "allow deny",
        ),
        "acme": _known(
            _C,
            "account_email account_key api_uri tos_accepted eab_kid eab_hmac_key cert_type rsa_key_size "
            "renew_threshold_days domains allow_any_domain fail_backoff_minutes storage storage_config "
            "preferred_chain enable_ipv4_common_name",
            "account_email",
        ),
        "ai-prompt-decorator": _known(_C),
        "ai-prompt-guard": _known(_A),
        "ai-prompt-template": _known(_C),
        "ai-proxy": _known(_C),
        "ai-request-transformer": _known(_C),
        "ai-response-transformer": _known(_C),
        "aws-lambda": _known(_C),
        "azure-functions": _known(_C),
        "basic-auth": _known(_A, "anonymous hide_credentials realm"),
        "bot-detection": _known(_A, "allow deny"),
        "correlation-id": _known(_R, "header_name generator echo_downstream"),
        "cors": _known(
            _A,
            "origins headers exposed_headers methods max_age credentials private_network "
            "preflight_continue allow_origin_absent",
        ),
        "datadog": _known(
            _R,
            "host port prefix service_name_tag status_tag consumer_tag retry_count queue_size flush_timeout "
            "queue metrics",
        ),
        "file-log": _known(_R, "path reopen custom_fields_by_lua", "path"),
        "grpc-gateway": _known(_C, "proto"),
        "grpc-web": _known(_C, "proto pass_stripped_path allow_origin_header"),
        "hmac-auth": _known(
            _A,
            "hide_credentials clock_skew anonymous validate_request_body enforce_headers algorithms realm",
        ),
        "http-log": _known(
            _R,
            "http_endpoint method content_type timeout keepalive retry_count queue_size flush_timeout "
            "headers queue custom_fields_by_lua",
            "http_endpoint",
        ),
        "ip-restriction": _known(_A, "allow deny status message", "allow deny"),
        "jwt": _known(
            _A,
            "uri_param_names cookie_names header_names key_claim_name secret_is_base64 claims_to_verify "
            "maximum_expiration anonymous run_on_preflight realm",
        ),
        "key-auth": _known(
            _A,
            "key_names hide_credentials anonymous key_in_header key_in_query key_in_body "
            "run_on_preflight realm",
        ),
        "ldap-auth": _known(
            _A,
            "ldap_host ldap_port ldaps start_tls verify_ldap_host base_dn attribute cache_ttl "
            "hide_credentials timeout keepalive anonymous header_type realm",
            "ldap_host",
            "base_dn",
            "attribute",
        ),
        "loggly": _known(
            _R,
            "host port key tags log_level successful_severity client_errors_severity "
            "server_errors_severity timeout custom_fields_by_lua",
            "key",
        ),
        "mtls-auth": _known(
            _A,
            "ca_certificates skip_consumer_lookup consumer_by authenticated_group_by default_consumer "
            "anonymous allow_partial_chain send_ca_dn revocation_check_mode http_timeout cert_cache_ttl "
            "cache_ttl http_proxy_host http_proxy_port https_proxy_host https_proxy_port",
            "ca_certificates",
        ),
        "oauth2": _known(
            _A,
            "scopes mandatory_scope provision_key token_expiration enable_authorization_code "
            "enable_implicit_grant enable_client_credentials enable_password_grant hide_credentials "
            "accept_http_if_already_terminated anonymous global_credentials auth_header_name "
            "refresh_token_ttl reuse_refresh_token pkce realm",
            "enable_authorization_code enable_implicit_grant enable_client_credentials enable_password_grant",
        ),
        "opa": _known(
            _A,
            "opa_protocol opa_host opa_port opa_path include_service_in_opa_input include_route_in_opa_input "
            "include_consumer_in_opa_input include_body_in_opa_input include_parsed_json_body_in_opa_input "
            "include_uri_captures_in_opa_input ssl_verify",
            "opa_path",
        ),
        "openid-connect": _known(_A, OPENID_CONNECT_FIELDS, "issuer"),
        "opentelemetry": _known(
            _R,
            "traces_endpoint logs_endpoint headers resource_attributes queue connect_timeout send_timeout "
            "read_timeout http_response_header_for_traceid sampling_rate propagation endpoint "
            "batch_span_count batch_flush_delay header_type access_logs_endpoint metrics",
            "traces_endpoint logs_endpoint endpoint",
        ),
        "post-function": _known(_A, _PHASES, _PHASES),
        "pre-function": _known(_A, _PHASES, _PHASES),
        "prometheus": _known(
            _R,
            "per_consumer status_code_metrics ai_metrics latency_metrics bandwidth_metrics "
            "upstream_health_metrics wasm_metrics",
        ),
        "proxy-cache": _known(
            _C,
            "response_code request_method content_type cache_ttl strategy cache_control ignore_uri_case "
            "storage_ttl memory vary_query_params vary_headers response_headers",
            "strategy",
        ),
        "rate-limiting": _known(
            _L,
            f"{' '.join(WINDOWS)} limit_by header_name path policy fault_tolerant hide_client_headers "
            f"error_code error_message sync_rate redis {_FLAT_REDIS}",
            " ".join(WINDOWS),
        ),
        "redirect": _known(_C, "status_code location keep_incoming_path", "location"),
        "request-size-limiting": _known(_L, "allowed_payload_size size_unit require_content_length"),
        "request-termination": _known(_A, "status_code message content_type body echo trigger"),
        "request-transformer": _known(_C, "http_method remove rename replace add append"),
        "response-ratelimiting": _known(
            _L,
            "header_name limit_by policy fault_tolerant redis block_on_first_violation "
            f"hide_client_headers limits {_FLAT_REDIS}",
            "limits",
        ),
        "response-transformer": _known(_C, "remove rename replace add append"),
        "session": _known(
            _A,
            "secret storage audience idling_timeout rolling_timeout absolute_timeout stale_ttl cookie_name "
            "cookie_path cookie_domain cookie_same_site cookie_http_only cookie_secure remember "
            "remember_cookie_name remember_rolling_timeout remember_absolute_timeout response_headers "
            "request_headers read_body_for_logout logout_methods logout_query_arg logout_post_arg "
            "hash_subject store_metadata cookie_lifetime cookie_idletime cookie_renew cookie_discard "
            "cookie_samesite cookie_httponly cookie_persistent",
        ),
        "standard-webhooks": _known(_A),
        "statsd": _known(
            _R,
            "host port prefix metrics allow_status_codes udp_packet_size use_tcp hostname_in_prefix "
            "consumer_identifier_default service_identifier_default workspace_identifier_default retry_count "
            "queue_size flush_timeout tag_style queue",
        ),
        "syslog": _known(
            _R,
            "log_level successful_severity client_errors_severity server_errors_severity "
            "custom_fields_by_lua facility",
        ),
        "tcp-log": _known(_R, "host port timeout keepalive tls tls_sni custom_fields_by_lua", "host", "port"),
        "udp-log": _known(_R, "host port timeout custom_fields_by_lua", "host", "port"),
        "zipkin": _known(
            _R,
            "local_service_name http_endpoint sample_ratio default_service_name include_credential "
            "traceid_byte_count header_type default_header_type tags_header static_tags http_span_name "
            "connect_timeout send_timeout read_timeout http_response_header_for_traceid "
            "phase_duration_flavor queue propagation",
        ),
    }
)
"""Every plugin of Kong's open edition, and what is here of those that Kong sells, by name."""


def candidates(given: Collection[str]) -> tuple[str, ...]:
    """The plugins whose fields all the given ones are, sorted by name."""
    return tuple(name for name, known in sorted(CATALOG.items()) if known.fields and known.fits(given))


def nearest(given: Collection[str]) -> tuple[str, ...]:
    """The plugins that share the most of the given fields; none where no field is known."""
    shared = {name: len(known.fields.intersection(given)) for name, known in CATALOG.items()}
    most = max(shared.values())
    return tuple(sorted(name for name, count in shared.items() if count == most)) if most else ()
