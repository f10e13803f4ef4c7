"""openid-connect, most of whose notes come from its schema."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from meshgate.dialects.kong.plugins.openid_connect.config import ONLY_DEFAULT
from meshgate.dialects.kong.plugins.openid_connect.redis_fields import FlatSessionRedis
from tests.docs.kong_sections.section import Section

SECTIONS: Mapping[str, Section] = MappingProxyType(
    {
        "openid-connect": Section(
            test="envoy/test_kong_openid_login.py",
            config=(
                "{issuer: 'https://login.example', client_id: [shop], client_secret: [demo-only], "
                "auth_methods: [authorization_code, session], login_action: redirect}"
            ),
            text=(
                "Sold by Kong. Browsers log in at an identity provider, programs bring its tokens: see "
                "[openid-connect.md](openid-connect.md). Where a default alone is understood, another "
                "value is warned, or closes the route."
            ),
            notes={
                **{
                    name: f"its default alone; others are {'closed' if rule.closes else 'warned'}"
                    for name, rule in ONLY_DEFAULT.items()
                },
                "auth_methods": "works, but for kong_oauth2 (warned)",
                "client_auth": "works, but for client certificates (closed)",
                "response_mode": "query and form_post work; others are closed",
                "cluster_cache_strategy": "its default alone; others are warned",
                "session_storage": "cookie and redis work; memcached is closed",
                **{
                    name: "old spelling, warned"
                    for name in FlatSessionRedis.model_fields
                    if name.startswith("session_redis_")
                },
                "redis.socket": "closed with `session_storage: redis`",
                "redis.sentinel_role": "master alone; others are warned, and the master is asked",
                **dict.fromkeys(
                    ("redis.cluster_addresses", "redis.sentinel_addresses"), "works, the old spelling"
                ),
                **dict.fromkeys(
                    (
                        "redis.cluster_max_redirections",
                        "redis.keepalive_pool_size",
                        "redis.keepalive_backlog",
                        "redis.connection_is_proxied",
                    ),
                    "warned, no effect",
                ),
            },
        ),
    }
)
