"""Kong's `acl` on a real Envoy."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.envoy.kong_edge import Ask, asked, consumer, plugin, route

MANIFESTS = (
    consumer(
        "admin",
        {
            "admin-key": ("key-auth", {"key": "admins"}),
            "admin-group": ("acl", {"group": "admin"}),
            "odd-group": ("acl", {"group": "a, b 100%"}),
        },
    )
    + consumer("dev", {"dev-key": ("key-auth", {"key": "devs"}), "dev-group": ("acl", {"group": "dev"})})
    + consumer("none", {"none-key": ("key-auth", {"key": "nones"})})
    + plugin("key", "key-auth", "{}")
    + plugin("allow", "acl", "{allow: [admin, ops]}")
    + plugin("odd", "acl", "{allow: ['a, b 100%']}")
    + plugin("part", "acl", "{allow: [adm, in, b]}")
    + plugin("deny", "acl", "{deny: [dev], hide_groups_header: true}")
    + "".join(route(name, "key", name) for name in ("allow", "odd", "part", "deny"))
    + route("nobody", "allow")
)

FORGED = (
    ("x-meshgate-groups", ",admin,"),
    ("X-Meshgate-Groups", ",admin,"),
    ("x-meshgate-group-names", "admin"),
    ("x-consumer-groups", "admin"),
    ("x-consumer-id", "7"),
    ("x_meshgate_groups", ",admin,"),
)


@pytest.mark.envoy
def test_groups(tmp_path: Path) -> None:
    paths = ("/allow", "/odd", "/part", "/deny")
    requests = [
        Ask(path, headers=(("apikey", key), *FORGED)) for path in paths for key in ("admins", "devs", "nones")
    ]
    requests += [Ask("/nobody"), Ask("/nobody", headers=FORGED), Ask("/allow")]
    answers = asked(MANIFESTS, requests, tmp_path)
    passed = [a.reached for a in answers]
    assert passed == [
        *(True, False, False),
        *(True, False, False),
        *(False, False, False),
        *(True, False, True),
        *(False, False, False),
    ]
    for answer in answers[:12]:
        if not answer.reached:
            assert (answer.status, answer.message) == (403, "You cannot consume this service")
    for answer in answers[12:14]:
        assert (answer.status, answer.message) == (401, "Unauthorized")
    assert answers[14].status == 401
    shown = answers[0].seen.headers
    assert shown["x-consumer-groups"] == ["admin, a, b 100%"]
    assert not [name for name in shown if name.startswith("x-meshgate") or "_" in name]
    assert "x-consumer-groups" not in answers[9].seen.headers


@pytest.mark.envoy
def test_two_credentials_do_not_lend_groups(tmp_path: Path) -> None:
    """The second consumer counts, as in Kong; what the first belongs to does not become the second's."""
    login = base64.b64encode(b"login:pw").decode()
    manifests = (
        MANIFESTS
        + consumer("plain", {"plain-login": ("basic-auth", {"username": "login", "password": "pw"})})
        + plugin("basic", "basic-auth", "{}")
        + route("two", "key", "basic", "allow")
        + route("open", "key", "basic")
    )
    both = (("apikey", "admins"), ("Authorization", f"Basic {login}"))
    requests = [Ask("/two", headers=both), Ask("/open", headers=both), Ask("/allow", headers=both)]
    two, opened, allowed = asked(manifests, requests, tmp_path)
    assert (two.status, two.message) == (403, "You cannot consume this service")
    assert opened.seen.headers["x-consumer-username"] == ["plain"]
    assert allowed.seen.headers["x-consumer-username"] == ["admin"]


@pytest.mark.envoy
def test_consumer_groups_count_where_the_plugin_says_so(tmp_path: Path) -> None:
    key = {"gold-key": ("key-auth", {"key": "gold"}), "gold-acl": ("acl", {"group": "other"})}
    member = consumer("gold", key).replace("username: gold\n", "username: gold\nconsumerGroups: [gold]\n")
    group = (
        "---\napiVersion: configuration.konghq.com/v1beta1\nkind: KongConsumerGroup\n"
        "metadata: {name: gold, annotations: {kubernetes.io/ingress.class: kong}}\n"
    )
    liar = consumer("liar", {"l-key": ("key-auth", {"key": "liar"}), "l-acl": ("acl", {"group": "@gold"})})
    manifests = (
        plugin("key", "key-auth", "{}")
        + plugin("with", "acl", "{allow: [gold], include_consumer_groups: true}")
        + plugin("without", "acl", "{allow: [gold]}")
        + plugin("deny", "acl", "{deny: [gold], include_consumer_groups: true}")
        + "".join(route(name, "key", name) for name in ("with", "without", "deny"))
        + group
        + member
        + liar
    )
    requests = [
        Ask(path, headers=(("apikey", name),))
        for path in ("/with", "/without", "/deny")
        for name in ("gold", "liar")
    ]
    assert [a.reached for a in asked(manifests, requests, tmp_path)] == [
        True,
        False,
        False,
        False,
        False,
        True,
    ]
