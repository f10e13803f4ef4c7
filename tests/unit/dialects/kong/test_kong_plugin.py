"""KongPlugins: which plugin is meant, what else the object says, and what stays closed."""

from __future__ import annotations

import pytest

from meshgate.dialects.kong.catalog import CATALOG, candidates
from meshgate.dialects.kong.plugins import SUPPORTED
from meshgate.model.declared import Plugin, PluginScope
from meshgate.model.names import Name
from meshgate.model.policy import JwtAuth, KeyAuth, RateLimit
from tests.unit.dialects.reading import declared, read, said

HEAD = "apiVersion: configuration.konghq.com/v1\nkind: KongPlugin\nmetadata: {name: p}\n"
CLUSTER = """\
apiVersion: configuration.konghq.com/v1
kind: KongClusterPlugin
metadata:
  name: p
  labels: {global: "true"}
  annotations: {kubernetes.io/ingress.class: kong}
"""


def plugin(text: str) -> Plugin:
    """The one plugin of a text, with or without mistakes."""
    (found,) = read(text).declared.plugins
    return found


def test_all_45_plugins_of_kongs_open_edition_are_known() -> None:
    assert len(CATALOG.keys() - {"mtls-auth", "opa", "openid-connect"}) == 45, "those are sold by Kong"
    assert CATALOG.keys() >= SUPPORTED.keys()


@pytest.mark.parametrize("name", sorted(SUPPORTED))
def test_the_fields_in_the_catalog_are_those_of_the_schema(name: str) -> None:
    config = SUPPORTED[name].config
    fields = {*config.model_fields, *config.UNSUPPORTED, *config.UNSUPPORTED_SECURITY}
    assert CATALOG[name].fields == fields


@pytest.mark.parametrize(
    ("config", "name", "kind"),
    [
        ("{uri_param_names: [jwt], header_names: [Authorization], claims_to_verify: [exp]}", "jwt", JwtAuth),
        ("{key_names: [apikey]}", "key-auth", KeyAuth),
        ("{key_names: [apikey], hide_credentials: true, realm: null}", "key-auth", KeyAuth),
        ("{minute: 100, policy: local}", "rate-limiting", RateLimit),
    ],
)
def test_a_plugin_without_a_name_is_the_only_one_that_fits(
    config: str, name: str, kind: type[object]
) -> None:
    text = f"{HEAD}config: {config}\n"
    assert said(text) == [
        f"f.yaml:1:1: warning MG2101 KongPlugin default/p: names no plugin; its fields fit {name} alone; "
        f"add plugin: {name}"
    ]
    found = plugin(text)
    assert found.plugin == name
    assert isinstance(found.policy, kind)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("{}", "no field of config tells which is meant"),
        ("{allow: [10.0.0.0/8]}", "its fields fit several: acl, bot-detection, ip-restriction"),
        ("{run_on_preflight: true}", "its fields fit several: jwt, key-auth"),
        (
            "{hide_credentials: true}",
            "its fields fit several: basic-auth, hmac-auth, key-auth",
        ),
        ("{remove: {}}", "its fields fit several: request-transformer, response-transformer"),
        ("{key_names: [a], colour: red}", "its fields fit none; nearest is key-auth, which has no colour"),
        (
            "{error_code: 429}",
            "its fields fit none; nearest is rate-limiting, which also needs one of day, hour, "
            "minute, month, "
            "second, year",
        ),
        ("{colour: red}", "no plugin has any of its fields"),
    ],
)
def test_a_plugin_that_cannot_be_told_is_closed(config: str, why: str) -> None:
    text = f"{HEAD}config: {config}\n"
    assert said(text) == [
        f"f.yaml:1:1: error MG2102 KongPlugin default/p: names no plugin, and {why}; what refers to it is "
        "closed; add plugin: NAME"
    ]
    found = plugin(text)
    assert (found.plugin, found.policy) == ("", None)
    assert found.problem.startswith("MG2102: names no plugin, and ")


def test_an_unsupported_plugin_can_be_inferred_and_is_closed() -> None:
    found = plugin(f"{HEAD}config: {{block_on_first_violation: true, limits: {{}}}}\n")
    assert (found.plugin, found.policy) == ("response-ratelimiting", None)
    assert candidates(("echo", "trigger")) == ("request-termination",)


OTHERS = sorted(CATALOG.keys() - SUPPORTED.keys())


@pytest.mark.parametrize("name", OTHERS)
def test_every_other_plugin_of_kongs_is_known_and_closed(name: str) -> None:
    text = f"{HEAD}plugin: {name}\nconfig: {{anything: goes}}\n"
    assert said(text) == [
        f"f.yaml:4:9: error MG2102 KongPlugin default/p plugin: plugin {name} is not supported "
        f"yet; what refers "
        f"to it is closed, because {CATALOG[name].purpose.value}; take it out of konghq.com/plugins to serve "
        "without it"
    ]
    assert plugin(text).policy is None
    assert plugin(text).plugin == name


def test_an_unknown_plugin_is_closed_with_a_hint() -> None:
    text = f"{HEAD}plugin: rate-limit\n"
    assert said(text) == [
        "f.yaml:4:9: error MG2102 KongPlugin default/p plugin: 'rate-limit' is not a plugin of Kong's open "
        "edition; what refers to it is closed; did you mean rate-limiting?"
    ]
    assert (plugin(text).plugin, plugin(text).policy) == ("", None)


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (
            "ordering: {before: {access: [a]}}",
            "warning MG1103 KongPlugin default/p ordering: plugins run in Kong's own order",
        ),
        (
            "run_on: first",
            "warning MG1103 KongPlugin default/p run_on: there is one place only where the plugin runs",
        ),
        (
            "protocols: [https]",
            "warning MG1103 KongPlugin default/p protocols: the plugin runs for every protocol; remove it",
        ),
    ],
)
def test_fields_without_effect_are_warnings(field: str, expected: str) -> None:
    text = f"{HEAD}plugin: jwt\n{field}\n"
    assert said(text) == [f"f.yaml:5:1: {expected}"]
    assert isinstance(plugin(text).policy, JwtAuth)


def test_all_of_kongs_http_protocols_are_what_happens_anyway() -> None:
    assert said(f"{HEAD}plugin: jwt\nprotocols: [http, https, grpc, grpcs]\n") == []


@pytest.mark.parametrize("field", ["consumerRef: bob"])
def test_fields_that_decide_who_or_what_close_the_plugin(field: str) -> None:
    text = f"{HEAD}plugin: jwt\n{field}\n"
    (line,) = said(text)
    assert line.startswith(f"f.yaml:5:1: error MG1104 KongPlugin default/p {field.partition(':')[0]}: ")
    assert line.endswith("what refers to it is closed")
    assert (plugin(text).plugin, plugin(text).policy) == ("jwt", None)


def test_a_misspelt_field_beside_config_closes_the_plugin() -> None:
    text = f"{HEAD}plugin: jwt\nconfg: {{}}\n"
    assert said(text) == [
        "f.yaml:5:1: error MG1102 KongPlugin default/p confg: unknown field; did you mean config?"
    ]
    assert plugin(text).problem == "MG1102 confg: unknown field"


def test_a_config_that_is_no_object() -> None:
    assert said(f"{HEAD}plugin: jwt\nconfig: [a]\n") == [
        "f.yaml:5:9: error MG2103 KongPlugin default/p config: must be an object, got a list; "
        "write NAME: VALUE, without hyphens"
    ]


def test_a_disabled_plugin_is_off_and_only_warned_about() -> None:
    found = plugin(f"{HEAD}plugin: jwt\ndisabled: true\n")
    assert (found.disabled, found.problem) == (True, "")
    text = f"{HEAD}plugin: aws-lambda\ndisabled: true\n"
    assert (plugin(text).disabled, plugin(text).problem) == (True, "")
    (line,) = said(text)
    assert line.startswith("f.yaml:4:9: warning MG2102 ")


def test_a_cluster_plugin_may_be_global() -> None:
    (found,) = declared(CLUSTER + "plugin: jwt\n").plugins
    assert (found.scope, found.name, found.is_global) == (PluginScope.CLUSTER, Name("", "p"), True)
    (other,) = declared(CLUSTER.replace('"true"', '"false"') + "plugin: jwt\n").plugins
    assert other.is_global is False


def test_a_namespaced_plugin_is_never_global() -> None:
    text = HEAD.replace("{name: p}", '{name: p, labels: {global: "true"}}') + "plugin: jwt\n"
    assert plugin(text).is_global is False


def test_a_broken_global_plugin_still_closes_everything() -> None:
    found = plugin(CLUSTER + "plugin: jwt\nconsumerRef: bob\n")
    assert (found.is_global, found.policy) == (True, None)


def test_a_cluster_plugin_of_another_class_is_left_out() -> None:
    text = CLUSTER.replace("class: kong", "class: nginx") + "plugin: jwt\n"
    assert read(text).declared.plugins == ()
    assert said(text) == [
        "f.yaml:6:46: warning MG2005 KongClusterPlugin p "
        "metadata.annotations['kubernetes.io/ingress.class']: "
        "belongs to class 'nginx', not to kong; it is left out"
    ]


def test_a_cluster_plugin_without_a_class_is_taken_with_a_warning() -> None:
    text = HEAD.replace("KongPlugin", "KongClusterPlugin") + "plugin: jwt\n"
    assert plugin(text).name == Name("", "p")
    assert said(text) == [
        "f.yaml:3:11: warning MG2005 KongClusterPlugin p metadata.annotations: has no annotation "
        "kubernetes.io/ingress.class, without which Kong leaves it out; it is taken all the same; "
        "add kubernetes.io/ingress.class: kong"
    ]


@pytest.mark.parametrize(
    ("name", "config", "place"),
    [
        (
            "session",
            "secret: '{vault://env/secret}'",
            "5:18: error MG1104 KongPlugin default/p config.secret",
        ),
        ("http-log", "http_endpoint: 'http://a/', headers: {k: '{vault://aws/k}'}", "headers.k"),
        ("openid-connect", "issuer: 'https://a', client_secret: ['{vault://a/b}']", "client_secret[0]"),
    ],
)
def test_a_reference_to_a_vault_never_serves_as_the_value(name: str, config: str, place: str) -> None:
    """Else the secret would be a text that everybody knows."""
    text = f"{HEAD}plugin: {name}\nconfig: {{{config}}}\n"
    (found,) = [line for line in said(text) if "vault" in line]
    assert place in found
    assert found.endswith(
        "refers to a vault, which is not supported; put the value into a Secret and name it in configPatches"
    )
    assert plugin(text).policy is None
