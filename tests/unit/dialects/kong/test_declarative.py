"""Kong's declarative files: what comes of them, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import yaml

from meshgate.core.diagnostics import Severity
from meshgate.dialects.kong.declarative import Converted, convert
from meshgate.model.route import Refuse
from meshgate.pipeline import Built, build, read_texts

EXAMPLE = Path(__file__).parents[4] / "examples" / "import" / "kong.yaml"


def _convert(text: str) -> Converted:
    return convert(f'_format_version: "3.0"\n{text}', "kong.yaml")


def _built(converted: Converted) -> Built:
    text = "---\n".join(yaml.safe_dump(m) for m in converted.manifests)
    documents, problems = read_texts({"made.yaml": text})
    built = build(documents)
    assert [str(d) for d in (*problems, *built.diagnostics) if d.severity is not Severity.INFO] == []
    return built


def _one(converted: Converted, kind: str) -> Mapping[str, object]:
    (found,) = (m for m in converted.manifests if m["kind"] == kind)
    return found


def _said(converted: Converted) -> list[str]:
    return [f"{d.severity.value} {'.'.join(map(str, d.field))}: {d.message}" for d in converted.diagnostics]


def test_the_example_loses_nothing() -> None:
    converted = convert(EXAMPLE.read_text(), "kong.yaml")
    assert converted.diagnostics == ()
    built = _built(converted)
    policies = {
        rule.name: sorted(type(p).__name__ for p in rule.policies)
        for host in built.model.edge_hosts.values()
        for rule in host.rules
    }
    assert policies == {
        "ingress/default/orders/0/0/0": ["Acl", "KeyAuth", "RateLimit"],
        "ingress/default/old-orders/0/0/0": ["Acl", "KeyAuth", "RateLimit"],
        "ingress/default/stock/0/0/0": ["RateLimit"],
    }
    weights = [e.weight for s in built.model.entries.values() if s.external for e in s.external.endpoints]
    assert sorted(weights) == [1, 10, 90]


def test_defaults_are_kongs_and_not_its_ingress_controllers() -> None:
    route = _one(_convert("services: [{name: a, host: a.example, routes: [{paths: [/a]}]}]"), "Ingress")
    assert route["metadata"] == {
        "name": "a-0",
        "namespace": "default",
        "annotations": {"konghq.com/strip-path": "true", "konghq.com/preserve-host": "false"},
    }


def test_the_host_that_a_service_gets_is_its_own() -> None:
    made = _convert("services: [{name: a, url: 'http://a.example:8080/v1/'}]")
    assert _one(made, "Service")["metadata"] == {
        "name": "a",
        "namespace": "default",
        "annotations": {"konghq.com/path": "/v1/", "konghq.com/host-header": "a.example:8080"},
    }


@pytest.mark.parametrize(("version", "path"), [("2.1", "/~/a/(b|c)"), ("3.0", "/a/(b|c)")])
def test_regular_expressions_are_told_as_the_version_tells_them(version: str, path: str) -> None:
    text = (
        f"_format_version: '{version}'\nservices: [{{host: a, routes: [{{paths: ['/a/(b|c)', '/plain']}}]}}]"
    )
    spec = _one(convert(text, "k"), "Ingress")["spec"]
    assert isinstance(spec, dict)
    assert [p["path"] for p in spec["rules"][0]["http"]["paths"]] == [path, "/plain"]


def test_a_plugin_for_a_consumer_and_a_route_is_named_on_both() -> None:
    made = _convert(
        "services: [{name: a, host: a, routes: [{name: r, paths: [/a]}]}]\n"
        "consumers: [{username: bob}]\n"
        "plugins: [{name: rate-limiting, route: r, consumer: {username: bob}, config: {minute: 5}}]"
    )
    named = [
        m["kind"]
        for m in made.manifests
        for metadata in (m["metadata"],)
        if isinstance(metadata, dict)
        and metadata.get("annotations", {}).get("konghq.com/plugins") == "r-bob-rate-limiting"
    ]
    assert named == ["Ingress", "KongConsumer"]


def test_tls_to_a_service_is_checked_as_kong_would() -> None:
    unchecked = _convert("services: [{name: a, host: a.example, protocol: https}]")
    assert _one(unchecked, "DestinationRule")["spec"] == {
        "host": "a.upstream.internal",
        "trafficPolicy": {"tls": {"mode": "SIMPLE", "sni": "a.example", "insecureSkipVerify": True}},
    }
    assert len(unchecked.diagnostics) == 1
    checked = _convert("services: [{name: a, host: a.example, protocol: https, tls_verify: true}]")
    assert checked.diagnostics == ()
    assert "insecureSkipVerify" not in str(_one(checked, "DestinationRule"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("vaults: [{name: env}]", "error vaults: vaults has no counterpart; it is left out"),
        (
            "services: [{host: a, protocol: tcp}]",
            "error services.0.protocol: tcp services have no counterpart; this one is left out",
        ),
        (
            "services: [{host: a, routes: [{protocols: [tls], snis: [x]}]}]",
            "error services.0.routes.0.protocols: tls has no counterpart; the route is left out",
        ),
        (
            "routes: [{expression: 'true'}]",
            "error routes.0.expression: routes by expression have no counterpart; the route is left out",
        ),
        (
            "routes: [{paths: [/a], service: {name: gone}}]",
            "error routes.0: service 'gone' is not here; the route answers 503",
        ),
        (
            "plugins: [{name: key-auth, route: gone}]",
            "error plugins.0.route: route 'gone' is not in this file; the plugin is left out",
        ),
        (
            "consumers: [{username: a, keyauth_credentials: [{tags: [x]}]}]",
            "error consumers.0.keyauth_credentials.0: has no key: Kong would make one up",
        ),
        (
            "consumers: [{username: a, acls: [{group: g, until: 2030}]}]",
            "warning consumers.0.acls.0.until: has no counterpart; it is left out",
        ),
        ("consumers: [{tags: [x]}]", "error consumers.0: a consumer needs a username or a custom_id"),
        (
            "services: [{host: a, routes: [{hosts: ['shop.*']}]}]",
            "error services.0.routes.0.hosts.0: 'shop.*' has its wildcard at the end; the host is left out",
        ),
        (
            "upstreams: [{name: u, algorithm: magic, targets: [{target: a}]}]\nservices: [{host: u}]",
            "warning upstreams.0.algorithm: magic has no counterpart; least requests is taken",
        ),
        (
            "upstreams: [{name: u}]\nservices: [{host: u}]",
            "warning upstreams.0: has no target with a weight: requests get 503",
        ),
        ("services: [{host: a, port: 99999}]", "error services.0.port: must be <= 65535, got 99999"),
        ("services: [{host: a, hots: b}]", "error services.0.hots: unknown field"),
    ],
)
def test_what_has_no_counterpart_is_named(text: str, said: str) -> None:
    assert said in _said(_convert(text))


def test_mistakes_have_a_place() -> None:
    (found,) = _convert("services:\n- host: a\n  routes:\n  - name: r\n    hosts: ['x.*']\n").diagnostics
    assert (found.origin.file, found.origin.line, found.origin.column) == ("kong.yaml", 6, 13)


@pytest.mark.parametrize(
    "text", ["", "[]", "a: [", "services: []", "_format_version: '9'", "&a [*a]", "\x00"]
)
def test_what_is_no_such_file_is_refused(text: str) -> None:
    converted = convert(text, "k")
    assert converted.manifests == ()
    assert converted.diagnostics


def test_no_diagnostic_shows_a_secret() -> None:
    text = (
        "consumers:\n- username: a\n  jwt_secrets: [{key: k, secret: hush-hush, nonsense: 1}]\n"
        "  basicauth_credentials: [{username: a, password: hush-hush}]\n"
        "certificates: [{cert: 7, key: hush-hush, snis: [x]}]\n"
    )
    converted = _convert(text)
    assert converted.diagnostics
    assert "hush" not in "".join(map(str, converted.diagnostics))


TRACING = (
    "propagation: {default_format: b3, extract: null, inject: null, clear: null}, "
    "http_response_header_for_traceid: null, queue: {max_bytes: null, concurrency_limit: 1}"
)


def test_a_dump_with_all_defaults_says_nothing() -> None:
    converted = _convert(
        "_konnect: {control_plane_name: default}\n"
        "services:\n- {name: 1a, host: u, routes: [{name: r, https_redirect_status_code: 301}]}\n"
        "upstreams: [{name: u, hash_fallback: none, use_srv_name: false, sticky_sessions_cookie_path: /, "
        "healthchecks: {threshold: 0}, targets: [{target: '10.0.0.1:80'}]}]\n"
        "plugins: [{name: prometheus, protocols: [grpc, grpcs, http, https], instance_name: p, "
        "config: {ai_metrics: false, upstream_health_metrics: null}},\n"
        f"{{name: zipkin, config: {{header_type: preserve, default_header_type: b3, {TRACING}}}}},\n"
        "{name: opentelemetry, config: {traces_endpoint: 'http://o', endpoint: null, logs_endpoint: null, "
        f"header_type: preserve, batch_span_count: 200, batch_flush_delay: 3, {TRACING}}}}}]\n"
    )
    assert _said(converted) == []
    built = _built(converted)
    assert [str(d) for d in built.diagnostics if d.field[:1] == ("config",)] == []
    assert "s-1a.default.svc.cluster.local" in built.model.services


def test_what_a_route_says_of_protocols_and_paths() -> None:
    text = "services: [{host: a, routes: [{name: r, protocols: [%s], path_handling: v1, %s}]}]"
    only = _one(_convert(text % ("https", "https_redirect_status_code: 308")), "Ingress")["metadata"]
    assert isinstance(only, dict)
    assert only["annotations"]["konghq.com/https-redirect-status-code"] == "308"
    assert only["annotations"]["konghq.com/path-handling"] == "v1"
    calls = _one(_convert(text % ("grpc, grpcs", "strip_path: false")), "Ingress")["metadata"]
    assert isinstance(calls, dict)
    assert calls["annotations"]["konghq.com/protocols"] == "grpc,grpcs"


def test_a_plugin_that_cannot_be_read_closes_what_it_is_for() -> None:
    converted = _convert(
        "services: [{name: a, host: a.example, routes: [{name: open, paths: [/a]}, "
        "{name: guarded, paths: [/b], plugins: [{name: key-auth, condition: some}]}]}]"
    )
    assert _said(converted) == ["error services.0.routes.1.plugins.0.condition: unknown field"]
    documents, _ = read_texts({"made.yaml": "---\n".join(yaml.safe_dump(m) for m in converted.manifests)})
    rules = [rule for host in build(documents).model.edge_hosts.values() for rule in host.rules]
    closed = {rule.name: isinstance(rule.action, Refuse) for rule in rules}
    assert closed == {"ingress/default/open/0/0/0": False, "ingress/default/guarded/0/0": True}


def test_fields_that_were_called_otherwise_before_three() -> None:
    text = "_format_version: '%s'\nplugins: [{name: ip-restriction, config: {whitelist: [10.0.0.1]}}]\n"
    old, new = (_one(convert(text % version, "k"), "KongClusterPlugin") for version in ("2.1", "3.0"))
    assert old["config"] == {"allow": ["10.0.0.1"]}
    assert new["config"] == {"whitelist": ["10.0.0.1"]}


def test_variables_as_deck_has_them() -> None:
    text = (
        "_format_version: '3.0'\nservices:\n- host: ${{ env \"DECK_HOST\" }}\n"
        '  port: ${{ env "DECK_PORT" | toInt }}\n  retries: ${{ env "DECK_GONE" }}\n'
        '  path: ${{ env "HOME" }}\n  protocol: ${{ lookup "x" }}\n'
    )
    environment = {"DECK_HOST": "a.example", "DECK_PORT": "8080", "HOME": "/root"}
    found = convert(text, "k", environment=environment)
    assert [(str(d.origin), d.message) for d in found.diagnostics if d.code == "MG2501"] == [
        ("k:5:12", "environment variable DECK_GONE is not set"),
        ("k:6:9", "environment variable HOME must begin with DECK_"),
        ("k:7:13", 'must be ${{ env "DECK_NAME" }}, with functions behind | where it is to be changed'),
    ]
    whole = convert("\n".join(text.splitlines()[:4]), "k", environment=environment)
    assert whole.diagnostics == ()
    assert _one(whole, "Service")["spec"] == {"ports": [{"name": "http", "port": 8080}]}


def test_no_message_shows_the_value_of_a_variable() -> None:
    text = "_format_version: '3.0'\nservices: [{host: a, port: '${{ env \"DECK_A\" }}'}]\n"
    (said,) = convert(text, "k", environment={"DECK_A": "hush-hush"}).diagnostics
    assert said.message == "must be a whole number, got '$DECK_A'"


@pytest.mark.parametrize(
    "guarded",
    [
        "{name: guarded, paths: [/b], nonsense: 1}",
        "{name: guarded, paths: [/b], sources: [{ip: 10.0.0.1}]}",
        "{name: guarded, paths: [/b], preserve_host: 7, hosts: {a: b}}",
        "{name: guarded, paths: [/b], service: gone}",
        "{name: guarded, paths: [/b], plugins: [{nmae: key-auth}]}",
        "{name: guarded, paths: [/b], plugins: [{name: key-auth, consumer: [x]}]}",
    ],
)
def test_what_cannot_be_read_does_not_fall_to_a_wider_route(guarded: str) -> None:
    converted = _convert(
        f"services: [{{name: a, host: a.example, routes: [{{name: wide, paths: [/]}}]}}]\nroutes: [{guarded}]"
    )
    assert any(d.severity is Severity.ERROR for d in converted.diagnostics)
    assert _refusals(converted) == {"guarded": True, "wide": False}


def test_routes_of_a_service_that_is_left_out_do_not_fall_to_a_wider_route() -> None:
    for service in ("{host: x, nonsense: 1, %s}", "{name: x, %s}", "{host: x, protocol: tcp, %s}"):
        converted = _convert(
            "services: [{name: a, host: a.example, routes: [{name: wide, paths: [/]}]}, "
            f"{service % 'routes: [{name: guarded, paths: [/b]}]'}]"
        )
        names = {_name(m) for m in converted.manifests if m["kind"] == "Ingress"}
        assert names == {"wide", "guarded"}


def _refusals(converted: Converted) -> dict[str, bool]:
    """Whether an Ingress answers by itself, by its name."""
    documents, _ = read_texts({"made.yaml": "---\n".join(yaml.safe_dump(m) for m in converted.manifests)})
    rules = [rule for host in build(documents).model.edge_hosts.values() for rule in host.rules]
    return {rule.name.split("/")[2]: isinstance(rule.action, Refuse) for rule in rules}


def _name(made: Mapping[str, object]) -> object:
    metadata = made["metadata"]
    assert isinstance(metadata, dict)
    return metadata["name"]


def test_a_second_document_is_told() -> None:
    """Kong reads the first alone, and so do we: not in silence."""
    text = '# ours\n---\n_format_version: "3.0"\nservices: [5]\n---\nservices: []\n'
    assert [str(d) for d in convert(text, "kong.yaml").diagnostics] == [
        "kong.yaml:4:12: error MG2001 kong.yaml kong.yaml services[0]: must be an object, got 5",
        "kong.yaml:6:1: error MG1003: a second document is not read, by Kong neither; "
        "put it into a file of its own",
    ]


@pytest.mark.parametrize("url", ["shop", "http://a:99999/", "http://[::1", "http://a:0", "http:///x"])
def test_an_address_that_is_none(url: str) -> None:
    (found,) = _convert(f"services: [{{name: a, url: '{url}'}}]").diagnostics
    assert str(found) == (
        f"kong.yaml:2:27: error MG2002 kong.yaml kong.yaml services[0].url: is no address, got '{url}'; "
        "write it like http://host:80/path"
    )


def test_an_address_that_is_none_shows_no_password() -> None:
    (found,) = _convert("services: [{name: a, url: 'http://u:hush@/x'}]").diagnostics
    assert "hush" not in str(found)


@pytest.mark.parametrize("port", ["0", "99999", "9" * 5000])
def test_a_target_has_a_port(port: str) -> None:
    (found,) = _convert(f"upstreams: [{{name: u, targets: [{{target: 'x:{port}'}}]}}]").diagnostics
    assert found.code == "MG2002"
    assert found.message.startswith("must have a port from 1 to 65535, got ")
