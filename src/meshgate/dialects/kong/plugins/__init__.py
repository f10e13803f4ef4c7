"""The plugins that are supported, one file each: config fields, rules between them, lowering.

A new plugin is a file and a line here; its fields are in `catalog.py` already. Nothing in
here looks at other objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Generic, Protocol, TypeVar

from meshgate.core.diagnostics import Diagnostic, has_errors
from meshgate.dialects.document import Document
from meshgate.dialects.kong.plugins.acl import AclConfig, lower_acl
from meshgate.dialects.kong.plugins.acme import AcmeConfig, lower_acme
from meshgate.dialects.kong.plugins.basic_auth import BasicAuthConfig, lower_basic_auth
from meshgate.dialects.kong.plugins.bot_detection import BotDetectionConfig, lower_bot_detection
from meshgate.dialects.kong.plugins.config import Config, Report
from meshgate.dialects.kong.plugins.correlation_id import CorrelationIdConfig, lower_correlation_id
from meshgate.dialects.kong.plugins.cors import CorsConfig, lower_cors
from meshgate.dialects.kong.plugins.functions import FunctionConfig, lower_post_function, lower_pre_function
from meshgate.dialects.kong.plugins.grpc_gateway import GrpcGatewayConfig, lower_grpc_gateway
from meshgate.dialects.kong.plugins.grpc_web import GrpcWebConfig, lower_grpc_web
from meshgate.dialects.kong.plugins.hmac_auth import HmacAuthConfig, lower_hmac_auth
from meshgate.dialects.kong.plugins.http_log import HttpLogConfig, lower_http_log
from meshgate.dialects.kong.plugins.ip_restriction import IpRestrictionConfig, lower_ip_restriction
from meshgate.dialects.kong.plugins.jwt import JwtConfig, lower_jwt
from meshgate.dialects.kong.plugins.key_auth import KeyAuthConfig, lower_key_auth
from meshgate.dialects.kong.plugins.ldap_auth import LdapAuthConfig, lower_ldap_auth
from meshgate.dialects.kong.plugins.line_logs import (
    FileLogConfig,
    TcpLogConfig,
    UdpLogConfig,
    lower_file_log,
    lower_tcp_log,
    lower_udp_log,
)
from meshgate.dialects.kong.plugins.meters import (
    DatadogConfig,
    StatsdConfig,
    lower_datadog,
    lower_statsd,
)
from meshgate.dialects.kong.plugins.mtls_auth import MtlsAuthConfig, lower_mtls_auth
from meshgate.dialects.kong.plugins.oauth2 import OAuth2Config, lower_oauth2
from meshgate.dialects.kong.plugins.opa import OpaConfig, lower_opa
from meshgate.dialects.kong.plugins.openid_connect import OpenidConnectConfig, lower_openid_connect
from meshgate.dialects.kong.plugins.opentelemetry import OpenTelemetryConfig, lower_opentelemetry
from meshgate.dialects.kong.plugins.prometheus import PrometheusConfig, lower_prometheus
from meshgate.dialects.kong.plugins.proxy_cache import ProxyCacheConfig, lower_proxy_cache
from meshgate.dialects.kong.plugins.rate_limiting import RateLimitingConfig, lower_rate_limiting
from meshgate.dialects.kong.plugins.redirect import RedirectConfig, lower_redirect
from meshgate.dialects.kong.plugins.request_size_limiting import (
    RequestSizeLimitingConfig,
    lower_request_size_limiting,
)
from meshgate.dialects.kong.plugins.request_termination import (
    RequestTerminationConfig,
    lower_request_termination,
)
from meshgate.dialects.kong.plugins.request_transformer import (
    RequestTransformerConfig,
    lower_request_transformer,
)
from meshgate.dialects.kong.plugins.response_ratelimiting import (
    ResponseRateLimitingConfig,
    lower_response_ratelimiting,
)
from meshgate.dialects.kong.plugins.response_transformer import (
    ResponseTransformerConfig,
    lower_response_transformer,
)
from meshgate.dialects.kong.plugins.session import SessionConfig, lower_session
from meshgate.dialects.kong.plugins.severity_logs import (
    LogglyConfig,
    SyslogConfig,
    lower_loggly,
    lower_syslog,
)
from meshgate.dialects.kong.plugins.vaults import vault_references
from meshgate.dialects.kong.plugins.zipkin import ZipkinConfig, lower_zipkin
from meshgate.dialects.schema import check
from meshgate.model.policy import Policy

C = TypeVar("C", bound=Config)

_VALUE_CODES = frozenset({"MG2001", "MG2002", "MG2003"})
"""Of `check`; in a plugin's config they are MG2103."""


@dataclass(frozen=True, slots=True)
class SupportedPlugin(Generic[C]):
    """A plugin's config and what makes a policy of it."""

    config: type[C]
    lower: Callable[[C, Report], Policy]

    def read(self, document: Document) -> tuple[Policy | None, list[Diagnostic]]:
        """The policy of a KongPlugin's `config`; None where it has errors."""
        config, found = check(self.config, document, ("config",))
        said = [self._as_value(d) if d.code in _VALUE_CODES else d for d in found]
        report = Report(document=document, said=said)
        for field in vault_references(document.data.get("config")):
            remedy = "put the value into a Secret and name it in configPatches"
            report.error("MG1104", field, "refers to a vault, which is not supported", remedy)
        if config is None:
            return None, said
        policy = self.lower(config, report)
        return (None if has_errors(said) else policy), said

    def _as_value(self, diagnostic: Diagnostic) -> Diagnostic:
        field = diagnostic.field[1] if len(diagnostic.field) == 2 else ""
        remedy = diagnostic.remedy or self.config.REMEDIES.get(str(field), "")
        return replace(diagnostic, code="MG2103", remedy=remedy)


class Readable(Protocol):
    """A supported plugin, whatever its config."""

    @property
    def config(self) -> type[Config]:
        """Its fields."""
        ...

    def read(self, document: Document) -> tuple[Policy | None, list[Diagnostic]]:
        """See `SupportedPlugin.read`."""
        ...


def _plugin(config: type[C], lower: Callable[[C, Report], Policy]) -> Readable:
    return SupportedPlugin(config, lower)


SUPPORTED: Mapping[str, Readable] = MappingProxyType(
    {
        "acl": _plugin(AclConfig, lower_acl),
        "acme": _plugin(AcmeConfig, lower_acme),
        "basic-auth": _plugin(BasicAuthConfig, lower_basic_auth),
        "bot-detection": _plugin(BotDetectionConfig, lower_bot_detection),
        "correlation-id": _plugin(CorrelationIdConfig, lower_correlation_id),
        "cors": _plugin(CorsConfig, lower_cors),
        "datadog": _plugin(DatadogConfig, lower_datadog),
        "file-log": _plugin(FileLogConfig, lower_file_log),
        "grpc-gateway": _plugin(GrpcGatewayConfig, lower_grpc_gateway),
        "grpc-web": _plugin(GrpcWebConfig, lower_grpc_web),
        "hmac-auth": _plugin(HmacAuthConfig, lower_hmac_auth),
        "http-log": _plugin(HttpLogConfig, lower_http_log),
        "ip-restriction": _plugin(IpRestrictionConfig, lower_ip_restriction),
        "jwt": _plugin(JwtConfig, lower_jwt),
        "key-auth": _plugin(KeyAuthConfig, lower_key_auth),
        "ldap-auth": _plugin(LdapAuthConfig, lower_ldap_auth),
        "loggly": _plugin(LogglyConfig, lower_loggly),
        "mtls-auth": _plugin(MtlsAuthConfig, lower_mtls_auth),
        "oauth2": _plugin(OAuth2Config, lower_oauth2),
        "openid-connect": _plugin(OpenidConnectConfig, lower_openid_connect),
        "opentelemetry": _plugin(OpenTelemetryConfig, lower_opentelemetry),
        "post-function": _plugin(FunctionConfig, lower_post_function),
        "pre-function": _plugin(FunctionConfig, lower_pre_function),
        "opa": _plugin(OpaConfig, lower_opa),
        "proxy-cache": _plugin(ProxyCacheConfig, lower_proxy_cache),
        "prometheus": _plugin(PrometheusConfig, lower_prometheus),
        "rate-limiting": _plugin(RateLimitingConfig, lower_rate_limiting),
        "redirect": _plugin(RedirectConfig, lower_redirect),
        "request-size-limiting": _plugin(RequestSizeLimitingConfig, lower_request_size_limiting),
        "request-termination": _plugin(RequestTerminationConfig, lower_request_termination),
        "request-transformer": _plugin(RequestTransformerConfig, lower_request_transformer),
        "response-ratelimiting": _plugin(ResponseRateLimitingConfig, lower_response_ratelimiting),
        "response-transformer": _plugin(ResponseTransformerConfig, lower_response_transformer),
        "session": _plugin(SessionConfig, lower_session),
        "statsd": _plugin(StatsdConfig, lower_statsd),
        "syslog": _plugin(SyslogConfig, lower_syslog),
        "tcp-log": _plugin(TcpLogConfig, lower_tcp_log),
        "udp-log": _plugin(UdpLogConfig, lower_udp_log),
        "zipkin": _plugin(ZipkinConfig, lower_zipkin),
    }
)
"""By Kong's name of the plugin."""
