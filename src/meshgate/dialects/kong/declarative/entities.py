"""The entities of a declarative file, as Kong 3.9 and decK name their fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field

from meshgate.dialects.kong.plugins.config import Config
from meshgate.dialects.schema import Items

Reference: TypeAlias = str | Mapping[str, str] | None
"""A name or id, or an object with one of the two."""
Port = Annotated[int, Field(ge=0, le=65535)]
_BOOKKEEPING = dict.fromkeys(
    ("tags", "created_at", "updated_at", "ws_id", "_comment", "_ignore"), "bookkeeping of Kong's own"
)


class Entity(Config):
    """What all of them have."""

    IGNORED: ClassVar[Mapping[str, str]] = _BOOKKEEPING

    id: str = ""


class PluginEntity(Entity):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "ordering": "plugins run in Kong's own order",
        "partials": "write the partial's fields into the plugin",
    }

    name: str
    config: Mapping[str, object] | None = None
    config_of: Annotated[str, Field(alias="_config")] = ""
    """Name of an entry of `_plugin_configs`, of which this one's config is a change."""
    enabled: bool = True
    protocols: Items[str] = ()
    instance_name: str = ""
    service: Reference = None
    route: Reference = None
    consumer: Reference = None
    consumer_group: Reference = None


class RouteEntity(Entity):
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {
        "expression": "routes by expression have no counterpart; the route is left out",
        "sources": "connections cannot be told apart by their source; the route is left out",
        "destinations": "connections cannot be told apart by their destination; the route is left out",
    }
    IGNORED: ClassVar[Mapping[str, str]] = _BOOKKEEPING | {"priority": "goes with expressions"}

    name: str = ""
    protocols: Items[str] = ("http", "https")
    methods: Items[str] | None = None
    hosts: Items[str] | None = None
    paths: Items[str] | None = None
    headers: Mapping[str, Items[str]] | None = None
    https_redirect_status_code: int = 426
    regex_priority: int = 0
    strip_path: bool = True
    path_handling: str = "v0"
    preserve_host: bool = False
    request_buffering: bool = True
    response_buffering: bool = True
    snis: Items[str] | None = None
    service: Reference = None
    plugins: Items[Mapping[str, object]] = ()


class ServiceEntity(Entity):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "tls_sans": "the server's name is checked",
    }

    name: str = ""
    url: str = ""
    protocol: str = "http"
    host: str = ""
    port: Port | None = None
    path: str = ""
    retries: int | None = None
    connect_timeout: int | None = None
    read_timeout: int | None = None
    write_timeout: int | None = None
    enabled: bool = True
    client_certificate: Reference = None
    tls_verify: bool | None = None
    tls_verify_depth: int | None = None
    ca_certificates: Items[object] | None = None
    routes: Items[Mapping[str, object]] = ()
    plugins: Items[Mapping[str, object]] = ()


class TargetEntity(Entity):
    IGNORED: ClassVar[Mapping[str, str]] = _BOOKKEEPING | {
        "failover": "Kong's own, of its enterprise edition"
    }

    target: str
    weight: Annotated[int, Field(ge=0, le=65535)] = 100
    upstream: Reference = None


class PassiveUnhealthy(Config):
    IGNORED: ClassVar[Mapping[str, str]] = {"http_statuses": "5xx count as failures"}

    http_failures: int = 0
    tcp_failures: int = 0
    timeouts: int = 0


class PassiveHealth(Config):
    IGNORED: ClassVar[Mapping[str, str]] = {
        "healthy": "endpoints come back by time",
        "type": "follows the service",
    }

    unhealthy: PassiveUnhealthy = PassiveUnhealthy()


class HealthChecks(Config):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {"threshold": "every endpoint counts for itself"}
    SILENT: ClassVar[Mapping[str, object]] = {"threshold": 0}

    active: Mapping[str, object] | None = None
    passive: PassiveHealth = PassiveHealth()


class UpstreamEntity(Entity):
    IGNORED: ClassVar[Mapping[str, str]] = _BOOKKEEPING | {"slots": "Envoy sizes its rings itself"}
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "hash_fallback": "requests without the value go anywhere",
        "hash_fallback_header": "requests without the value go anywhere",
        "hash_fallback_query_arg": "requests without the value go anywhere",
        "hash_fallback_uri_capture": "requests without the value go anywhere",
        "use_srv_name": "the upstream's own name is sent",
        "client_certificate": "set client-cert on the Service",
        "sticky_sessions_cookie": "set a consistent hash by cookie",
        "sticky_sessions_cookie_path": "set a consistent hash by cookie",
    }
    SILENT: ClassVar[Mapping[str, object]] = {
        "hash_fallback": "none",
        "use_srv_name": False,
        "sticky_sessions_cookie_path": "/",
    }

    name: str
    algorithm: str = "round-robin"
    hash_on: str = "none"
    hash_on_header: str = ""
    hash_on_cookie: str = ""
    hash_on_cookie_path: str = "/"
    hash_on_query_arg: str = ""
    hash_on_uri_capture: str = ""
    host_header: str = ""
    healthchecks: HealthChecks = HealthChecks()
    targets: Items[Mapping[str, object]] = ()


class ConsumerEntity(Entity):
    username: str = ""
    custom_id: str = ""
    groups: Items[Mapping[str, object]] = ()
    plugins: Items[Mapping[str, object]] = ()
    acls: Items[Mapping[str, object]] = ()
    basicauth_credentials: Items[Mapping[str, object]] = ()
    hmacauth_credentials: Items[Mapping[str, object]] = ()
    jwt_secrets: Items[Mapping[str, object]] = ()
    keyauth_credentials: Items[Mapping[str, object]] = ()
    mtls_auth_credentials: Items[Mapping[str, object]] = ()
    oauth2_credentials: Items[Mapping[str, object]] = ()


class GroupEntity(Entity):
    name: str
    plugins: Items[Mapping[str, object]] = ()
    consumers: Items[Mapping[str, object] | str] = ()


class CertificateEntity(Entity):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("cert_alt", "key_alt"), "a host has one certificate here"
    )
    HIDE_VALUES: ClassVar[bool] = True

    cert: str
    key: str
    snis: Items[Mapping[str, object] | str] = ()


class CaCertificateEntity(Entity):
    IGNORED: ClassVar[Mapping[str, str]] = _BOOKKEEPING | {"cert_digest": "made of the certificate"}

    cert: str


CREDENTIALS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "keyauth_credentials": ("key-auth", ("key",)),
    "basicauth_credentials": ("basic-auth", ("username", "password")),
    "hmacauth_credentials": ("hmac-auth", ("username", "secret")),
    "jwt_secrets": ("jwt", ("algorithm", "rsa_public_key", "key", "secret")),
    "oauth2_credentials": (
        "oauth2",
        ("name", "client_id", "client_secret", "client_type", "redirect_uris"),
    ),
    "acls": ("acl", ("group",)),
    "mtls_auth_credentials": ("mtls-auth", ("subject_name", "ca_certificate")),
}
"""List of a consumer -> (type of the Secret, its keys)."""
