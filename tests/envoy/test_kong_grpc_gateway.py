"""Kong's `grpc-gateway` on a real Envoy in front of a real gRPC server."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import grpc
import pytest

from meshgate.sources.protos import compile_file
from tests.envoy import shop_grpc
from tests.envoy.grpc_edge import asked, described, edge
from tests.envoy.kong_edge import Answer, Ask, consumer, plugin, route

pytestmark = pytest.mark.envoy
PROTO = f"{{proto: {shop_grpc.PROTOS}/shop.proto}}"
JSON = (("Content-Type", "application/json"),)
KONGS_STATUSES = {
    1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 500,
    13: 500, 14: 503, 15: 500, 16: 401,
}  # fmt: skip
EMPTY = {
    "id": "", "item_count": "0", "kind": "UNKNOWN", "tags": [], "picture": "", "in_stock": False, "shelf": "",
}  # fmt: skip


def annotated(
    name: str, annotations: Mapping[str, str], config: str = "{}", kind: str = "grpc-gateway"
) -> str:
    """A KongPlugin with annotations."""
    return plugin(name, kind, config).replace(
        f"metadata: {{name: {name}}}",
        f"metadata: {{name: {name}, annotations: {json.dumps(dict(annotations))}}}",
    )


def at(path: str, *plugins: str, service: str = "shop") -> str:
    """An Ingress for that path."""
    name = path.strip("/").replace("/", "-").replace(".", "-").lower() or "root"
    return (
        route(name, *plugins)
        .replace(f"path: /{name},", f"path: {path},")
        .replace("service: {name: shop", f"service: {{name: {service}")
    )


MANIFESTS = plugin("gw", "grpc-gateway", PROTO) + at("/v1", "gw") + at("/shop.v1.Shop", "gw")


def body(answer: Answer) -> Any:
    """The JSON of an answer that says it is some."""
    assert answer.header("content-type") == "application/json", answer
    return json.loads(answer.body)


def test_requests_and_answers(tmp_path: Path) -> None:
    requests = [
        Ask("/v1/items/7", headers=(("X-Who", "me"),)),
        Ask("/v1/items/7?tags=a&tags=b%20c&range.first=3&verbose=true&nobody.knows=1"),
        Ask("/v1/shelves/top/items/7"),
        Ask("/v1/items", "POST", JSON, b'{"id": "a", "item_count": "9007199254740993", "kind": "BOOK"}'),
        Ask(
            "/v1/items",
            "POST",
            JSON,
            b'{"itemCount": 5, "kind": 1, "nobody": {"knows": 1}, "picture": "aGk="}',
        ),
        Ask("/v1/items", "POST", JSON),
        Ask("/v1/items/9", "PATCH", JSON, b'{"in_stock": true, "id": "not this"}'),
        Ask("/v1/items", "POST", JSON, b'{"id": "%s"}' % (b"a" * 200_000)),
    ]
    got, query, bound, posted, camel, empty, changed, long = asked(MANIFESTS, requests, tmp_path)
    assert got.status == 200
    assert body(got) == EMPTY | {"id": "7", "tags": ["0"]}
    assert (got.header("x-method"), got.header("x-asked-by")) == ("Get", "me")
    assert got.header("access-control-allow-origin") == "*"
    assert got.header("content-length") == str(len(got.body))
    assert body(query) == EMPTY | {"id": "7", "tags": ["a", "b c", "3"], "item_count": str(2**53 + 1)}
    assert body(bound)["shelf"] == "top"
    assert body(posted) == EMPTY | {"id": "a", "item_count": str(2**53 + 1), "kind": "BOOK"}
    assert body(camel) == EMPTY | {"item_count": "5", "kind": "BOOK", "picture": "aGk="}
    assert body(empty) == EMPTY
    assert body(changed) == EMPTY | {"id": "9", "in_stock": True}
    assert len(body(long)["id"]) == 200_000


def test_errors_of_the_service(tmp_path: Path) -> None:
    requests = [Ask(f"/v1/fail/{code}") for code in KONGS_STATUSES]
    answers = asked(MANIFESTS, [*requests, Ask("/v1/fail/5?with_details=true")], tmp_path)
    assert [a.status for a in answers[:-1]] == list(KONGS_STATUSES.values())
    for code, answer in zip(KONGS_STATUSES, answers, strict=False):
        assert body(answer) == {"code": code, "message": f"no {code}: é 100%", "details": []}
        assert answer.header("access-control-allow-origin") == "*"
    assert body(answers[-1])["details"] == [
        {
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "SOLD_OUT",
            "domain": "shop.example",
            "metadata": {},
        }
    ]


def test_what_is_no_call(tmp_path: Path) -> None:
    more = (
        plugin("key", "key-auth", "{}")
        + at("/v1/items/guarded", "gw", "key")
        + at("/v1/sum", "gw", service="gone")
    )
    requests = [
        Ask("/v1/nope"),
        Ask("/v1/items/7", "DELETE"),
        Ask("/v1/items", "POST", JSON, b'{"id":'),
        Ask("/v1/items", "POST", JSON, b"[1]"),
        Ask("/v1/items", "POST", JSON, b'{"item_count": "x"}'),
        Ask("/shop.v1.Shop/Plain", "POST", JSON, b"{}"),
        Ask("/v1/items", "POST", JSON, b'{"id": "%s"}' % (b"a" * (5 << 20))),
        Ask("/v1/items/guarded"),
        Ask("/v1/sum", "POST", JSON, b"[]"),
    ]
    *wrong, long, guarded, gone = asked(MANIFESTS + more, requests, tmp_path)
    for answer in wrong:
        assert (answer.status, body(answer)["code"], body(answer)["details"]) == (400, 3, [])
        assert answer.header("access-control-allow-origin") == "*"
    assert body(wrong[0])["message"] == "Could not resolve /v1/nope to a method."
    assert "TYPE_INT64" in body(wrong[4])["message"]
    assert (long.status, body(long)["code"]) == (429, 8)  # says the service itself
    assert (guarded.status, guarded.message) == (401, "Unauthorized")
    assert gone.status == 503
    assert "remote connection failure" in gone.message


def test_preflight(tmp_path: Path) -> None:
    (answer,) = asked(MANIFESTS, [Ask("/v1/items", "OPTIONS")], tmp_path)
    assert (answer.status, answer.body, answer.header("content-type")) == (200, "OK", "application/json")
    assert answer.header("access-control-allow-origin") == "*"
    assert answer.header("access-control-allow-methods") == "GET,POST,PATCH,DELETE"
    assert answer.header("access-control-allow-headers") == "content-type"


def test_streams(tmp_path: Path) -> None:
    lines = annotated("lines", {"meshgate.dev/grpc-json": "newline-delimited, without-defaults"}, PROTO)
    requests = [
        Ask("/v1/watch/3"),
        Ask("/v1/watch/0"),
        Ask("/v1/watch/0?fail_with=8"),
        Ask("/v1/sum", "POST", JSON, b'[{"item_count": 1}, {"item_count": 2}]'),
        Ask("/v1/echo", "POST", JSON, b'[{"id": "a"}, {"id": "b"}]'),
    ]
    manifests = MANIFESTS + lines + at("/v1/watch/4", "lines")
    three, none, failed, total, echoed, by_line = asked(manifests, [*requests, Ask("/v1/watch/4")], tmp_path)
    assert [item["id"] for item in body(three)] == ["0", "1", "2"]
    assert body(none) == []
    assert (failed.status, body(failed)) == (429, {"code": 8, "message": "no more", "details": []})
    assert body(total) == {"total_count": "3"}
    assert [item["id"] for item in body(echoed)] == ["a", "b"]
    assert [json.loads(line) for line in by_line.body.splitlines()] == [{"id": str(n)} for n in range(4)]


def test_options_and_config_maps(tmp_path: Path) -> None:
    words = "every-method, without-defaults, enums-as-numbers, json-names, refuse-unknown-query"
    texts = {
        "shop.proto": (shop_grpc.PROTOS / "shop.proto").read_text().replace("common/item", "item"),
        "item.proto": (shop_grpc.PROTOS / "common/item.proto").read_text(),
    }
    compiled = base64.b64encode(compile_file("shop.proto", str(shop_grpc.PROTOS)).content).decode()
    manifests = (
        f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: texts}}\ndata: {json.dumps(texts)}\n"
        "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: set}\n"
        f"binaryData: {{shop.pb: {compiled}}}\n"
        + annotated("texts", {"meshgate.dev/proto-configmap": "texts:shop.proto"})
        + annotated("set", {"meshgate.dev/proto-configmap": "set", "meshgate.dev/grpc-json": words})
        + at("/v1", "texts")
        + at("/shop.v1.Shop", "set")
    )
    assert described(manifests) == ()
    filled = b'{"id": "7", "range": {"shelf": "top"}, "verbose": true}'
    requests = [
        Ask("/v1/items/7"),
        Ask("/shop.v1.Shop/Plain", "POST", JSON, filled),
        Ask("/shop.v1.Shop/Create", "POST", JSON, b'{"kind": "BOOK", "in_stock": true}'),
        Ask("/shop.v1.Shop/Plain?nope=1", "POST", JSON, b"{}"),
    ]
    got, plain, created, unknown = asked(manifests, requests, tmp_path)
    assert body(got)["id"] == "7"
    assert body(plain) == {"id": "7", "shelf": "top", "itemCount": str(2**53 + 1), "tags": ["0"]}
    assert body(created) == {"kind": 1, "inStock": True}
    assert (unknown.status, body(unknown)["code"]) == (400, 3)


def test_grpc_clients_pass(tmp_path: Path) -> None:
    async def call() -> tuple[str, str]:
        async with (
            edge(MANIFESTS, tmp_path) as port,
            grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel,
        ):
            get = channel.unary_unary(
                "/shop.v1.Shop/Get",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=shop_grpc.kind("Item").FromString,
            )
            item = await get(shop_grpc.kind("GetRequest")(id="7"))
            fail = channel.unary_unary(
                "/shop.v1.Shop/Fail",
                request_serializer=lambda message: message.SerializeToString(),
                response_deserializer=bytes,
            )
            with pytest.raises(grpc.aio.AioRpcError) as failed:
                await fail(shop_grpc.kind("FailRequest")(code=12))
            return item.id, failed.value.code().name

    assert asyncio.run(call()) == ("7", "UNIMPLEMENTED")


def test_a_description_that_cannot_be_had_closes_its_own_routes(tmp_path: Path) -> None:
    (tmp_path / "wrong.proto").write_text('syntax = "proto3";\nmessage A {\n  strin id = 1;\n}\n')
    manifests = (
        MANIFESTS
        + plugin("wrong", "grpc-gateway", f"{{proto: {tmp_path}/wrong.proto}}")
        + plugin("lost", "grpc-gateway", f"{{proto: {tmp_path}/lost.proto}}")
        + annotated("map", {"meshgate.dev/proto-configmap": "nowhere"})
        + at("/wrong", "wrong")
        + at("/lost", "lost")
        + at("/map", "map")
    )
    said = {str(d.object): d for d in described(manifests)}
    assert {d.code for d in said.values()} == {"MG3113"}
    assert 'wrong.proto:3:3: "strin" is not defined.' in said["KongPlugin default/wrong"].message
    assert said["KongPlugin default/wrong"].origin.file == "in.yaml"
    assert f"{tmp_path}/lost.proto: there is no such file" in said["KongPlugin default/lost"].message
    assert "there is no ConfigMap default/nowhere" in said["KongPlugin default/map"].message
    *closed, works = asked(
        manifests, [*map(Ask, ("/wrong", "/lost", "/map/x")), Ask("/v1/items/7")], tmp_path
    )
    assert [a.status for a in closed] == [503, 503, 503]
    assert works.status == 200


def test_grpc_web_in_json(tmp_path: Path) -> None:
    kind = "application/grpc-web-text"
    web = (("Content-Type", kind), ("Accept", kind), ("X-Grpc-Web", "1"))
    manifests = plugin("web", "grpc-web", PROTO) + at("/shop.v1.Shop", "web")
    frame = bytes((0, 0, 0, 0, 3)) + b"\x0a\x017"
    requests = [
        Ask("/shop.v1.Shop/Get", "POST", JSON, b'{"id": "7"}'),
        Ask("/shop.v1.Shop/Get", "POST", web, base64.b64encode(frame)),
        Ask("/shop.v1.Shop/Nope", "POST", JSON, b"{}"),
    ]
    as_json, framed, unknown = asked(manifests, requests, tmp_path)
    assert body(as_json)["id"] == "7"
    assert as_json.header("access-control-allow-origin") == "*"
    assert framed.header("content-type") == "application/grpc-web-text+proto"
    message, trailers = (base64.b64decode(part) for part in (framed.body[:16], framed.body[16:]))
    assert message == b'\0\0\0\0\x06\n\x017"\x010'
    assert b"grpc-status:0\r\n" in trailers
    assert (unknown.status, body(unknown)["code"]) == (400, 3)


def test_consumers_with_plugins_of_their_own(tmp_path: Path) -> None:
    """A variant of the route makes gRPC too."""
    own = plugin("own", "response-transformer", "{add: {headers: ['x-own:yes']}}")
    anna = consumer("anna", {"anna-key": ("key-auth", {"key": "k-anna"})}).replace(
        "annotations: {", "annotations: {konghq.com/plugins: own, "
    )
    manifests = plugin("gw", "grpc-gateway", PROTO) + plugin("key", "key-auth", "{}") + own + anna
    requests = [Ask("/v1/items/7", headers=(("apikey", "k-anna"),)), Ask("/v1/items/7")]
    hers, nobodys = asked(manifests + at("/v1", "gw", "key"), requests, tmp_path)
    assert (body(hers)["id"], hers.header("x-own")) == ("7", "yes")
    assert nobodys.status == 401


def test_for_one_consumer(tmp_path: Path) -> None:
    """Her requests become gRPC on a route where nobody else's do."""
    anna = consumer("anna", {"anna-key": ("key-auth", {"key": "k-anna"})}).replace(
        "annotations: {", "annotations: {konghq.com/plugins: gw, "
    )
    bob = consumer("bob", {"bob-key": ("key-auth", {"key": "k-bob"})})
    manifests = plugin("gw", "grpc-gateway", PROTO) + plugin("key", "key-auth", "{}") + anna + bob
    requests = [
        Ask("/v1/items/7", headers=(("apikey", "k-anna"),)),
        Ask("/v1/items/7", headers=(("apikey", "k-bob"),)),
        Ask("/v1/items/7"),
    ]
    hers, his, nobodys = asked(manifests + at("/v1", "key"), requests, tmp_path)
    assert (hers.status, body(hers)["id"], hers.header("access-control-allow-origin")) == (200, "7", "*")
    # A gRPC server takes nothing that is no gRPC: it ends the stream.
    assert his.status == 503
    assert his.header("access-control-allow-origin") is None
    assert nobodys.status == 401
