"""The gateway parts of the published examples, read from the shop that includes them unchanged."""

from __future__ import annotations

from pathlib import Path

from meshgate.core.origin import Origin
from meshgate.model.policy import JwtAuth, Limits, LimitStore, RateLimit, RedisTarget
from tests.unit.dialects.reading import declared, read, said

SEED = Path(__file__).parents[4] / "examples" / "shop" / "manifests" / "seed"
EXAMPLE = SEED / "02-kong-jwt-and-rate-limit.yaml"


def test_02_names_no_plugin_and_still_means_jwt_and_rate_limiting() -> None:
    found = read(EXAMPLE.read_text()).declared
    assert [(p.name.name, p.plugin, p.problem) for p in found.plugins] == [
        ("jwt-auth", "jwt", ""),
        ("rate-limit", "rate-limiting", ""),
    ]
    assert [p.policy for p in found.plugins] == [
        JwtAuth(verify_exp=True, origin=Origin("f.yaml", 7, 3)),
        RateLimit(
            rule_id="rate-limit",
            limits=Limits(minute=100),
            store=LimitStore.REDIS,
            redis=RedisTarget(host="redis"),
            origin=Origin("f.yaml", 19, 3),
        ),
    ]
    assert [e.plugin_names for e in found.edge_rules] == [("jwt-auth", "rate-limit")]


def test_02_is_warned_about_line_by_line() -> None:
    assert said(EXAMPLE.read_text()) == [
        "f.yaml:2:1: warning MG2101 KongPlugin default/jwt-auth: names no plugin; its fields fit jwt alone; "
        "add plugin: jwt",
        "f.yaml:14:1: warning MG2101 KongPlugin default/rate-limit: names no plugin; its fields fit "
        "rate-limiting alone; add plugin: rate-limiting",
        "f.yaml:21:15: warning MG2104 KongPlugin default/rate-limit config.redis_host: is the old "
        "spelling of redis.host; write redis: {host: 'redis'}",
    ]


def test_05_is_taken_without_a_word() -> None:
    (edge,) = declared((SEED / "05-first-ingress.yaml").read_text()).edge_rules
    assert [(p.host, p.path.value, p.backend.service, p.backend.port) for p in edge.paths] == [
        ("api.example.com", "/", "my-service", 80)
    ]
