"""Kong's `mtls-auth`: a client's certificate says who asks (documented for Kong 3.9)."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config, Line, Report, Word
from meshgate.dialects.schema import Items
from meshgate.model.policies.client_certificate import Authority, MtlsAuth, Revocation

Port = Annotated[int, Field(ge=0, le=65535)]
_DAY_S = 86_400


class MtlsAuthConfig(Config):
    """Every field of the plugin."""

    ca_certificates: Items[Word]
    skip_consumer_lookup: bool = False
    consumer_by: Items[Literal["username", "custom_id"]] = ("username", "custom_id")
    authenticated_group_by: Literal["CN", "DN"] = "CN"
    default_consumer: Line = ""
    anonymous: Line = ""
    allow_partial_chain: bool = False
    send_ca_dn: bool = False
    revocation_check_mode: Literal["SKIP", "IGNORE_CA_ERROR", "STRICT"] = "IGNORE_CA_ERROR"
    http_timeout: Annotated[float, Field(gt=0, le=60_000)] = 30_000
    cert_cache_ttl: Annotated[float, Field(ge=0)] = 60_000
    cache_ttl: Annotated[float, Field(ge=0)] = 60
    http_proxy_host: Line = ""
    http_proxy_port: Port | None = None
    https_proxy_host: Line = ""
    https_proxy_port: Port | None = None


def lower_mtls_auth(config: MtlsAuthConfig, report: Report) -> MtlsAuth:
    """The policy; `link` finds the authorities. `cache_ttl` has nothing to do: consumers are at hand."""
    if not config.ca_certificates:
        report.error(
            "MG2103", ("ca_certificates",), "must name at least one authority, or no certificate is ever good"
        )
    return MtlsAuth(
        authorities=tuple(Authority(id=one) for one in dict.fromkeys(config.ca_certificates)),
        consumer_by=tuple(dict.fromkeys(config.consumer_by)),
        skip_consumer_lookup=config.skip_consumer_lookup,
        authenticated_group_by=config.authenticated_group_by,
        default_consumer=config.default_consumer,
        allow_partial_chain=config.allow_partial_chain,
        send_ca_dn=config.send_ca_dn,
        revocation=Revocation(config.revocation_check_mode),
        revocation_timeout_ms=config.http_timeout,
        # What is older than a day is asked for again, whatever the plugin says.
        revocation_cache_s=min(config.cert_cache_ttl, _DAY_S),
        http_proxy=_proxy(config.http_proxy_host, config.http_proxy_port, "http", report),
        https_proxy=_proxy(config.https_proxy_host, config.https_proxy_port, "https", report),
        anonymous=config.anonymous,
        origin=report.origin(),
    )


def _proxy(host: str, port: int | None, scheme: str, report: Report) -> str:
    if bool(host) != (port is not None):
        missing = f"{scheme}_proxy_{'port' if host else 'host'}"
        report.error("MG2103", (missing,), f"is needed beside {scheme}_proxy_{'host' if host else 'port'}")
    return f"http://{host}:{port}" if host and port is not None else ""
