"""ExternalAuth before a real Envoy: programs over HTTP and gRPC decide; without an answer nobody gets in."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.authorizers import Authorizer, over_grpc, over_http
from tests.envoy.kong_edge import Answer, Ask, send, telling
from tests.simulate.live import running

pytestmark = pytest.mark.envoy
LIMIT = 64


def _service(name: str, protocol: str = "http") -> dict[str, object]:
    ports = [{"name": "main", "port": 80, "appProtocol": protocol}]
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": ports}}


def _asking(path: str, service: str, protocol: str, **more: object) -> dict[str, object]:
    asked = {"protocol": protocol, "backendRef": {"name": service, "port": 80}, **more}
    return {
        "matches": [{"path": {"type": "PathPrefix", "value": path}}],
        "filters": [{"type": "ExternalAuth", "externalAuth": asked}],
        "backendRefs": [{"name": "shop", "port": 80}],
    }


def _manifests() -> list[dict[str, object]]:
    body = {"maxSize": LIMIT}
    own = _asking("/own", "web", "HTTP")
    own["backendRefs"] = [{"name": "shop", "port": 80, "filters": own.pop("filters")}]
    away = _asking("/away", "web", "HTTP")
    del away["backendRefs"]
    away["filters"] += [{"type": "RequestRedirect", "requestRedirect": {"hostname": "b.example"}}]  # type: ignore[operator]
    both = _asking("/both", "web", "HTTP")
    both["filters"] += _asking("/both", "rpc", "GRPC")["filters"]  # type: ignore[operator]
    rules = [
        _asking("/http", "web", "HTTP", http={"allowedHeaders": ["X-Let"]}),
        _asking("/none", "web", "HTTP"),
        _asking(
            "/some",
            "web",
            "HTTP",
            http={"path": "/check", "allowedHeaders": ["x-let"], "allowedResponseHeaders": ["X-User"]},
            forwardBody=body,
        ),
        _asking("/rpc", "rpc", "GRPC", forwardBody=body),
        _asking("/few", "rpc", "GRPC", grpc={"allowedHeaders": ["X-Let"]}),
        _asking("/dead-http", "dead", "HTTP"),
        _asking("/dead-grpc", "dead-rpc", "GRPC"),
        _asking("/unknown", "absent", "HTTP"),
        _asking("/wrong", "web", "GRPC"),
        own,
        away,
        both,
        {"matches": [{"path": {"type": "PathPrefix", "value": "/open"}}],
         "backendRefs": [{"name": "shop", "port": 80}]},
    ]  # fmt: skip
    group = "gateway.networking.k8s.io/v1"
    gateway = {
        "gatewayClassName": "meshgate",
        "listeners": [{"name": "http", "port": 80, "protocol": "HTTP"}],
    }
    route = {"parentRefs": [{"name": "front"}], "rules": rules}
    return [
        _service("shop"),
        _service("web"),
        _service("rpc", "grpc"),
        _service("dead"),
        _service("dead-rpc", "grpc"),
        {"apiVersion": group, "kind": "Gateway", "metadata": {"name": "front"}, "spec": gateway},
        {"apiVersion": group, "kind": "HTTPRoute", "metadata": {"name": "shop"}, "spec": route},
    ]


IN = (("x-let", "in"), ("authorization", "Bearer mine"), ("x-other", "1"), ("cookie", "a=b"))
ASKS = {
    "http in": Ask("/http/a?b=c", headers=IN),
    "http out": Ask("/http", headers=(("x-let", "out"),)),
    "http fails": Ask("/http", headers=(("x-let", "fail"),)),
    "none": Ask("/none", headers=IN),
    "some in": Ask("/some/x", "POST", headers=(*IN, ("x-secret", "mine")), body=b"hello"),
    "some long": Ask("/some", "POST", headers=IN, body=b"h" * (LIMIT + 1)),
    "rpc in": Ask("/rpc/a", "POST", headers=IN, body=b"hello"),
    "rpc long": Ask("/rpc", "POST", headers=IN, body=b"h" * (LIMIT + 1)),
    "rpc out": Ask("/rpc"),
    "rpc fails": Ask("/rpc", headers=(("x-let", "fail"),)),
    "few": Ask("/few", headers=IN),
    "dead http": Ask("/dead-http", headers=IN),
    "dead grpc": Ask("/dead-grpc", headers=IN),
    "unknown": Ask("/unknown", headers=IN),
    "wrong": Ask("/wrong", headers=IN),
    "own": Ask("/own", headers=IN),
    "away": Ask("/away"),
    "both": Ask("/both", headers=IN),
    "open": Ask("/open"),
}


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Answer], Authorizer, Authorizer]:
    """All answers, and what the two authorizers were asked."""
    items = json.dumps({"apiVersion": "v1", "kind": "List", "items": _manifests()})
    documents, problems = read_texts({"in.yaml": items})
    built = build(documents)
    assert not [d for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    config = self_contained(Reader(stand_in(built.model)), gateway_proxy())
    name = next(s.name for s in config.static_resources.listeners if s.name.endswith(".80"))

    async def answers(ports: dict[str, tuple[int]]) -> dict[str, Answer]:
        folder = tmp_path_factory.mktemp("external-auth")
        async with running(config, name, folder, telling, ports=ports) as port:
            return {key: await send(port, ask) for key, ask in ASKS.items()}

    with over_http() as web, over_grpc() as rpc, socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        dead = closed.getsockname()[1]
        ports = {"web": web.port, "rpc": rpc.port, "dead": dead, "dead-rpc": dead}
        named = {f"outbound|80||{n}.default.svc.cluster.local": (p,) for n, p in ports.items()}
        return asyncio.run(answers(named)), web, rpc


Told = tuple[dict[str, Answer], Authorizer, Authorizer]


def test_statuses(told: Told) -> None:
    """200 lets in; any other answer is the client's; none at all is 503, and nobody to ask 500."""
    found = {key: answer.status for key, answer in told[0].items()}
    assert found == {
        "http in": 200, "http out": 418, "http fails": 503, "none": 418,
        "some in": 200, "some long": 413, "rpc in": 200, "rpc long": 413, "rpc out": 418, "rpc fails": 503,
        "few": 200, "dead http": 503, "dead grpc": 503, "unknown": 500, "wrong": 500,
        "own": 418, "away": 418, "both": 418, "open": 200,
    }  # fmt: skip


def test_what_is_shown_over_http(told: Told) -> None:
    """Host, method, path, length and Authorization, and what else is asked for; the body up to its limit."""
    answers, web, _ = told
    first = next(asked for asked in web.asked if asked.path == "/http/a?b=c")
    assert (first.headers["x-let"], first.headers["authorization"]) == ("in", "Bearer mine")
    assert (first.headers["host"], first.headers["content-length"]) == ("shop.example", "0")
    assert not {"x-other", "cookie"} & set(first.headers)
    none = next(asked for asked in web.asked if asked.path == "/none")
    assert "x-let" not in none.headers
    body = next(asked for asked in web.asked if asked.path == "/check/some/x")
    assert (body.body, body.headers["content-length"]) == ("hello", "5")
    refused = answers["http out"]
    assert (refused.body, refused.header("content-type")) == ("<p>no</p>", "text/html")
    assert refused.header("x-reason") == "anna"


def test_what_backends_get(told: Told) -> None:
    """All headers of an HTTP answer but those of its own body, or the ones that are named."""
    answers, _, _ = told
    everything = answers["http in"].seen
    assert everything.headers["x-user"] == ["anna"]
    assert everything.headers["authorization"] == ["Bearer made-by-the-authorizer"]
    assert everything.headers["x-other"] == ["1"]
    assert everything.headers["host"] == ["shop.example"]
    named = answers["some in"].seen
    assert named.headers["x-user"] == ["anna"]
    assert named.headers["authorization"] == ["Bearer mine"]
    assert named.headers["x-secret"] == ["mine"]
    assert (named.body, named.headers["content-length"]) == ("hello", ["5"])


def test_what_is_shown_by_grpc(told: Told) -> None:
    answers, _, rpc = told
    first = next(asked for asked in rpc.asked if asked.path == "/rpc/a")
    assert (first.headers["x-other"], first.body) == ("1", "hello")
    assert answers["rpc in"].seen.headers["x-user"] == ["anna"]
    assert answers["rpc in"].seen.body == "hello"
    few = next(asked for asked in rpc.asked if asked.path == "/few")
    assert set(few.headers) == {"x-let"}
    assert few.body == ""


def test_routes_without_it_ask_nobody(told: Told) -> None:
    _, web, rpc = told
    assert not [asked for asked in (*web.asked, *rpc.asked) if asked.path.startswith("/open")]
