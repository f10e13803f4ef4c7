"""CUSTOM policies before a real Envoy, decided by programs that it asks over HTTP and by gRPC."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests.envoy.authorizers import Authorizer, over_grpc, over_http
from tests.envoy.decision_cases import allow, case, deny, policy, source, to, tokens
from tests.envoy.decisions import Case, Echo, Mesh, Reply, Request, bearer, running

pytestmark = pytest.mark.envoy

SERVICES = """\
---
apiVersion: v1
kind: Service
metadata: {name: web-authz, namespace: shop}
spec: {ports: [{name: http, port: 8000}]}
---
apiVersion: v1
kind: Service
metadata: {name: grpc-authz, namespace: shop}
spec: {ports: [{name: grpc, port: 9191}]}
---
apiVersion: v1
kind: Service
metadata: {name: dead-authz, namespace: shop}
spec: {ports: [{name: http, port: 8000}, {name: grpc, port: 9191}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: istio, namespace: istio-system}
data:
  mesh: |
    extensionProviders:
    - name: web
      envoyExtAuthzHttp:
        service: web-authz.shop.svc.cluster.local
        port: 8000
        timeout: 5s
        pathPrefix: /check
        includeRequestHeadersInCheck: [x-let, "x-own-*"]
        includeAdditionalHeadersInCheck: {x-mesh: shop}
        headersToUpstreamOnAllow: [x-user, authorization]
        headersToDownstreamOnDeny: [x-reason]
        headersToDownstreamOnAllow: [x-user]
    - name: rpc
      envoyExtAuthzGrpc:
        service: shop/grpc-authz.shop.svc.cluster.local
        port: 9191
        timeout: 5s
        statusOnError: "503"
        includeRequestBodyInCheck: {maxRequestBytes: 1024}
    - name: dead
      envoyExtAuthzHttp: {service: dead-authz.shop.svc.cluster.local, port: 8000, timeout: 1s}
    - name: dead-rpc
      envoyExtAuthzGrpc: {service: dead-authz.shop.svc.cluster.local, port: 9191, timeout: 1s}
    - name: dead-open
      envoyExtAuthzHttp: {service: dead-authz.shop.svc.cluster.local, port: 8000, timeout: 1s, failOpen: true}
    - {name: prometheus, prometheus: {}}
    - name: nowhere
      envoyExtAuthzGrpc: {service: nowhere.shop.svc.cluster.local, port: 9191}
"""


def custom(provider: str, *rules: str, namespace: str = "shop") -> str:
    listed = ", ".join(rules)
    return policy(
        f"{{action: CUSTOM, provider: {{name: {provider}}}, rules: [{listed}]}}", namespace=namespace
    )


def asking(name: str, policies: str, *, flawed: bool = False) -> Case:
    return case(name, SERVICES + policies, flawed=flawed)


PATHS = to('paths: ["/ask*"]')
GATEWAY = "istio-system"
CASES = (
    asking("web", custom("web", PATHS)),
    asking("rpc", custom("rpc", PATHS)),
    asking("edge", custom("web", PATHS, namespace=GATEWAY)),
    asking("both", custom("web", PATHS) + custom("rpc", to("methods: [POST]"))),
    asking("then-deny", custom("web", PATHS) + deny(to('paths: ["/ask/never"]'))),
    asking("then-allow", custom("web", PATHS) + allow(to('paths: ["/ask/some", /open]'))),
    asking("everything", custom("rpc", "{}")),
    asking("identity", custom("rpc", source('notPrincipals: ["cluster.local/ns/shop/sa/good"]'))),
    asking("dead", custom("dead", PATHS)),
    asking("dead-rpc", custom("dead-rpc", PATHS)),
    asking("dead-open", custom("dead-open", PATHS)),
    asking("by-port", custom("web", to('ports: ["9000"]'))),
    asking("brings-token", custom("web", PATHS) + tokens() + allow(source('requestPrincipals: ["*"]'))),
    asking(
        "tried-only",
        custom("web", PATHS).replace(
            "namespace: shop}", DRY := 'namespace: shop, annotations: {istio.io/dry-run: "true"}}'
        ),
    ),
    *(
        asking(name, policies, flawed=True)
        for name, policies in {
            "unknown": custom("nobody", PATHS),
            "no-authorizer": custom("prometheus", PATHS),
            "no-service": custom("nowhere", PATHS),
            "no-name": policy("{action: CUSTOM, rules: [{}]}"),
            "needs-token": custom("web", source('requestPrincipals: ["*"]')),
        }.items()
    ),
)
"""By name; who is asked about what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    mesh: Mesh
    web: Authorizer
    rpc: Authorizer

    def ask(self, name: str, target: str, let: str = "", **more: object) -> Reply:
        headers = (("x-let", let),) if let else ()
        request = replace(Request(target=target, headers=headers), **more)  # type: ignore[arg-type]
        return self.mesh.ask(case(name, ""), request)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    folder: Path = tmp_path_factory.mktemp("envoy")
    app = Echo()
    with over_http() as web, over_grpc() as rpc, socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # nobody listens there
        others = {
            "web-authz.shop.svc.cluster.local": web.port,
            "grpc-authz.shop.svc.cluster.local": rpc.port,
            "dead-authz.shop.svc.cluster.local": int(held.getsockname()[1]),
        }
        with running(CASES, folder, app, others) as mesh:
            yield World(mesh=mesh, web=web, rpc=rpc)
    app.close()


@pytest.mark.parametrize("name", ["web", "rpc"])
def test_whom_the_rules_take_is_asked_about(world: World, name: str) -> None:
    asked = (world.web if name == "web" else world.rpc).asked
    before = len(asked)
    assert world.ask(name, "/open").reached
    assert len(asked) == before
    assert world.ask(name, "/ask", "in").reached
    assert world.ask(name, "/ask", "out").status == 418
    assert world.ask(name, "/ask").status == 418
    assert len(asked) == before + 3


TRAPS = (
    "//ask",
    "/a/../ask",
    "/%61sk",
    "/a/%2e%2e/ask",
    "/%2Fask",
    "/x\\..\\ask",
    "/x/..%5Cask",
    "/ask%3F",
    "/ask;x=1",
)


@pytest.mark.parametrize("name", ["web", "rpc"])
@pytest.mark.parametrize("target", TRAPS)
def test_spelling_is_no_way_past_it(world: World, name: str, target: str) -> None:
    assert not world.ask(name, target).reached


def test_the_gateway_asks_too(world: World) -> None:
    assert world.ask("edge", "/open", port=80).reached
    assert world.ask("edge", "/ask", "in", port=80).reached
    assert world.ask("edge", "/ask", port=80).status == 418


def test_what_is_told_over_http(world: World) -> None:
    headers = (
        ("x-let", "in"),
        ("x-own-id", "7"),
        ("x-other", "no"),
        ("x-user", "root"),
        ("x-secret", "mine"),
    )
    reply = world.ask("web", "/ask/me?a=b", headers=headers)
    told = world.web.asked[-1]
    assert told.path == "/check/ask/me?a=b"
    assert (told.headers["x-own-id"], told.headers["x-mesh"]) == ("7", "shop")
    assert not {"x-other", "x-user"} & told.headers.keys()
    assert reply.received("x-user") == ["anna"]
    assert reply.received("x-secret") == ["mine"]  # not the authorizer's: nobody asked for it
    assert reply.headers["x-user"] == "anna"
    assert "x-reason" not in reply.headers
    refused = world.ask("web", "/ask")
    assert (refused.headers["x-reason"], refused.headers.get("x-user")) == ("anna", None)


def test_what_is_told_by_grpc(world: World) -> None:
    reply = world.ask("rpc", "/ask/me", "in", identity="shop/good")
    told = world.rpc.asked[-1]
    assert (told.path, told.principal) == ("/ask/me", "spiffe://cluster.local/ns/shop/sa/good")
    assert reply.received("x-user") == ["anna"]


def test_each_of_several_providers_must_let_in(world: World) -> None:
    assert world.ask("both", "/ask", "in", method="POST").reached
    before = len(world.rpc.asked)
    assert world.ask("both", "/open", "out", method="POST").status == 418
    assert world.ask("both", "/ask", "out").status == 418
    assert len(world.rpc.asked) == before + 1


def test_then_deny_and_allow_decide(world: World) -> None:
    assert world.ask("then-deny", "/ask/never", "in").status == 403
    assert world.ask("then-deny", "/ask/ever", "in").reached
    assert world.ask("then-allow", "/ask/some", "in").reached
    assert world.ask("then-allow", "/ask/other", "in").status == 403
    assert world.ask("then-allow", "/ask/some").status == 418
    assert world.ask("then-allow", "/open").reached
    assert world.ask("then-allow", "/else").status == 403


def test_an_authorizer_may_bring_the_token(world: World) -> None:
    # Tokens are read behind it, so this one is seen, and refused, for nobody signed it.
    assert world.ask("brings-token", "/ask", "in").status == 401
    request = bearer(Request(target="/open"), sub="me")
    assert world.mesh.ask(case("brings-token", ""), request).reached


def test_rules_about_identities(world: World) -> None:
    assert world.ask("identity", "/", identity="shop/good").reached
    assert world.ask("identity", "/", identity="shop/bad").status == 418
    assert world.ask("identity", "/").status == 418


@pytest.mark.parametrize(("name", "status"), [("dead", 403), ("dead-rpc", 403)])
def test_without_an_answer_nobody_passes(world: World, name: str, status: int) -> None:
    assert world.ask(name, "/ask", "in").status == status
    assert world.ask(name, "/open").reached


def test_the_status_on_error(world: World) -> None:
    assert world.ask("rpc", "/ask", "fail").status == 503


def test_fail_open_is_what_it_says(world: World) -> None:
    assert world.ask("dead-open", "/ask").reached


@pytest.mark.parametrize("name", ["unknown", "no-authorizer", "no-service", "no-name", "needs-token"])
@pytest.mark.parametrize("port", [8080, 9000, 7000])
def test_a_provider_that_cannot_be_had_closes(world: World, name: str, port: int) -> None:
    assert not world.ask(name, "/open", "in", port=port).reached


def test_dry_run_is_not_for_custom(world: World) -> None:
    assert world.ask("tried-only", "/ask").status == 418


def test_connections_are_asked_about_by_grpc(world: World) -> None:
    world.rpc.connections = True
    assert world.ask("everything", "", port=9000, identity="shop/good").reached
    assert world.rpc.asked[-1].principal == "spiffe://cluster.local/ns/shop/sa/good"
    world.rpc.connections = False
    assert not world.ask("everything", "", port=9000, identity="shop/good").reached
    assert world.ask("everything", "/", port=7000).status == 418


def test_connections_cannot_be_asked_about_over_http(world: World) -> None:
    assert not world.ask("by-port", "", port=9000).reached
    assert world.ask("by-port", "/", port=8080).reached
