"""GRPCRoutes: real gRPC clients and servers, at Gateways and inside the mesh."""

from __future__ import annotations

import contextlib
import json
from collections import Counter
from collections.abc import Iterator
from functools import partial
from typing import Any

import grpc
import pytest

from tests.e2e.gateway_api.api import (
    MESH,
    Api,
    Object,
    conditions,
    eventually,
    gateway,
    listener,
    obj,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import authorities

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
CLIENT = """
import collections, json, os, sys, grpc
port = os.environ["MESH_GRPC_SERVICE_PORT_GRPC"]
options = (("grpc.enable_http_proxy", 0), ("grpc.default_authority", "mesh-grpc.mesh:50051"))
found = []
with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
    for method, metadata in json.loads(sys.argv[1]):
        call = channel.unary_unary(method, request_serializer=bytes, response_deserializer=json.loads)
        try:
            found.append(call(b"", timeout=10, metadata=tuple(metadata.items())))
        except grpc.RpcError as error:
            found.append({"pod": error.code().name})
print(json.dumps(found))
"""


def method(kind: str = "", **parts: str) -> Object:
    """A match by service or method."""
    return {"method": {**({"type": kind} if kind else {}), **parts}}


def grpc_to(name: str, weight: int | None = None, port: int = 50051, **more: object) -> Object:
    """A backendRef to a gRPC port."""
    return to(name, weight, port=port, **more)


class Calls:
    """Calls at one listener; the host is the authority."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def ask(self, path: str, **metadata: str) -> dict[str, Any]:
        """What the backend tells."""
        call = self._channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
        sent = tuple((name.replace("_", "-"), value) for name, value in metadata.items())
        found: dict[str, Any] = json.loads(call(b"", timeout=15, metadata=sent))
        return found

    def pod(self, path: str, **metadata: str) -> str:
        """Which pod answered, or the status."""
        try:
            return str(self.ask(path, **metadata)["pod"])
        except grpc.RpcError as error:
            code: grpc.StatusCode = error.code()
            return code.name


@contextlib.contextmanager
def calling(api: Api, gateway: str, listener: str = "http", host: str = "any.test") -> Iterator[Calls]:
    """A connection to a listener."""
    address, port = api.place(gateway, listener)
    options = (("grpc.default_authority", host),)
    with grpc.insecure_channel(f"{address}:{port}", options=options) as channel:
        yield Calls(channel)


def test_methods_headers_names_and_filters(api: Api) -> None:
    exact_header = {"headers": [{"type": "Exact", "name": "version", "value": "two"}]}
    regex_header = {"headers": [{"type": "RegularExpression", "name": "color", "value": "bl.*"}]}
    both = {"headers": [{"name": "version", "value": "two"}, {"name": "color", "value": "red"}]}
    changed = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {
            "set": [{"name": "X-Set", "value": "set"}],
            "add": [{"name": "X-Add", "value": "added"}],
            "remove": ["x-gone"],
        },
    }
    told = {
        "type": "ResponseHeaderModifier",
        "responseHeaderModifier": {"add": [{"name": "X-Via", "value": "m"}]},
    }
    api.apply(
        gateway("grpc-real", listener("http")),
        route(
            "grpc-real", "grpc-real",
            rule(method(service="echo.Echo", method="One"), backends=[grpc_to("grpc-one")], name="named"),
            rule(method(service="echo.Echo", method="Two"), backends=[grpc_to("grpc-two")]),
            rule(method("RegularExpression", service="regex\\..*", method="G.t"),
                 backends=[grpc_to("grpc-two")]),
            rule(method(service="all.Methods"), backends=[grpc_to("grpc-one")]),
            rule({**method(service="head.Echo"), **both}, backends=[grpc_to("grpc-one")]),
            rule({**method(service="head.Echo"), **exact_header}, backends=[grpc_to("grpc-two")]),
            rule({**method(service="head.Echo"), **regex_header}, backends=[grpc_to("grpc-one")]),
            rule(method(service="filter.Echo"), backends=[grpc_to("grpc-one")], filters=[changed, told]),
            rule(method(service="split.Echo"), backends=[grpc_to("grpc-one", 7), grpc_to("grpc-two", 3)]),
            kind="GRPCRoute",
        ),
    )  # fmt: skip
    (found,) = api.parents("GRPCRoute", "grpc-real")
    assert found == {"Accepted": ("True", "Accepted"), "ResolvedRefs": ("True", "ResolvedRefs")}
    assert api.get("GRPCRoute", "grpc-real")["spec"]["rules"][0]["name"] == "named"
    with calling(api, "grpc-real") as calls:
        eventually(lambda: calls.pod("/echo.Echo/One") == "grpc-one", "the route")
        assert calls.ask("/echo.Echo/One")["method"] == "/echo.Echo/One"
        assert calls.pod("/echo.Echo/Two") == "grpc-two"
        assert calls.pod("/echo.Echo/Three") == "UNIMPLEMENTED"
        assert calls.pod("/echo.echo/One") == "UNIMPLEMENTED"
        assert (calls.pod("/regex.Any/Get"), calls.pod("/regex.Any/Gets")) == ("grpc-two", "UNIMPLEMENTED")
        assert calls.pod("/all.Methods/Whichever") == "grpc-one"
        assert calls.pod("/head.Echo/X", version="two") == "grpc-two"
        assert calls.pod("/head.Echo/X", version="two", color="red") == "grpc-one"
        assert calls.pod("/head.Echo/X", color="blue") == "grpc-one"
        assert calls.pod("/head.Echo/X", color="red") == "UNIMPLEMENTED"
        seen = calls.ask("/filter.Echo/X", x_gone="1", x_set="mine", x_add="mine")["metadata"]
        assert ("x-gone" in seen, seen["x-set"], seen["x-add"]) == (False, "set", "mine,added")
        assert calls.pod("/echo.Echo/One", fail_with="9") == "FAILED_PRECONDITION"
        split = Counter(calls.pod("/split.Echo/X") for _ in range(200))
        assert set(split) == {"grpc-one", "grpc-two"}
        assert 110 <= split["grpc-one"] <= 170


def test_hostnames_of_listeners(api: Api) -> None:
    api.apply(
        gateway("grpc-hosts", listener("wide", hostname="*.wide.test"),
                listener("one", hostname="one.wide.test"), listener("other", hostname="other.test")),
        route("grpc-wide", [{"name": "grpc-hosts", "sectionName": "wide"}],
              rule(backends=[grpc_to("grpc-one")]), kind="GRPCRoute"),
        route("grpc-one", [{"name": "grpc-hosts", "sectionName": "one"}],
              rule(backends=[grpc_to("grpc-two")]), kind="GRPCRoute"),
        route("grpc-none", "grpc-hosts", rule(backends=[grpc_to("grpc-two")]), hostnames=["elsewhere.test"],
              kind="GRPCRoute"),
    )  # fmt: skip
    assert api.parents("GRPCRoute", "grpc-none")[0]["Accepted"] == ("False", "NoMatchingListenerHostname")
    pods = {"a.wide.test": "grpc-one", "a.b.wide.test": "grpc-one", "one.wide.test": "grpc-two"}

    def leads(host: str, pod: str) -> bool:
        with calling(api, "grpc-hosts", "wide", host) as calls:
            return calls.pod("/e.Echo/X") == pod

    for host, pod in pods.items():
        eventually(partial(leads, host, pod), f"{host} leads to {pod}")
    for host in ("other.test", "elsewhere.test"):
        assert leads(host, "UNIMPLEMENTED")


def test_tls_to_grpc_backends(api: Api) -> None:
    def policy(hostname: str) -> Object:
        roots = [{"group": "", "kind": "ConfigMap", "name": "grpc-roots"}]
        target = {"group": "", "kind": "Service", "name": "grpc-one", "sectionName": "secure"}
        validation = {"hostname": hostname, "caCertificateRefs": roots}
        return obj("BackendTLSPolicy", "grpc-tls", {"targetRefs": [target], "validation": validation})

    backends = [grpc_to("grpc-one", port=50052)]
    api.apply(
        authorities("grpc-roots"),
        gateway("grpc-tls", listener("http")),
        route("grpc-tls", "grpc-tls", rule(backends=backends), kind="GRPCRoute"),
        policy("backend.test"),
    )
    (ancestor,) = api.get("backendtlspolicy", "grpc-tls")["status"]["ancestors"]
    assert conditions(ancestor)["Accepted"] == ("True", "Accepted")
    with calling(api, "grpc-tls") as calls:
        eventually(lambda: calls.pod("/e.Echo/X") == "grpc-one", "TLS to the backend")
        # In use already: both changes hold within less than Envoy waits for a new cluster's endpoints.
        api.apply(policy("other.test"))
        eventually(lambda: calls.pod("/e.Echo/X") == "UNAVAILABLE", "the name is another one")
        api.apply(policy("backend.test"))
        eventually(lambda: calls.pod("/e.Echo/X") == "grpc-one", "the name is right again")


def test_inside_the_mesh(api: Api) -> None:
    changed = {
        "type": "RequestHeaderModifier",
        "requestHeaderModifier": {"set": [{"name": "x-set", "value": "1"}]},
    }
    parent: list[Object] = [{"group": "", "kind": "Service", "name": "mesh-grpc", "port": 50051}]
    api.apply(
        route(
            "mesh-grpc", parent,
            rule(method(service="split.Echo"),
                 backends=[grpc_to("mesh-grpc", 1), grpc_to("mesh-grpc-two", 1)]),
            rule(method(service="filter.Echo"), backends=[grpc_to("mesh-grpc-two")], filters=[changed]),
            rule(method(service="absent.Echo"), backends=[grpc_to("absent")]),
            kind="GRPCRoute", namespace=MESH,
        ),
    )  # fmt: skip
    assert api.parents("GRPCRoute", "mesh-grpc", MESH)[0]["Accepted"] == ("True", "Accepted")
    asked: list[tuple[str, dict[str, str]]] = [("/filter.Echo/X", {"x-set": "mine"}), ("/absent.Echo/X", {})]
    asked += [("/other.Echo/X", {}), *[("/split.Echo/X", {})] * 40]
    arguments = ("-n", MESH, "mesh-one", "--", "python3", "-c", CLIENT, json.dumps(asked))
    filtered, absent, other, *split = json.loads(api.meshgate.cli("exec", *arguments))
    assert (filtered["pod"], filtered["metadata"]["x-set"]) == ("mesh-grpc-two", "1")
    assert absent["pod"] == "UNKNOWN"
    assert other["pod"] == "UNIMPLEMENTED"
    assert {one["pod"] for one in split} == {"mesh-grpc", "mesh-grpc-two"}
    api.delete("grpcroute", "mesh-grpc", namespace=MESH)
