"""All fields of `openid-connect`, and those that nothing is made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar

from meshgate.dialects.kong.plugins.config import Report
from meshgate.dialects.kong.plugins.openid_connect.claim_fields import (
    DemandFields,
    IdentityFields,
    ShownFields,
)
from meshgate.dialects.kong.plugins.openid_connect.login_fields import LoginFields, SessionFields
from meshgate.dialects.kong.plugins.openid_connect.provider_fields import ClientFields, ProviderFields
from meshgate.dialects.kong.plugins.openid_connect.redis_fields import FlatSessionRedis
from meshgate.dialects.schema import show

_PROXY = "the provider is asked directly"
_OWN = "each gateway remembers for itself"
_MTLS = "client certificates for the provider are not supported"
_MEMCACHED = "sessions are kept in cookies or in Redis"
_JWT_HEADER = "no such header is sent"


@dataclass(frozen=True, slots=True, kw_only=True)
class OnlyDefault:
    """A field of which the default is understood and nothing else."""

    message: str
    closes: bool = False
    """Whether another value must not be passed over."""
    good: tuple[object, ...] = ()
    """Other values that mean no more than the default."""


ONLY_DEFAULT: Mapping[str, OnlyDefault] = MappingProxyType(
    {
        "http_version": OnlyDefault(message="HTTP/1.1 is spoken"),
        "keepalive": OnlyDefault(message="connections are kept"),
        "introspection_accept": OnlyDefault(message="answers as JWT are not supported", closes=True),
        "userinfo_accept": OnlyDefault(message="answers as JWT are not supported", closes=True),
        "introspection_check_active": OnlyDefault(message="tokens that are not active are refused"),
        "cache_token_exchange": OnlyDefault(message="tokens are not exchanged"),
        "token_cache_key_include_scope": OnlyDefault(
            message="has no effect: the same scopes are asked for each time", good=(True,)
        ),
        "cluster_cache_strategy": OnlyDefault(message=_OWN),
        "tls_client_auth_ssl_verify": OnlyDefault(message=_MTLS),
        "response_type": OnlyDefault(message="only the code flow is supported", closes=True),
        "session_storage": OnlyDefault(
            message="sessions are kept in cookies or in Redis", closes=True, good=("redis",)
        ),
        "session_store_metadata": OnlyDefault(message="nobody could ask for what would be stored"),
        "session_hash_subject": OnlyDefault(message="no subject is stored"),
        "session_hash_storage_key": OnlyDefault(
            message="has no effect: keys are always hashes", good=(True,)
        ),
        "session_enforce_same_subject": OnlyDefault(
            message="a cookie holds one session for one audience", good=(True,)
        ),
        "session_remember": OnlyDefault(message="sessions end with the browser"),
        "session_remember_cookie_name": OnlyDefault(message="sessions end with the browser"),
        "session_remember_rolling_timeout": OnlyDefault(message="sessions end with the browser"),
        "session_remember_absolute_timeout": OnlyDefault(message="sessions end with the browser"),
        "session_request_headers": OnlyDefault(message=_JWT_HEADER),
        "session_response_headers": OnlyDefault(message=_JWT_HEADER),
        "session_memcached_host": OnlyDefault(message=_MEMCACHED),
        "session_memcached_port": OnlyDefault(message=_MEMCACHED),
        "session_memcached_ssl_verify": OnlyDefault(message=_MEMCACHED),
        "id_token_param_type": OnlyDefault(message="clients' own ID tokens are not looked for"),
        "verify_claims": OnlyDefault(message="the standard claims are always verified"),
        "verify_nonce": OnlyDefault(message="the nonce is always verified"),
        "verify_signature": OnlyDefault(message="signatures are always verified"),
        "ignore_signature": OnlyDefault(message="signatures are always verified"),
        "verify_parameters": OnlyDefault(message="the provider says what it can when it is asked"),
        "jwt_session_claim": OnlyDefault(message="there is no JWT session cookie"),
        "proof_of_possession_mtls": OnlyDefault(message="it is not looked at", closes=True),
        "proof_of_possession_dpop": OnlyDefault(message="it is not looked at", closes=True),
        "proof_of_possession_auth_methods_validation": OnlyDefault(message="there is none"),
        "dpop_use_nonce": OnlyDefault(message="there is no DPoP"),
        "dpop_proof_lifetime": OnlyDefault(message="there is no DPoP"),
        "resolve_distributed_claims": OnlyDefault(message="claims that are elsewhere are not there"),
        "consumer_groups_optional": OnlyDefault(message="there are no groups by claim"),
        "require_signed_request_object": OnlyDefault(
            message="signed requests are not supported", closes=True, good=(False,)
        ),
    }
)
"""Fields that exports of Kong hold with their defaults."""


class OpenidConnectConfig(
    ProviderFields,
    ClientFields,
    LoginFields,
    SessionFields,
    FlatSessionRedis,
    DemandFields,
    IdentityFields,
    ShownFields,
):
    """Every field of the plugin."""

    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "cache_tokens_salt": "what is remembered has a salt of its own",
        "cache_ttl_resurrect": "what has expired is not used again",
        "cluster_cache_redis": _OWN,
        "cluster_cache_items": _OWN,
        "http_proxy": _PROXY,
        "http_proxy_authorization": _PROXY,
        "https_proxy": _PROXY,
        "https_proxy_authorization": _PROXY,
        "no_proxy": _PROXY,
        "id_token_param_name": "clients' own ID tokens are not looked for",
        "introspection_post_args_client_headers": "they are not sent",
        "mtls_introspection_endpoint": _MTLS,
        "mtls_revocation_endpoint": _MTLS,
        "mtls_token_endpoint": _MTLS,
        "session_memcached_prefix": _MEMCACHED,
        "session_memcached_socket": _MEMCACHED,
        "session_memcached_ssl": _MEMCACHED,
        "token_headers_grants": "no header of the token endpoint is passed on",
        "token_headers_prefix": "no header of the token endpoint is passed on",
        "token_headers_replay": "no header of the token endpoint is passed on",
        "upstream_access_token_jwk_header": _JWT_HEADER,
        "upstream_id_token_jwk_header": _JWT_HEADER,
        "upstream_introspection_jwt_header": _JWT_HEADER,
        "upstream_user_info_jwt_header": _JWT_HEADER,
        "upstream_session_id_header": _JWT_HEADER,
        "downstream_access_token_jwk_header": _JWT_HEADER,
        "downstream_id_token_jwk_header": _JWT_HEADER,
        "downstream_introspection_jwt_header": _JWT_HEADER,
        "downstream_user_info_jwt_header": _JWT_HEADER,
        "downstream_session_id_header": _JWT_HEADER,
    }
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "consumer_groups_claim": "groups of consumers by a claim are not supported",
        "jwt_session_cookie": "a session that another cookie vouches for is not supported",
        "principals": "Kong Identity is a service of Kong's",
        "proof_of_possession_mtls_from_header": "it is not looked at",
        "tls_client_auth_cert_id": _MTLS,
        "token_exchange": "tokens are not exchanged",
        "token_exchange_endpoint": "tokens are not exchanged",
    }
    REMEDIES: ClassVar[Mapping[str, str]] = {
        "issuer": "write the provider's address, as its tokens name it in iss"
    }


def report_other_values(config: OpenidConnectConfig, report: Report) -> None:
    """Names what is asked for beyond the default where only the default is understood."""
    for name, rule in ONLY_DEFAULT.items():
        value, default = getattr(config, name), type(config).model_fields[name].default
        if value == default or value in rule.good:
            continue
        say = report.error if rule.closes else report.warn
        code = "MG1104" if rule.closes else "MG1103"
        say(code, (name,), f"{rule.message}; got {show(value)}")


def set_to_null(name: str, report: Report) -> bool:
    """Whether a field is written as null, which here is not its default: it takes the default away."""
    config = report.document.data.get("config")
    return isinstance(config, Mapping) and name in config and config[name] is None
