"""Plugins that authenticate, and their credentials, on the way from kong.yaml."""

from __future__ import annotations

import json

import pytest
import yaml

from meshgate.core.diagnostics import Severity
from meshgate.dialects.kong.declarative import convert
from meshgate.model.graph import Model
from meshgate.pipeline import build, read_texts
from tests.certificates import authority


def _imported(text: str) -> Model:
    """The model of a kong.yaml that loses nothing."""
    converted = convert(f'_format_version: "3.0"\n{text}', "kong.yaml")
    assert converted.diagnostics == ()
    made = "---\n".join(yaml.safe_dump(m) for m in converted.manifests)
    documents, problems = read_texts({"made.yaml": made})
    built = build(documents)
    assert [str(d) for d in (*problems, *built.diagnostics) if d.severity is not Severity.INFO] == []
    return built.model


def _of_routes(model: Model) -> list[str]:
    return [type(p).__name__ for h in model.edge_hosts.values() for r in h.rules for p in r.policies]


@pytest.mark.parametrize(
    ("plugin", "credential", "kind"),
    [
        (
            "{name: hmac-auth, config: {enforce_headers: [date], algorithms: [hmac-sha256]}}",
            "hmacauth_credentials: [{username: ann-1, secret: hush}]",
            "HmacAuth",
        ),
        (
            "{name: mtls-auth, config: {ca_certificates: [ca-1], revocation_check_mode: SKIP}}",
            "mtls_auth_credentials: [{id: m-1, subject_name: ann, ca_certificate: {id: ca-1}}]",
            "MtlsAuth",
        ),
        (
            "{name: ldap-auth, config: {ldap_host: ldap.example, base_dn: dc=example, attribute: uid}}",
            "acls: [{group: staff}]",
            "LdapAuth",
        ),
        ("{name: opa, config: {opa_path: /v1/data/a}}", "acls: [{group: staff}]", "Opa"),
        (
            "{name: session, config: {secret: a secret that is long enough for it}}",
            "acls: [{group: staff}]",
            "Session",
        ),
    ],
)
def test_it_arrives(plugin: str, credential: str, kind: str) -> None:
    model = _imported(
        f"services: [{{name: a, host: a.example, routes: [{{paths: [/a], plugins: [{plugin}]}}]}}]\n"
        f"consumers:\n- username: ann\n  {credential}\n"
        f"ca_certificates: [{{id: ca-1, cert: {json.dumps(authority('root').pem)}}}]\n"
    )
    assert _of_routes(model) == [kind]
    (consumer,) = model.consumers.values()
    assert [(h.username, h.secret.reveal()) for h in consumer.hmac] in ([], [("ann-1", b"hush")])
    assert [(m.subject_name, m.ca_id) for m in consumer.mtls] in ([], [("ann", "ca-1")])
    assert consumer.hmac or consumer.mtls or consumer.groups == ("staff",)


def test_applications_and_what_hands_out_tokens() -> None:
    plugin = "{name: oauth2, config: {enable_client_credentials: true, provision_key: null, anonymous: null}}"
    model = _imported(
        f"services: [{{name: a, host: a.example, routes: [{{paths: [/a], plugins: [{plugin}]}}]}}]\n"
        "consumers:\n- username: ann\n  oauth2_credentials:\n"
        "  - {name: app, client_id: app-1, client_secret: hush, client_type: confidential,\n"
        "     redirect_uris: ['https://a.example/in', 'https://a.example/two']}\n"
    )
    assert _of_routes(model) == ["OAuth2"]
    (consumer,) = model.consumers.values()
    (app,) = consumer.applications
    assert (app.name, app.client_id) == ("app", "app-1")
    assert app.redirect_uris == ("https://a.example/in", "https://a.example/two")


REDIS = (
    "{host: 127.0.0.1, port: 6379, timeout: 2000, connect_timeout: 2000, cloud_authentication: null, "
    "cluster_addresses: null, cluster_max_redirections: 5, keepalive_pool_size: 256, prefix: null, "
    "connection_is_proxied: false, sentinel_nodes: null, socket: null, ssl: false}"
)


@pytest.mark.parametrize(
    "kept", ["redis: null", f"redis: {REDIS}", f"redis: {REDIS}, session_storage: redis"]
)
def test_an_export_of_openid_connect_with_its_defaults_says_nothing_new(kept: str) -> None:
    config = (
        "{issuer: 'https://login.example', auth_methods: [bearer], anonymous: null, "
        f"verify_signature: true, principals: null, {kept}, proof_of_possession_mtls: 'off'}}"
    )
    plugin = f"{{name: openid-connect, config: {config}}}"
    model = _imported(
        f"services: [{{name: a, host: a.example, routes: [{{paths: [/a], plugins: [{plugin}]}}]}}]\n"
    )
    assert _of_routes(model) == ["OpenIdConnect"]
