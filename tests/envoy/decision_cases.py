"""Policies and requests with the decision that Istio documents: the table of the decision tests.

Written from istio.io: reference/config/security/{authorization-policy,conditions,
normalization,jwt} and concepts/security (Istio 1.27). Where Istio leaves a way around a
DENY rule (several values in one header line, a host with a port), the rule holds here.
"""

# A table is read by its columns: one case, one statement.
# ruff: noqa: E501
# fmt: off

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import replace

from tests.envoy.decisions import KEY_SET, Case, Request, bearer, token

_numbers = itertools.count(1)


def policy(spec: str, *, namespace: str = "shop", name: str = "", dry_run: str = "") -> str:
    annotations = f', annotations: {{istio.io/dry-run: "{dry_run}"}}' if dry_run else ""
    name = name or f"p{next(_numbers)}"
    return (
        "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
        f"metadata: {{name: {name}, namespace: {namespace}{annotations}}}\nspec: {spec}\n"
    )


def allow(*rules: str) -> str:
    return policy(f"{{action: ALLOW, rules: [{', '.join(rules)}]}}")


def deny(*rules: str) -> str:
    return policy(f"{{action: DENY, rules: [{', '.join(rules)}]}}")


def to(operation: str) -> str:
    return f"{{to: [{{operation: {{{operation}}}}}]}}"


def source(fields: str) -> str:
    return f"{{from: [{{source: {{{fields}}}}}]}}"


def when(key: str, fields: str) -> str:
    return f'{{when: [{{key: "{key}", {fields}}}]}}'


def tokens(
    rule: str = "", *, issuer: str = "https://issuer.test", namespace: str = "shop", selector: str = ""
) -> str:
    chosen = f"  selector: {{matchLabels: {{{selector}}}}}\n" if selector else ""
    keys = rule if "jwksUri" in rule else f"jwks: '{KEY_SET}'{', ' + rule if rule else ''}"
    return (
        "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\n"
        f"metadata: {{name: r{next(_numbers)}, namespace: {namespace}}}\n"
        f"spec:\n{chosen}  jwtRules: [{{issuer: {issuer}, {keys}}}]\n"
    )


def case(
    name: str,
    policies: str,
    *,
    yes: Iterable[str | Request] = (),
    no: Iterable[str | Request] = (),
    flawed: bool = False,
) -> Case:
    allowed, refused = (
        tuple(Request(target=r) if isinstance(r, str) else r for r in each) for each in (yes, no)
    )
    return Case(name=name, policies=policies, allowed=allowed, refused=refused, flawed=flawed)


def at(host: str, **more: str) -> Request:
    return Request(host=host, target=more.get("target", "/"), method=more.get("method", "GET"))


def by(method: str, target: str = "/") -> Request:
    return Request(method=method, target=target)


def headed(*headers: tuple[str, str], target: str = "/") -> Request:
    return Request(headers=headers, target=target)


def caller(identity: str, target: str = "/", **more: object) -> Request:
    return replace(Request(identity=identity, target=target), **more)  # type: ignore[arg-type]


PLAIN, RAW, SNIFFED = Request(), Request(port=9000), Request(port=7000)
EDGE = Request(port=80)
UPGRADE = (("connection", "Upgrade, HTTP2-Settings"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABkAAQAAP__"))
WEBSOCKET = (("connection", "Upgrade"), ("upgrade", "websocket"))
TRAPS = (
    "/admin", "//admin", "///admin", "/./admin", "/a/../admin", "/a/b/../../admin", "/%2e/admin",
    "/a/%2e%2e/admin", "/a/%2E%2E/admin", "/a/.%2e/admin", "/%61dmin", "/%61%64%6d%69%6e", "/%2Fadmin",
    "/%2fadmin", "/a%2F..%2Fadmin", "/a%2f%2e%2e%2fadmin", "/x\\..\\admin", "/x/..%5Cadmin", "/%5cadmin",
    "/admin?x=1", "/admin?", "/.//admin", "http://api/admin", "http://api//admin",
    "http://other/a/../admin",
)
"""Spellings of /admin: none passes a DENY, and an ALLOW of something else takes none of them."""


KONG = """\
---
apiVersion: configuration.konghq.com/v1
kind: KongPlugin
metadata: {name: here, namespace: shop}
plugin: ip-restriction
config: {allow: [127.0.0.0/8]}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: kong, namespace: shop, annotations: {konghq.com/plugins: here}}
spec:
  ingressClassName: kong
  rules:
  - host: kong.test
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: api, port: {number: 80}}}}]}
"""
"""A route whose plugin is made of Envoy's rbac too: it must not take the policies' place."""


ALIASES = """\
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data: {mesh: "trustDomainAliases: [old.td]"}
"""


SERVERS = """\
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: servers, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
  - {port: {number: 9600, name: http, protocol: HTTP}, hosts: ["*"]}
  - {port: {number: 9500, name: tcp, protocol: TCP}, hosts: ["*"]}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: servers, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [servers]
  http: [{route: [{destination: {host: api, port: {number: 80}}}]}]
  tcp: [{match: [{port: 9500}], route: [{destination: {host: api, port: {number: 9000}}}]}]
"""
"""The gateway's other ports, by Istio's Gateway."""


def _paths() -> Iterator[Case]:
    yield case("deny-traps", deny(to("paths: [/admin]")), yes=["/", "/adm", "/administrator", "/a/admin", "/a//../admin"],
               no=TRAPS)
    yield case("deny-prefix-traps", deny(to('paths: ["/admin*"]')), yes=["/", "/a/admin"],
               no=[*TRAPS[1:9], "/admin/x", "/administrator", "/admin;x=1", "/a/..;/../admin/x"])
    yield case("allow-traps", allow(to('paths: ["/public/*"]')), yes=["/public/", "/public/a", "/public/a/../b"],
               no=["/public/../admin", "/public/%2e%2e/admin", "/public%2F..%2Fadmin", "/public/..%2Fadmin",
                   "/public/..%5Cadmin", "/public", "/publicx"])
    yield case("exact", allow(to("paths: [/info]")), yes=["/info", "/info?x=1"],
               no=["/", "/info/", "/infox", "/x/info", "/INFO"])
    yield case("prefix", allow(to('paths: ["/info*"]')), yes=["/info", "/infox", "/info/a/b"], no=["/inf", "/x/info"])
    yield case("suffix", allow(to('paths: ["*/info"]')), yes=["/info", "/x/info"], no=["/infox", "/info/x"])
    yield case("any-path", allow(to('paths: ["*"]')), yes=["/", "/x"])
    yield case("not-paths", deny(to('notPaths: ["/public*", /health]')), yes=["/public", "/public/x", "/health"],
               no=["/", "/publi", "/health/x"])
    yield case("allow-not-paths", allow(to("notPaths: [/admin]")), yes=["/", "/x"], no=TRAPS[:12])
    yield case("template-one", allow(to('paths: ["/users/{*}/posts"]')), yes=["/users/7/posts", "/users/a.b/posts"],
               no=["/users/posts", "/users/7/8/posts", "/users//posts", "/users/7/posts/1", "/x/users/7/posts"])
    yield case("template-rest", allow(to('paths: ["/files/{*}/raw/{**}"]')),
               yes=["/files/a/raw/", "/files/a/raw/b/c.txt"], no=["/files/raw/b", "/files/a/b/raw/c"])
    yield case("template-deny", deny(to('paths: ["/users/{*}/secrets"]')), yes=["/users/7/posts"],
               no=["/users/7/secrets", "//users/7/secrets", "/users/7/%73ecrets", "/users/7%2Fsecrets"])
    yield case("escaped", deny(to('paths: ["/a@b", "/caf%C3%A9"]')), yes=["/a", "/caf"],
               no=["/a@b", "/a%40b", "/caf%C3%A9", "/caf%c3%a9"])


def _operations() -> Iterator[Case]:
    yield case("methods", allow(to('methods: [GET, "P*"]')), yes=[by("GET"), by("POST"), by("PUT")],
               no=[by("DELETE"), by("HEAD"), by("OPTIONS")])
    yield case("deny-methods", deny(to("methods: [DELETE]")), yes=[by("GET")], no=[by("DELETE"), by("delete")])
    yield case("not-methods", deny(to("notMethods: [GET]")), yes=[by("GET")], no=[by("POST"), by("CONNECT", "api:80")])
    yield case("hosts", allow(to('hosts: [api.test, "*.example.com", "www.*"]')),
               yes=[at("api.test"), at("API.Test"), at("api.test:8080"), at("a.example.com"), at("A.EXAMPLE.COM:1"),
                    at("www.x")],
               no=[at("example.com"), at("api.testx"), at("xapi.test"), at("api-test"), at("a.example.com.evil"),
                   at("api.test@evil"), at("evil,api.test")])
    yield case("deny-hosts", deny(to('hosts: [api.test, "*.example.com"]')), yes=[at("api.tests"), at("example.com")],
               no=[at("api.test"), at("API.TEST"), at("Api.Test:80"), at("api.test:8080"), at("api.test."),
                   at("api.test.:443"), at("api.test.."), at("user@api.test"), at("api.test:"), at("A.example.com"),
                   at("a.example.com."), at("a.example.com:99"), at("x", target="http://api.test/"),
                   at("x", target="http://API.test:80/a"), at("x", target="http://a.example.com./"),
                   headed(("host", "x"), ("host", "api.test")), headed(("host", "api.test"), ("host", "x"))])
    yield case("host-with-port", deny(to('hosts: ["api.test:8080"]')), yes=[at("api.test"), at("api.test:80")],
               no=[at("api.test:8080"), at("API.test:8080"), at("api.test.:8080")])
    yield case("not-hosts", allow(to("notHosts: [internal.test]")), yes=[at("api"), at("x.internal.test")],
               no=[at("internal.test"), at("INTERNAL.test:80"), at("internal.test.")])
    yield case("deny-not-hosts", deny(to("notHosts: [api.test]")), yes=[at("api.test"), at("api.test:80")],
               no=[at("other"), at("api.test.")])
    yield case("ports", allow(to('ports: ["8080"]')), yes=[PLAIN], no=[RAW, SNIFFED])
    yield case("deny-ports", deny(to('ports: ["9000"]')), yes=[PLAIN, SNIFFED], no=[RAW])
    yield case("not-ports", allow(to('notPorts: ["8080"]')), yes=[RAW, SNIFFED], no=[PLAIN])
    yield case("service-port-is-none", allow(to('ports: ["80"]')), no=[PLAIN])
    yield case("both-of-an-operation", allow(to("methods: [GET], paths: [/a]")), yes=["/a"], no=[by("POST", "/a"), "/b"])
    yield case("one-of-two-operations",
               allow('{to: [{operation: {methods: [GET]}}, {operation: {paths: ["/data"]}}]}'),
               yes=["/x", by("POST", "/data")], no=[by("POST", "/x")])


def _sources() -> Iterator[Case]:
    friend, other = caller("shop/front.end"), caller("evil/front.end")
    yield case("principals", allow(source('principals: ["cluster.local/ns/shop/sa/front.end"]')), yes=[friend],
               no=[other, PLAIN, caller("shop/frontXend"), caller("shop/front.end.x"), caller("xshop/front.end"),
                   caller("shop/front.end", trust_domain="cluster.locals")])
    yield case("deny-principals", deny(source('principals: ["cluster.local/ns/shop/sa/front.end"]')),
               yes=[other, PLAIN, caller("shop/frontXend")], no=[friend])
    yield case("principal-suffix", allow(source('principals: ["*/sa/front.end"]')), yes=[friend, other],
               no=[PLAIN, caller("shop/frontXend"), caller("shop/x-front.end")])
    yield case("principal-prefix", allow(source('principals: ["cluster.local/ns/shop/*"]')), yes=[friend],
               no=[other, PLAIN, caller("shopx/front.end")])
    yield case("any-principal", allow(source('principals: ["*"]')), yes=[friend, other], no=[PLAIN])
    yield case("not-principals", deny(source('notPrincipals: ["cluster.local/ns/shop/sa/front.end"]')), yes=[friend],
               no=[other, PLAIN])
    yield case("strict", deny(source('notPrincipals: ["*"]')), yes=[friend, other], no=[PLAIN])
    yield case("namespaces", allow(source('namespaces: [shop, "team-*"]')), yes=[friend, caller("team-a/x")],
               no=[other, PLAIN, caller("shopx/a"), caller("xshop/a"), caller("a/ns.shop"), caller("team/x")])
    yield case("not-namespaces", deny(source("notNamespaces: [shop]")), yes=[friend], no=[other, PLAIN])
    yield case("deny-namespaces", deny(source("namespaces: [evil]")), yes=[friend, PLAIN], no=[other])
    yield case("accounts", allow(source("serviceAccounts: [front.end, team/x]")), yes=[friend, caller("team/x")],
               no=[other, PLAIN, caller("shop/frontXend"), caller("shop/x"), caller("team/xx")])
    yield case("not-accounts", deny(source("notServiceAccounts: [front.end]")), yes=[friend], no=[other, PLAIN])
    yield case("trust-domains", allow(source('trustDomains: ["cluster.local"]')), yes=[friend, other],
               no=[PLAIN, caller("shop/a", trust_domain="clusterXlocal")])
    yield case("not-trust-domains", deny(source('notTrustDomains: ["cluster.local"]')), yes=[friend],
               no=[PLAIN, caller("shop/a", trust_domain="partner.test")])
    old, named = replace(friend, trust_domain="old.td"), "cluster.local/ns/shop/sa/front.end"
    yield case("aliases", ALIASES + allow(source(f"principals: [{named}]")), yes=[friend, old],
               no=[PLAIN, other, replace(friend, trust_domain="else.td"), replace(friend, trust_domain="oldXtd")])
    yield case("deny-aliases", ALIASES + deny(source("principals: [old.td/ns/shop/sa/front.end]")), yes=[other],
               no=[friend, old])
    yield case("no-aliases", allow(source(f"principals: [{named}]")), yes=[friend], no=[old])
    here, there = Request(source="127.0.0.9"), Request(source="127.0.1.1")
    yield case("addresses", allow(source('ipBlocks: ["127.0.0.0/24", "127.9.9.9"]')),
               yes=[here, PLAIN, Request(source="127.9.9.9")], no=[there, Request(source="127.9.9.8")])
    yield case("not-addresses", deny(source('notIpBlocks: ["127.0.0.0/24"]')), yes=[here], no=[there])
    forwarded = headed(("x-forwarded-for", "203.0.113.7"))
    yield case("remote-addresses", allow(source('remoteIpBlocks: ["203.0.113.0/24"]')), yes=[forwarded],
               no=[PLAIN, headed(("x-forwarded-for", "198.51.100.1"))])
    yield case("source-is-not-forwarded", allow(source('ipBlocks: ["203.0.113.0/24"]')), no=[forwarded])
    yield case("edge-does-not-believe", allow(source('remoteIpBlocks: ["203.0.113.0/24"]'))
               + policy('{rules: [{from: [{source: {remoteIpBlocks: ["203.0.113.0/24"]}}]}]}', namespace="istio-system"),
               no=[replace(forwarded, port=80)])
    yield case("all-of-a-source", allow(source('namespaces: [shop], notIpBlocks: ["127.0.1.0/24"]')), yes=[friend],
               no=[replace(friend, source="127.0.1.1"), other])
    yield case("one-of-two-sources",
               allow('{from: [{source: {namespaces: [shop]}}, {source: {ipBlocks: ["127.0.1.1"]}}]}'),
               yes=[friend, there], no=[other, PLAIN])
    yield case("source-and-operation", allow('{from: [{source: {namespaces: [shop]}}], to: [{operation: {paths: [/a]}}]}'),
               yes=[caller("shop/a", "/a")], no=[caller("shop/a", "/b"), caller("evil/a", "/a"), "/a"])


def _conditions() -> Iterator[Case]:
    good, evil = headed(("x-role", "admin")), headed(("x-role", "evil"))
    yield case("header", allow(when("request.headers[X-Role]", 'values: [admin, "dev-*", "*-ops"]')),
               yes=[good, headed(("X-ROLE", "admin")), headed(("x-role", "dev-1")), headed(("x-role", "eu-ops"))],
               no=[PLAIN, evil, headed(("x-role", "Admin")), headed(("x-role", "guest"), ("x-role", "admin")),
                   headed(("x-role", "guest, admin")), headed(("x-role", "")), headed(("x-rolex", "admin"))])
    yield case("header-presence", allow(when("request.headers[x-role]", 'values: ["*"]')), yes=[good],
               no=[PLAIN, headed(("x-role", ""))])
    yield case("deny-header", deny(when("request.headers[x-role]", "values: [evil]")),
               yes=[PLAIN, good, headed(("x-role", "evilx"))],
               no=[evil, headed(("X-Role", "evil")), headed(("x-role", "good"), ("x-role", "evil")),
                   headed(("x-role", "evil"), ("x-role", "good")), headed(("x-role", "good, evil")),
                   headed(("x-role", "evil,good")), headed(("x-role", "a ,evil , b")), headed(("x-role", "evil,\xff")),
                   headed(("x-role", "\xffz"), ("x-role", "evil")), headed(("x-role", "  evil  "))])
    yield case("deny-header-prefix", deny(when("request.headers[x-role]", 'values: ["ev*", "*-bad"]')), yes=[good],
               no=[evil, headed(("x-role", "a"), ("x-role", "evil")), headed(("x-role", "a, evx")),
                   headed(("x-role", "x-bad, good"))])
    yield case("not-header", allow(when("request.headers[x-role]", "notValues: [evil]")), yes=[PLAIN, good],
               no=[evil, headed(("x-role", "a"), ("x-role", "evil")), headed(("x-role", "evil, a"))])
    yield case("deny-not-header", deny(when("request.headers[x-role]", "notValues: [admin]")), yes=[good],
               no=[PLAIN, evil, headed(("x-role", "admin"), ("x-role", "evil"))])
    yield case("values-and-not", allow(when("request.headers[x-role]", 'values: ["a*"], notValues: [admin]')),
               yes=[headed(("x-role", "ab"))], no=[good, PLAIN, evil])
    yield case("two-conditions",
               allow('{when: [{key: "request.headers[x-a]", values: ["1"]}, {key: "request.headers[x-b]", values: ["2"]}]}'),
               yes=[headed(("x-a", "1"), ("x-b", "2"))], no=[headed(("x-a", "1")), headed(("x-b", "2"))])
    yield case("authority-header", deny(when("request.headers[:authority]", "values: [api.test]")), yes=[PLAIN],
               no=[at("api.test:80"), at("API.test.")])
    yield case("when-source", allow(when("source.principal", 'values: ["cluster.local/ns/shop/sa/a"]')),
               yes=[caller("shop/a")], no=[caller("shop/b"), PLAIN])
    yield case("when-namespace", deny(when("source.namespace", "notValues: [shop]")), yes=[caller("shop/a")],
               no=[caller("b/a"), PLAIN])
    yield case("when-account", allow(when("source.serviceAccount", "values: [shop/a]")), yes=[caller("shop/a")],
               no=[caller("shop/b"), PLAIN])
    yield case("when-source-ip", allow(when("source.ip", 'values: ["127.0.0.1"]')), yes=[PLAIN, RAW],
               no=[Request(source="127.0.0.2"), Request(source="127.0.0.2", port=9000)])
    yield case("when-remote-ip", deny(when("remote.ip", 'values: ["203.0.113.0/24"]')), yes=[PLAIN],
               no=[headed(("x-forwarded-for", "203.0.113.7"))])
    yield case("when-destination", allow(when("destination.ip", 'values: ["127.0.0.0/8"]')), yes=[PLAIN, RAW])
    yield case("when-not-destination", deny(when("destination.ip", 'notValues: ["10.0.0.0/8"]')), no=[PLAIN, RAW])
    yield case("when-port", allow(when("destination.port", 'values: ["9000"]')), yes=[RAW], no=[PLAIN])
    yield case("when-sni", allow(when("connection.sni", 'values: ["*api.shop.svc.cluster.local"]')),
               yes=[caller("shop/a"), caller("shop/a", port=9000)], no=[PLAIN, RAW])


def _tokens() -> Iterator[Case]:
    anon = PLAIN
    good = bearer(PLAIN, sub="me", azp="web", aud=["a", "b"], groups=["dev", "ops"], realm={"roles": ["admin"]},
                  scope="read write", level=3)
    wrong_key = headed(("authorization", f"Bearer {token({'iss': 'https://issuer.test', 'sub': 'me'}, key='k' * 32)}"))
    stranger = headed(("authorization", f"Bearer {token({'iss': 'https://other.test', 'sub': 'me'})}"))
    expired = bearer(PLAIN, sub="me", exp=1000)
    unsigned = headed(("authorization", "Bearer eyJhbGciOiJub25lIn0.eyJpc3MiOiJodHRwczovL2lzc3Vlci50ZXN0In0."))
    yield case("token-optional", tokens(), yes=[anon, good, RAW],
               no=[wrong_key, stranger, expired, unsigned, headed(("authorization", "Bearer x"))])
    yield case("token-required", tokens() + allow(source('requestPrincipals: ["*"]')),
               yes=[good, bearer(PLAIN, sub="x")], no=[anon, wrong_key, stranger, expired, RAW, bearer(PLAIN)])
    yield case("deny-without-token", tokens() + deny(source('notRequestPrincipals: ["*"]')), yes=[good], no=[anon, RAW])
    yield case("request-principal", tokens() + allow(source('requestPrincipals: ["https://issuer.test/me"]')),
               yes=[good], no=[anon, bearer(PLAIN, sub="you"), bearer(PLAIN, sub="me/x"), wrong_key])
    yield case("slashed-subject", tokens() + allow(source('requestPrincipals: ["https://issuer.test/team/me"]')),
               yes=[bearer(PLAIN, sub="team/me")], no=[bearer(PLAIN, sub="me")])
    yield case("principal-of-issuer", tokens() + allow(source('requestPrincipals: ["https://issuer.test/*"]')),
               yes=[good], no=[anon, stranger])
    yield case("principal-of-subject", tokens() + allow(source('requestPrincipals: ["*/me"]')), yes=[good],
               no=[anon, bearer(PLAIN, sub="you")])
    yield case("when-request-principal", tokens() + allow(when("request.auth.principal", 'values: ["*.test/me"]')),
               yes=[good], no=[anon, bearer(PLAIN, sub="you")])
    yield case("audiences", tokens() + allow(when("request.auth.audiences", "values: [b]")),
               yes=[good, bearer(PLAIN, aud="b")], no=[anon, bearer(PLAIN, aud="c"), bearer(PLAIN)])
    yield case("rule-audiences", tokens("audiences: [a]"), yes=[good, anon], no=[bearer(PLAIN, aud="z"), bearer(PLAIN)])
    yield case("presenter", tokens() + allow(when("request.auth.presenter", "values: [web]")), yes=[good],
               no=[anon, bearer(PLAIN, azp="app")])
    yield case("claim-in-list", tokens() + allow(when("request.auth.claims[groups]", "values: [ops]")),
               yes=[good, bearer(PLAIN, groups="ops")], no=[anon, bearer(PLAIN, groups=["x"])])
    yield case("nested-claim", tokens() + allow(when("request.auth.claims[realm][roles]", 'values: ["adm*"]')),
               yes=[good], no=[anon, bearer(PLAIN, realm={"roles": ["user"]}), bearer(PLAIN, realm="admin")])
    yield case("spaced-claim", tokens() + allow(when("request.auth.claims[scope]", "values: [write]")), yes=[good],
               no=[bearer(PLAIN, scope="writer"), bearer(PLAIN, scope="read")])
    yield case("own-spaced-claim", tokens("spaceDelimitedClaims: [perms]")
               + allow(when("request.auth.claims[perms]", "values: [x]")), yes=[bearer(PLAIN, perms="y x")],
               no=[bearer(PLAIN, perms="y z")])
    yield case("deny-claim", tokens() + deny(when("request.auth.claims[groups]", "values: [dev]")),
               yes=[anon, bearer(PLAIN, groups=["ops"])], no=[good, bearer(PLAIN, groups="dev")])
    yield case("not-claim", tokens() + deny(when("request.auth.claims[groups]", "notValues: [dev]")), yes=[good],
               no=[anon, bearer(PLAIN, groups=["ops"])])
    value = token({"iss": "https://issuer.test", "sub": "me"})
    bad = token({"iss": "https://issuer.test", "sub": "me"}, key="k" * 32)
    needed = allow(source('requestPrincipals: ["*"]'))
    yield case("token-places", tokens("fromHeaders: [{name: x-token, prefix: 'T '}], fromParams: [tk], fromCookies: [ck]")
               + needed,
               yes=[headed(("x-token", f"T {value}")), Request(target=f"/?tk={value}"),
                    headed(("cookie", f"a=b; ck={value}"))],
               no=[headed(("x-token", f"T {bad}")), Request(target=f"/?tk={bad}"), headed(("cookie", f"ck={bad}")),
                   headed(("authorization", f"Bearer {value}"))])
    yield case("default-places", tokens() + needed, yes=[Request(target=f"/?access_token={value}")],
               no=[Request(target=f"/?token={value}"), Request(target=f"/?access_token={bad}")])
    second = tokens(issuer="https://second.test")
    other = headed(("authorization", f"Bearer {token({'iss': 'https://second.test', 'sub': 'me'})}"))
    yield case("two-issuers", tokens() + second + allow(source('requestPrincipals: ["https://second.test/me"]')),
               yes=[other], no=[good, anon, stranger])
    preflight = replace(wrong_key, method="OPTIONS", headers=(*wrong_key.headers, ("origin", "http://x"),
                                                              ("access-control-request-method", "GET")))
    yield case("preflight", tokens() + needed, no=[preflight])


def _together() -> Iterator[Case]:
    yield case("no-policy", "", yes=[PLAIN, RAW, SNIFFED, EDGE, "//a", "/%2F"])
    yield case("allow-nothing", policy("{}"), no=[PLAIN, RAW, SNIFFED])
    yield case("allow-all", policy("{rules: [{}]}"), yes=[PLAIN, RAW, SNIFFED])
    yield case("deny-all", policy("{action: DENY, rules: [{}]}"), no=[PLAIN, RAW])
    yield case("deny-nothing", policy("{action: DENY}"), yes=[PLAIN, RAW])
    yield case("deny-before-allow", allow("{}") + deny(to("paths: [/a]")), yes=["/b"], no=["/a"])
    yield case("two-allows", allow(to("paths: [/a]")) + allow(to("paths: [/b]")), yes=["/a", "/b"], no=["/c"])
    yield case("two-denies", deny(to("paths: [/a]")) + deny(to("paths: [/b]")), yes=["/c"], no=["/a", "/b"])
    yield case("two-rules", allow(to("paths: [/a]"), to("methods: [POST]")), yes=["/a", by("POST", "/x")], no=["/b"])
    own, root = '{selector: {matchLabels: {app: api}}, rules: [%s]}', "istio-system"
    yield case("levels-add-up", policy(own % to("paths: [/own]")) + allow(to("paths: [/namespace]"))
               + policy(f"{{rules: [{to('paths: [/mesh]')}]}}", namespace=root),
               yes=["/own", "/namespace", "/mesh"], no=["/other"])
    yield case("root-denies-for-all", policy(own % "{}")
               + policy(f"{{action: DENY, rules: [{to('paths: [/x]')}]}}", namespace=root), yes=["/"], no=["/x"])
    yield case("root-with-selector", policy("{selector: {matchLabels: {version: v1}}}", namespace=root), no=[PLAIN])
    yield case("other-namespace", policy("{}", namespace="elsewhere"), yes=[PLAIN, RAW, EDGE])
    yield case("other-workload", policy("{selector: {matchLabels: {app: web}}}"), yes=[PLAIN])
    yield case("audit", policy("{action: AUDIT, rules: [{}]}"), yes=[PLAIN, RAW])
    yield case("dry-run-deny", policy("{action: DENY, rules: [{}]}", dry_run="true"), yes=[PLAIN, RAW])
    yield case("dry-run-allow", policy("{}", dry_run="true"), yes=[PLAIN, RAW])
    yield case("dry-run-off", policy("{}", dry_run="false"), no=[PLAIN, RAW])
    yield case("dry-run-beside", policy("{action: DENY, rules: [{}]}", dry_run="true") + allow(to("paths: [/a]")),
               yes=["/a"], no=["/b"])


def _tcp() -> Iterator[Case]:
    yield case("tcp-allow-http", allow(to("methods: [GET]")), yes=[PLAIN], no=[RAW])
    yield case("tcp-deny-http", deny(to("methods: [POST]")), yes=[PLAIN, SNIFFED], no=[RAW, by("POST")])
    yield case("tcp-deny-http-on-port", deny(to('methods: [POST], ports: ["8080"]')), yes=[RAW, PLAIN], no=[by("POST")])
    yield case("tcp-deny-token", tokens() + deny(source('requestPrincipals: ["*"]')), yes=[PLAIN], no=[RAW])
    yield case("tcp-allow-header", allow(when("request.headers[x]", 'values: ["1"]'), to('ports: ["7000"]')),
               yes=[SNIFFED, headed(("x", "1"))], no=[RAW, PLAIN])
    raw = caller("shop/a", port=9000)
    yield case("tcp-principals", allow(source('principals: ["cluster.local/ns/shop/sa/a"]')), yes=[raw],
               no=[RAW, replace(raw, identity="shop/b")])
    yield case("tcp-namespaces", deny(source("notNamespaces: [shop]")), yes=[raw], no=[RAW, replace(raw, identity="b/a")])
    yield case("tcp-addresses", allow(source('ipBlocks: ["127.0.0.1"]')), yes=[RAW], no=[replace(RAW, source="127.0.0.2")])


def _tunnels() -> Iterator[Case]:
    guard = deny(to("paths: [/admin]")) + deny(to("methods: [CONNECT]"))
    second = replace(PLAIN, http2=True)
    yield case("connect", guard, yes=[second, headed(*UPGRADE), replace(second, target="/x")],
               no=[by("CONNECT", "api:80"), by("CONNECT", "/admin"), headed(*UPGRADE, target="/admin"),
                   headed(*UPGRADE, target="/a/../admin"), headed(*WEBSOCKET, target="/admin"),
                   headed(*WEBSOCKET, target="//admin"), replace(second, target="/admin"),
                   replace(second, target="//admin"), replace(second, target="/a/%2e%2e/admin"),
                   replace(second, target="/%2Fadmin"), replace(second, target="/admin?x"),
                   replace(second, target="", method="CONNECT"), Request(target="/admin", http10=True),
                   replace(second, target="/admin", method="CONNECT", headers=((":protocol", "websocket"),)),
                   Request(target="*", method="OPTIONS")])
    yield case("connect-allow", allow(to("methods: [GET], paths: [/ok]")), yes=["/ok", replace(second, target="/ok")],
               no=[by("CONNECT", "api:80"), replace(second, target="", method="CONNECT"), headed(*UPGRADE),
                   replace(second, target="/no")])
    yield case("http2-hosts", deny(to("hosts: [api.test]")), yes=[second],
               no=[replace(second, host=h) for h in ("api.test", "API.TEST", "api.test:80", "api.test.")])
    two = (("x-role", "good"), ("x-role", "evil"))
    yield case("http2-headers", deny(when("request.headers[x-role]", "values: [evil]")), yes=[second],
               no=[replace(second, headers=two), replace(second, headers=two[::-1])])


def _gateway() -> Iterator[Case]:
    chosen = "selector: {matchLabels: {istio: ingressgateway}}"
    ports = 'ports: ["9500"]'
    edge, first = replace(EDGE, target="/a"), to('paths: [/a], ports: ["80"]')
    yield case("gateway", policy(f"{{{chosen}, rules: [{first}]}}", namespace="istio-system"),
               yes=[edge, "/b", "/a"], no=[EDGE, replace(EDGE, target="/a/../b")])
    yield case("gateway-app-label", policy("{selector: {matchLabels: {app: istio-ingressgateway}}}",
               namespace="istio-system"), yes=[PLAIN], no=[EDGE])
    yield case("gateway-own-label", policy("{selector: {matchLabels: {app: meshgate-gateway}}}",
               namespace="meshgate-system"), yes=[PLAIN], no=[EDGE])
    yield case("gateway-and-mesh", policy("{}", namespace="istio-system"), no=[EDGE, PLAIN, RAW])
    yield case("gateway-traps", policy(f"{{{chosen}, action: DENY, rules: [{to('paths: [/admin], hosts: [api.test]')}]}}",
               namespace="istio-system"), yes=[EDGE, replace(EDGE, target="/admin")],
               no=[replace(EDGE, target=t, host="API.test:80") for t in TRAPS[:-3]]
               + [replace(EDGE, target="http://api.test/admin"), replace(EDGE, target="/admin", host="api.test.")])
    yield case("gateway-and-kong", KONG + policy(f"{{{chosen}, action: DENY, rules: [{to('paths: [/admin]')}]}}",
               namespace="istio-system"), yes=[replace(EDGE, host="kong.test")],
               no=[replace(EDGE, host="kong.test", target=t) for t in ("/admin", "//admin", "/a/../admin")])
    web, raw = Request(port=9600), Request(port=9500)
    yield case("gateway-servers-open", SERVERS, yes=[web, raw])
    yield case("gateway-servers", SERVERS + policy(f"{{{chosen}, action: DENY, rules: [{to('paths: [/admin]')}]}}",
               namespace="istio-system"), yes=[web],
               no=[replace(web, target=t) for t in ("/admin", "//admin", "/a/%2e%2e/admin")] + [raw])
    yield case("gateway-servers-ports", SERVERS + policy(f"{{{chosen}, rules: [{to(ports)}]}}", namespace="istio-system"),
               yes=[raw], no=[web, EDGE])
    yield case("gateway-servers-closed", SERVERS + policy("{}", namespace="istio-system"), no=[raw, web, EDGE])
    signed = bearer(EDGE, sub="me")
    needed = source('requestPrincipals: ["*"]')
    yield case("gateway-tokens", tokens(namespace="istio-system", selector="istio: ingressgateway")
               + policy(f"{{{chosen}, rules: [{needed}]}}", namespace="istio-system"), yes=[signed, PLAIN],
               no=[EDGE, replace(EDGE, headers=(("authorization", "Bearer x"),))])


def _closed() -> Iterator[Case]:
    """What cannot be honoured lets nothing in."""
    for name, spec in {
        "custom": "{action: CUSTOM, provider: {name: opa}, rules: [{}]}",
        "unknown-field": "{action: DENY, rulez: []}",
        "unknown-key": '{action: DENY, rules: [{when: [{key: request.method, values: [GET]}]}]}',
        "filter-metadata": "{action: DENY, rules: [{when: [{key: experimental.envoy.filters.x, values: [a]}]}]}",
        "target": "{targetRefs: [{kind: Service, name: api}], action: DENY, rules: [{}]}",
        "strange-target": "{targetRef: {group: x.io, kind: Y, name: z}, action: DENY, rules: [{}]}",
        "bad-address": '{action: DENY, rules: [{from: [{source: {ipBlocks: ["10.0.0"]}}]}]}',
        "bad-port": '{action: DENY, rules: [{to: [{operation: {ports: ["http"]}}]}]}',
        "never-a-path": '{action: DENY, rules: [{to: [{operation: {paths: ["/a//b"]}}]}]}',
        "inner-star": '{action: DENY, rules: [{to: [{operation: {paths: ["/a/*/b"]}}]}]}',
        "bad-template": '{action: DENY, rules: [{to: [{operation: {paths: ["/a{*}/b"]}}]}]}',
        "spiffe": '{action: DENY, rules: [{from: [{source: {principals: ["spiffe://cluster.local/ns/a/sa/b"]}}]}]}',
        "empty-source": "{action: ALLOW, rules: [{from: [{source: {}}]}]}",
        "empty-from": "{action: ALLOW, rules: [{from: []}]}",
        "lower-case-action": "{action: deny, rules: [{}]}",
    }.items():
        yield case(f"closed-{name}", policy(spec), no=[PLAIN, RAW], flawed=True)
    yield case("closed-selected-only", policy("{selector: {matchLabels: {app: web}}, rulez: []}"), yes=[PLAIN, RAW],
               flawed=True)
    yield case("closed-token", tokens("jwksUri: 'ftp://x/y'"), no=[PLAIN, RAW], flawed=True)
    target = "{targetRef: {group: gateway.networking.k8s.io, kind: %s, name: g%s}}"
    yield case("closed-gateway", policy(target % ("GatewayClass", "")), yes=[PLAIN], no=[EDGE], flawed=True)
    yield case("closed-gateway-elsewhere", policy(target % ("Gateway", ", namespace: x")), yes=[PLAIN], no=[EDGE],
               flawed=True)
    yield case("other-gateway", policy(target % ("Gateway", "")), yes=[PLAIN, EDGE])
    yield case("open-audit", policy("{action: AUDIT, rulez: []}"), yes=[PLAIN, RAW], flawed=True)
    yield case("open-dry-run", policy("{action: DENY, rulez: []}", dry_run="true"), yes=[PLAIN], flawed=True)


CASES: tuple[Case, ...] = tuple(
    itertools.chain(
        _paths(), _operations(), _sources(), _conditions(), _tokens(), _together(), _tcp(), _tunnels(), _gateway(),
        _closed(),
    )
)
