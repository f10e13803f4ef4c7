"""VirtualServices: what each field becomes, and what is said about those that cannot be followed."""

from __future__ import annotations

import textwrap

import pytest

from meshgate.core.origin import Origin
from meshgate.model.declared import Delegation, MeshRules
from meshgate.model.gateway import StreamMatch
from meshgate.model.names import Name
from meshgate.model.route import (
    DEFAULT_RETRY,
    Cors,
    Destination,
    DirectResponse,
    Fault,
    Forward,
    HeaderChanges,
    MatchKind,
    Mirror,
    NamedMatch,
    PathKind,
    PathMatch,
    Redirect,
    RequestMatch,
    Retry,
    Rewrite,
    Rule,
    StringMatch,
    WeightedDestination,
)
from tests.unit.dialects.reading import declared, read, said

HEAD = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: pay, namespace: shop}
spec:
  hosts: [payment]
"""
ROUTE = "route: [{destination: {host: payment}}]"


def with_rules(rules: str) -> str:
    """A VirtualService with these entries of `http`, the first of which is at line 7."""
    return HEAD + "  http:\n" + textwrap.indent(textwrap.dedent(rules).strip("\n"), "  ") + "\n"


def mesh_rules(text: str) -> MeshRules:
    """The one VirtualService of a text without mistakes."""
    (found,) = declared(text).mesh_rules
    return found


def rule(fields: str) -> Rule:
    """The one rule that has these fields."""
    (found,) = mesh_rules(with_rules("- " + textwrap.indent(textwrap.dedent(fields), "  ").strip())).rules
    return found


def forward(fields: str) -> Forward:
    """The action of a rule that routes."""
    action = rule(fields).action
    assert isinstance(action, Forward)
    return action


def remarks(rules: str) -> list[str]:
    """What is said about these rules, after the file and the object."""
    return [
        line.replace(" VirtualService shop/pay", "").removeprefix("f.yaml:")
        for line in said(with_rules(rules))
    ]


@pytest.mark.parametrize("version", ["v1alpha3", "v1beta1", "v1"])
def test_all_three_versions_mean_the_same(version: str) -> None:
    text = with_rules(f"- {ROUTE}").replace("istio.io/v1", f"istio.io/{version}")
    found = mesh_rules(text)
    assert (found.namespace, found.hosts, found.gateways, found.export_to) == (
        "shop",
        ("payment",),
        (),
        (),
    )
    assert found.origin == Origin("f.yaml", 1, 1)
    assert found.rules[0].origin == Origin("f.yaml", 7, 5)


def test_hosts_gateways_and_exports_stay_as_written() -> None:
    text = with_rules(f"- {ROUTE}").replace(
        "[payment]",
        "[Pay.example.com, '*.shop.svc.cluster.local']\n  gateways: [mesh, infra/gw]\n  "
        "exportTo: [., team-b]",
    )
    found = mesh_rules(text)
    assert found.hosts == ("Pay.example.com", "*.shop.svc.cluster.local")
    assert found.gateways == ("mesh", "infra/gw")
    assert found.export_to == (".", "team-b")


def test_a_rule_is_named_by_itself_or_by_its_place() -> None:
    rules = f"- {{name: one, {ROUTE}}}\n- {{name: two, {ROUTE}}}\n- {{name: two, {ROUTE}}}\n- {{{ROUTE}}}"
    assert [r.name for r in mesh_rules(with_rules(rules)).rules] == [
        "one",
        "virtualservice/shop/pay/1",
        "virtualservice/shop/pay/2",
        "virtualservice/shop/pay/3",
    ]


def test_every_part_of_a_match() -> None:
    found = rule(
        f"""
        match:
        - uri: {{prefix: /Api}}
          ignoreUriCase: true
          scheme: {{exact: https}}
          method: {{regex: 'GET|HEAD'}}
          authority: {{prefix: pay.}}
          headers: {{X-B: {{exact: b}}, x-a: {{}}}}
          withoutHeaders: {{X-Debug: {{regex: "*"}}}}
          queryParams: {{V: {{exact: "2"}}}}
          port: 8080
          sourceLabels: {{app: checkout}}
          sourceNamespace: shop
          gateways: [mesh]
        - uri: {{regex: '/v[12]/.*'}}
          ignoreUriCase: true
        {ROUTE}
        """
    )
    assert found.matches == (
        RequestMatch(
            paths=(PathMatch(kind=PathKind.PREFIX, value="/Api", ignore_case=True),),
            headers=(
                NamedMatch(name="x-b", match=StringMatch(kind=MatchKind.EXACT, value="b")),
                NamedMatch(name="x-a", match=StringMatch(kind=MatchKind.PRESENT)),
                NamedMatch(name="x-debug", match=StringMatch(kind=MatchKind.PRESENT), invert=True),
            ),
            query=(NamedMatch(name="V", match=StringMatch(kind=MatchKind.EXACT, value="2")),),
            methods=(StringMatch(kind=MatchKind.REGEX, value="GET|HEAD"),),
            scheme=StringMatch(kind=MatchKind.EXACT, value="https"),
            authority=StringMatch(kind=MatchKind.PREFIX, value="pay."),
            port=8080,
            source_labels={"app": "checkout"},
            source_namespace="shop",
            gateways=("mesh",),
        ),
        RequestMatch(paths=(PathMatch(kind=PathKind.REGEX, value="/v[12]/.*"),)),
    )


def test_a_lone_destination_takes_all_whatever_its_weight() -> None:
    for weight in ("", ", weight: 0", ", weight: 20"):
        found = forward(
            f"route: [{{destination: {{host: payment, subset: v1, port: {{number: 80}}}}{weight}}}]"
        )
        assert found.destinations == (
            WeightedDestination(destination=Destination(host="payment", port=80, subset="v1"), weight=100),
        )
        assert (found.timeout_ms, found.retry, found.rewrite, found.mirrors) == (
            0,
            DEFAULT_RETRY,
            Rewrite(),
            (),
        )


def test_weights_are_kept_and_a_missing_one_gets_no_traffic() -> None:
    rules = """
        - route:
          - {destination: {host: a}, weight: 3}
          - {destination: {host: b}}
        """
    (found,) = read(with_rules(rules)).declared.mesh_rules
    action = found.rules[0].action
    assert isinstance(action, Forward)
    assert [d.weight for d in action.destinations] == [3, 0]
    assert remarks(rules) == [
        "9:7: warning MG2006 spec.http[0].route[1]: has no weight, so it gets no traffic; add weight"
    ]


def test_weights_that_add_up_to_nothing_are_an_error() -> None:
    rules = "- route: [{destination: {host: a}, weight: 0}, {destination: {host: b}, weight: 0}]"
    assert remarks(rules) == [
        "7:12: error MG2002 spec.http[0].route: the weights must add up to more than 0, got 0"
    ]
    lowered = read(with_rules(rules)).declared
    assert (lowered.mesh_rules, [b.ref.name for b in lowered.broken]) == ((), ["pay"])


def test_timeout_rewrite_and_mirrors() -> None:
    found = forward(
        f"""
        {ROUTE}
        timeout: 1.5s
        rewrite: {{uri: /v2, authority: pay.example.com}}
        mirrors:
        - {{destination: {{host: copy}}, percentage: {{value: 12.5}}}}
        - {{destination: {{host: other}}}}
        - {{destination: {{host: none}}, percentage: {{value: 0}}}}
        """
    )
    assert found.timeout_ms == 1500
    assert found.rewrite == Rewrite(prefix="/v2", authority="pay.example.com")
    assert found.mirrors == (
        Mirror(destination=Destination(host="copy", port=0), percent=12.5),
        Mirror(destination=Destination(host="other", port=0), percent=100),
    )


def test_a_mirror_is_100_percent_unless_it_says_otherwise() -> None:
    copy = Destination(host="copy", port=0)
    mirror = f"{ROUTE}\nmirror: {{host: copy}}"
    assert forward(mirror).mirrors == (Mirror(destination=copy, percent=100),)
    assert forward(f"{mirror}\nmirrorPercentage: {{value: 5}}").mirrors == (
        Mirror(destination=copy, percent=5),
    )
    assert forward(f"{mirror}\nmirrorPercentage: {{value: 0}}").mirrors == ()


def test_a_regex_rewrite() -> None:
    found = forward(f"{ROUTE}\nrewrite: {{uriRegexRewrite: {{match: '^/a/(.*)$', rewrite: '/b/\\1'}}}}")
    assert found.rewrite == Rewrite(path_regex="^/a/(.*)$", substitution="/b/\\1")


def test_retries_that_are_asked_for_have_istios_defaults() -> None:
    assert forward(f"{ROUTE}\nretries: {{attempts: 3}}").retry == Retry(
        attempts=3,
        conditions=(
            "connect-failure",
            "refused-stream",
            "unavailable",
            "cancelled",
            "retriable-status-codes",
        ),
        status_codes=(503,),
    )
    assert forward(f"{ROUTE}\nretries: {{attempts: 0}}").retry == Retry(attempts=0, conditions=())


def test_retries_on_words_and_status_codes() -> None:
    found = forward(
        f"""
        {ROUTE}
        retries:
          attempts: 2
          retryOn: "503, reset,429"
          perTryTimeout: 2s
          backoff: 50ms
          retryIgnorePreviousHosts: false
        """
    )
    assert found.retry == Retry(
        attempts=2,
        conditions=("reset", "retriable-status-codes"),
        status_codes=(429, 503),
        per_try_timeout_ms=2000,
        backoff_ms=50,
        ignore_previous_hosts=False,
    )


def test_headers_of_a_rule_and_of_a_destination() -> None:
    found = rule(
        """
        headers:
          request: {set: {X-B: "1", X-A: "%REQ(x)%"}, add: {x-c: 50%%}, remove: [X-D]}
          response: {remove: [server]}
        route:
        - destination: {host: a}
          weight: 1
          headers: {response: {set: {x-version: v1}}}
        - {destination: {host: b}, weight: 1}
        """
    )
    assert found.request_headers == HeaderChanges(
        set=(("x-a", "%REQ(x)%"), ("x-b", "1")), add=(("x-c", "50%%"),), remove=("x-d",)
    )
    assert found.response_headers == HeaderChanges(remove=("server",))
    assert isinstance(found.action, Forward)
    assert found.action.destinations[0].response_headers == HeaderChanges(set=(("x-version", "v1"),))


@pytest.mark.parametrize("name", ["Host", ":authority", "host"])
def test_setting_the_host_header_is_a_rewrite_of_the_authority(name: str) -> None:
    found = rule(f"{ROUTE}\nheaders: {{request: {{set: {{'{name}': b.example.com, x: y}}}}}}")
    assert isinstance(found.action, Forward)
    assert found.action.rewrite == Rewrite(authority="b.example.com")
    assert found.request_headers == HeaderChanges(set=(("x", "y"),))


def test_faults() -> None:
    found = rule(
        f"""
        {ROUTE}
        fault:
          delay: {{fixedDelay: 250ms, percentage: {{value: 0.1}}}}
          abort: {{grpcStatus: UNAVAILABLE, percentage: {{value: 100}}}}
        """
    )
    assert found.fault == Fault(delay_ms=250, delay_percent=0.1, abort_grpc=14, abort_percent=100)
    aborted = rule(f"{ROUTE}\nfault: {{abort: {{httpStatus: 503, percentage: {{value: 1}}}}}}")
    assert aborted.fault == Fault(abort_http=503, abort_percent=1)


def test_a_fault_without_percentage_meets_nobody_and_the_old_percent_counts() -> None:
    rules = f"""
        - {ROUTE}
          fault: {{delay: {{fixedDelay: 1s}}, abort: {{httpStatus: 500}}}}
        - {ROUTE}
          fault: {{delay: {{fixedDelay: 1s, percent: 5}}}}
        """
    assert remarks(rules) == [
        "8:20: warning MG2006 spec.http[0].fault.delay: has no percentage, so it meets no request; "
        "add percentage.value, 100 for every request",
        "8:45: warning MG2006 spec.http[0].fault.abort: has no percentage, so it meets no request; "
        "add percentage.value, 100 for every request",
        "10:46: warning MG2007 spec.http[1].fault.delay.percent: percent is deprecated; "
        "write percentage: {value: 5}",
    ]
    (found,) = read(with_rules(rules)).declared.mesh_rules
    assert [r.fault for r in found.rules] == [None, Fault(delay_ms=1000, delay_percent=5)]


def test_cors() -> None:
    found = rule(
        f"""
        {ROUTE}
        corsPolicy:
          allowOrigins: [{{exact: https://a.example}}, {{regex: "https://.*"}}]
          allowMethods: [GET]
          allowHeaders: [x-a]
          exposeHeaders: [x-b]
          maxAge: 24h
          allowCredentials: true
        """
    )
    assert found.cors == Cors(
        allow_origins=(
            StringMatch(kind=MatchKind.EXACT, value="https://a.example"),
            StringMatch(kind=MatchKind.REGEX, value="https://.*"),
        ),
        allow_methods=("GET",),
        allow_headers=("x-a",),
        expose_headers=("x-b",),
        max_age_s=86400,
        allow_credentials=True,
    )


def test_redirect_and_direct_response() -> None:
    redirect = "{uri: /new, authority: a.example:8443, scheme: https, redirectCode: 308, port: 8443}"
    assert rule(f"redirect: {redirect}").action == Redirect(
        code=308, path="/new", authority="a.example:8443", scheme="https", port=8443
    )
    assert rule("redirect: {uri: /new, derivePort: FROM_PROTOCOL_DEFAULT}").action == Redirect(path="/new")
    assert rule("directResponse: {status: 503, body: {string: närå}}").action == DirectResponse(
        status=503, body="närå".encode()
    )
    assert rule("directResponse: {status: 200, body: {bytes: aGk=}}").action == DirectResponse(
        status=200, body=b"hi"
    )


def test_a_rule_that_delegates_says_to_whom_and_what_it_gives_along() -> None:
    rules = "- delegate: {name: other}\n  timeout: 1s\n- delegate: {name: far, namespace: team}\n- " + ROUTE
    found = mesh_rules(with_rules(rules))
    assert found.delegations == (
        Delegation(rule=0, to=Name("shop", "other")),
        Delegation(rule=1, to=Name("team", "far")),
    )
    assert found.rules[0].action == Forward(destinations=(), timeout_ms=1000)
    assert found.written == (frozenset({"timeout"}), frozenset(), frozenset())


def test_a_virtual_service_without_hosts_is_there_to_be_delegated_to() -> None:
    rules = f"- mirrorPercent: 1\n  headers: {{}}\n  corsPolicy: {{}}\n  {ROUTE}"
    text = with_rules(rules).replace("  hosts: [payment]\n", "")
    (found,) = read(text).declared.mesh_rules
    assert (found.hosts, found.written) == ((), (frozenset({"mirror", "headers", "corsPolicy"}),))


def test_tcp_and_tls_routes() -> None:
    route = "route: [{destination: {host: db, port: {number: 5432}}}]"
    text = HEAD + (
        f"  tcp: [{{match: [{{port: 5432, gateways: [edge]}}], {route}}}]\n"
        f"  tls: [{{match: [{{sniHosts: [A.example, '*.b.example']}}], {route}}}]\n"
    )
    (rules,) = read(text).declared.mesh_rules
    assert said(text) == []
    assert rules.rules == ()
    assert rules.tcp[0].matches == (StreamMatch(port=5432, gateways=("edge",)),)
    assert rules.tls[0].matches == (StreamMatch(sni_hosts=("a.example", "*.b.example")),)
    assert rules.tls[0].destinations[0].destination == Destination(host="db", port=5432)


def test_a_stream_match_by_address() -> None:
    route = "route: [{destination: {host: db}}]"
    text = HEAD + f"  tcp: [{{match: [{{destinationSubnets: [10.0.0.0/8, 10.1.2.3]}}], {route}}}]\n"
    (rule,) = mesh_rules(text).tcp
    assert rule.matches == (StreamMatch(subnets=("10.0.0.0/8", "10.1.2.3")),)
    assert said(text.replace("10.1.2.3", "10.1.2")) == [
        "f.yaml:6:52: error MG2004 VirtualService shop/pay spec.tcp[0].match[0].destinationSubnets[1]: "
        "must be an address or a range, got '10.1.2'"
    ]
    partly = said(HEAD + f"  tls: [{{match: [{{sniHosts: ['*-a.b']}}], {route}}}]\n")[-1]
    assert partly.endswith("must be a host name, `*`, or begin with `*.`, got '*-a.b'")


def test_hosts_that_cannot_be() -> None:
    text = with_rules(f"- {ROUTE}")
    assert said(text.replace("[payment]", "['*', a, a]")) == [
        "f.yaml:5:11: error MG2004 VirtualService shop/pay spec.hosts[0]: `*` cannot stand for every host of "
        "the mesh; name the hosts, or leave `mesh` out of gateways",
        "f.yaml:5:19: error MG2006 VirtualService shop/pay spec.hosts[2]: a is there twice; keep one of them",
    ]
    in_mesh = text.replace("[payment]", "[]").replace("  http:", "  gateways: [mesh]\n  http:")
    assert said(in_mesh) == [
        "f.yaml:6:13: error MG2006 VirtualService shop/pay spec.gateways: cannot be in a VirtualService "
        "without hosts; name spec.hosts, or say it where the rule is delegated"
    ]
    assert said(text.replace("[payment]", "['pay:80']")) == [
        "f.yaml:5:11: error MG2004 VirtualService shop/pay spec.hosts[0]: must be a host name "
        "without a port, "
        "got 'pay:80'; put the port into port.number"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            "timeout: 5s",
            "7:5: error MG2003 spec.http[0]: must have one of route, redirect, directResponse and delegate, "
            "got none",
        ),
        (
            f"{ROUTE}\n  redirect: {{uri: /}}",
            "7:5: error MG2006 spec.http[0]: must have one of route, redirect, directResponse and delegate, "
            "got route and redirect",
        ),
        (
            f"{ROUTE}\n  match: [{{uri: {{exact: /a, prefix: /b}}}}]",
            "8:19: error MG2006 spec.http[0].match[0].uri: must have one of exact, prefix and regex, "
            "got exact and prefix",
        ),
        (
            f"{ROUTE}\n  match: [{{uri: {{}}}}]",
            "8:19: error MG2003 spec.http[0].match[0].uri: must have one of exact, prefix and regex",
        ),
        (
            f"{ROUTE}\n  match: [{{uri: {{prefix: ''}}}}]",
            "8:28: error MG2002 spec.http[0].match[0].uri.prefix: must not be empty",
        ),
        (
            f"{ROUTE}\n  match: [{{uri: {{regex: '/(?!a)'}}}}]",
            "8:27: error MG2002 spec.http[0].match[0].uri.regex: has (?!a, which RE2 does not know "
            "(no lookaround), got '/(?!a)'",
        ),
        (
            f"{ROUTE}\n  match: [{{headers: {{'a b': {{}}}}}}]",
            "8:31: error MG2004 spec.http[0].match[0].headers['a b']: must be a header name, got 'a b'",
        ),
        (
            f"{ROUTE}\n  match: [{{headers: {{uri: {{exact: /a}}}}}}]",
            "8:29: warning MG1103 spec.http[0].match[0].headers.uri: is not read as a header; "
            "use the field uri",
        ),
        (
            f"{ROUTE}\n  match: [{{statPrefix: a b}}]",
            "8:26: error MG2002 spec.http[0].match[0].statPrefix: must not have spaces or control "
            "characters, got 'a b'",
        ),
        (
            f"{ROUTE}\n  retries: {{attempts: 1, retryOn: '5xx,resett'}}",
            "8:37: error MG2002 spec.http[0].retries.retryOn: must hold conditions of Envoy or status codes, "
            "got 'resett'; did you mean reset?",
        ),
        (
            f"{ROUTE}\n  retries: {{retryOn: 5xx}}",
            "8:14: warning MG2006 spec.http[0].retries: attempts is 0, which switches retries off; "
            "set attempts, or remove the rest",
        ),
        (
            f"{ROUTE}\n  retries: {{attempts: 1, perTryTimeout: 0s}}",
            "8:43: error MG2002 spec.http[0].retries.perTryTimeout: must be at least 1ms, got '0s'",
        ),
        (
            f"{ROUTE}\n  headers: {{request: {{add: {{x: 100%}}}}}}",
            "8:34: error MG2002 spec.http[0].headers.request.add.x: has a `%` that starts no command; "
            "write `%%` for a percent sign, got '100%'",
        ),
        (
            f"{ROUTE}\n  headers: {{response: {{set: {{host: a}}}}}}",
            "8:38: error MG2002 spec.http[0].headers.response.set.host: host cannot be changed here; "
            "set the Host header in headers.request.set or use rewrite",
        ),
        (
            f"{ROUTE}\n  mirror: {{host: a}}\n  mirrors: [{{destination: {{host: b}}}}]",
            "9:14: error MG2006 spec.http[0].mirrors: must not stand beside mirror",
        ),
        (
            f"{ROUTE}\n  mirror: {{host: a}}\n  mirrorPercent: 5",
            "9:20: warning MG2007 spec.http[0].mirrorPercent: mirrorPercent is deprecated; "
            "write mirrorPercentage: {value: 5}",
        ),
        (
            f"{ROUTE}\n  rewrite: {{uri: /, uriRegexRewrite: {{match: a}}}}",
            "8:14: error MG2006 spec.http[0].rewrite: must have one of uri and uriRegexRewrite",
        ),
        (
            f"{ROUTE}\n  fault: {{abort: {{grpcStatus: UNAVAILBLE, percentage: {{value: 1}}}}}}",
            "8:33: error MG2002 spec.http[0].fault.abort.grpcStatus: must be a gRPC status such "
            "as UNAVAILABLE, "
            "got 'UNAVAILBLE'; did you mean UNAVAILABLE?",
        ),
        (
            f"{ROUTE}\n  corsPolicy: {{allowOrigin: ['*']}}",
            "8:31: warning MG2007 spec.http[0].corsPolicy.allowOrigin: allowOrigin is deprecated; "
            "write allowOrigins with exact, prefix or regex",
        ),
        (
            "redirect: {uri: /}\n  timeout: 1s",
            "8:14: warning MG2006 spec.http[0].timeout: has no effect beside redirect; remove it",
        ),
        (
            "redirect: {prefixRewrite: /, uri: /}",
            "7:15: error MG2006 spec.http[0].redirect: must have one of uri and prefixRewrite",
        ),
        (
            "delegate: {name: Other}",
            "7:22: error MG2004 spec.http[0].delegate.name: must be a name of lower-case letters, digits, "
            "hyphens and dots, got 'Other'",
        ),
        (
            "directResponse: {status: 200, body: {bytes: '!'}}",
            "7:49: error MG2002 spec.http[0].directResponse.body.bytes: must be base64",
        ),
        (
            "route: [{destination: {host: a, subst: v1}}]",
            "7:37: error MG1102 spec.http[0].route[0].destination.subst: unknown field; did you mean subset?",
        ),
        (
            "route: [{destination: {host: a}, weight: -1}]",
            "7:46: error MG2002 spec.http[0].route[0].weight: must be >= 0, got -1",
        ),
        (
            "route: [{destination: {host: a, subset: 'v|1'}}]",
            "7:45: error MG2004 spec.http[0].route[0].destination.subset: must be a name of letters, digits "
            "and hyphens, got 'v|1'",
        ),
        (
            f"{ROUTE}\n  corsPolicy: {{allowMethods: ['G T']}}",
            "8:33: error MG2004 spec.http[0].corsPolicy.allowMethods[0]: must be `*` or a name that a header "
            "can hold, got 'G T'",
        ),
        (
            f"{ROUTE}\n  rewrite: {{uriRegexRewrite: {{match: a, rewrite: '\\1'}}}}",
            "8:52: error MG2002 spec.http[0].rewrite.uriRegexRewrite.rewrite: names group 1 of an expression "
            "that has 0, got '\\\\1'",
        ),
    ],
)
def test_what_is_said_about_a_rule(fields: str, expected: str) -> None:
    assert remarks("- " + fields) == [expected]


def test_an_exponential_delay_delays_nothing() -> None:
    assert remarks(f"- {ROUTE}\n  fault: {{delay: {{exponentialDelay: 1s}}}}") == [
        "8:20: warning MG2006 spec.http[0].fault.delay: has no fixedDelay, so it does nothing",
        "8:21: warning MG1103 spec.http[0].fault.delay.exponentialDelay: no request is delayed; "
        "use fixedDelay",
    ]


def test_a_service_without_rules_is_an_error() -> None:
    assert said(HEAD) == ["f.yaml:5:3: error MG2003 VirtualService shop/pay spec: must have http, tls or tcp"]
