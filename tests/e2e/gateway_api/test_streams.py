"""TLSRoute, TCPRoute, UDPRoute, GRPCRoute and ListenerSet."""

from __future__ import annotations

import contextlib
import socket
import ssl
from collections import Counter
from pathlib import Path

import grpc
import pytest

from tests.e2e.gateway_api.api import (
    GROUP,
    WEB,
    Api,
    Caller,
    Object,
    conditions,
    gateway,
    grant,
    listener,
    obj,
    route,
    rule,
    to,
)
from tests.e2e.gateway_api.certificates import client, secret

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]


def tls(name: str, mode: str, port: int = 443, hostname: str = "", secret: str = "streams") -> Object:
    """A TLS listener."""
    more: Object = {"mode": mode}
    if mode == "Terminate":
        more["certificateRefs"] = [{"name": secret}]
    return listener(name, port, "TLS", hostname, tls=more)


def said(caller: Caller, sni: str = "", folder: Path | None = None, text: bytes = b"hi") -> str:
    """What comes back for a text; empty where the connection is closed."""
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        raw = stack.enter_context(socket.create_connection((caller.address, caller.port), timeout=10))
        connection: socket.socket = raw
        if folder:
            connection = stack.enter_context(client(folder).wrap_socket(raw, server_hostname=sni))
        connection.sendall(text)
        return connection.recv(100).decode()
    return ""


def hello(caller: Caller, sni: str) -> bool:
    """Whether a TLS connection by that name reaches a backend: its echo is no TLS record."""
    with socket.create_connection((caller.address, caller.port), timeout=10) as raw:
        raw.settimeout(10)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        try:
            context.wrap_socket(raw, server_hostname=sni)
        except ssl.SSLError as error:
            # The echo answers `one:` and our own hello, which TLS calls a wrong version.
            return "WRONG_VERSION" in str(error) or "record" in str(error).lower()
        except OSError:
            return False
    return False


def test_both_modes_of_tls_are_supported(api: Api) -> None:
    """Where either is not, the specification wants these listeners refused: here they are served."""
    api.apply(
        secret("streams", "ends.test", "*.wild.test"),
        gateway("tls-modes", tls("alone", "Terminate", 8443, "ends.test"),
                tls("ended", "Terminate", hostname="ends.test"),
                tls("passed", "Passthrough", hostname="pass.test")),
    )  # fmt: skip
    for name in ("alone", "ended", "passed"):
        found = conditions(api.listener("tls-modes", name))
        assert found["Accepted"] == ("True", "Accepted")
        assert found["Programmed"] == ("True", "Programmed")
        assert found["Conflicted"] == ("False", "NoConflicts")


def answers(place: tuple[str, int], clients: int) -> Counter[str]:
    """How many clients, each with a port of its own, a backend answered; both of their datagrams."""
    found: Counter[str] = Counter()
    for _ in range(clients):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as one:
            one.settimeout(10)
            one.sendto(b"hi", place)
            first = one.recv(100)
            one.sendto(b"hi", place)
            assert one.recv(100) == first
            found[first.decode().removesuffix(":hi")] += 1
    return found


def test_tls_that_is_ended_here(api: Api, tmp_path: Path) -> None:
    tcp = [to("one", port=9000)]
    api.apply(
        secret("streams", "ends.test", "*.wild.test"),
        gateway("tls-ends", tls("exact", "Terminate", hostname="ends.test"),
                tls("wild", "Terminate", hostname="*.wild.test"), tls("by-tcp", "Terminate", 8443)),
        route("tls-one", [{"name": "tls-ends", "sectionName": "exact"}], rule(backends=tcp),
              kind="TLSRoute", hostnames=["ends.test"]),
        route("tls-wild", [{"name": "tls-ends", "sectionName": "wild"}],
              rule(backends=[to("two", port=9000)]), kind="TLSRoute", hostnames=["a.wild.test"]),
        route("tls-tcp", [{"name": "tls-ends", "sectionName": "by-tcp"}],
              rule(backends=[to("three", port=9000)]), kind="TCPRoute"),
        route("tls-none", [{"name": "tls-ends", "sectionName": "exact"}], rule(backends=tcp),
              kind="TLSRoute", hostnames=["no.match"]),
    )  # fmt: skip
    kinds = [k["kind"] for k in api.listener("tls-ends", "exact")["supportedKinds"]]
    assert "TLSRoute" in kinds
    caller = api.caller("tls-ends", "exact")
    assert said(caller, "ends.test", tmp_path) == "one:hi"
    assert said(caller, "a.wild.test", tmp_path) == "two:hi"
    assert said(caller, "b.wild.test", tmp_path) == ""
    assert said(api.caller("tls-ends", "by-tcp"), "ends.test", tmp_path) == "three:hi"
    found = api.parents("TLSRoute", "tls-none")[0]
    assert found["Accepted"] == ("False", "NoMatchingListenerHostname")


def test_tls_that_is_passed_on_beside_tls_that_is_ended(api: Api, tmp_path: Path) -> None:
    api.apply(
        secret("streams", "ends.test", "*.wild.test"),
        gateway("tls-mixed", tls("pass", "Passthrough", hostname="pass.test"),
                tls("wide", "Passthrough", hostname="*.pass.test"),
                tls("end", "Terminate", hostname="ends.test")),
        route("pass", "tls-mixed", rule(backends=[to("one", port=9000)]), kind="TLSRoute",
              hostnames=["pass.test", "b.pass.test"]),
        route("end", [{"name": "tls-mixed", "sectionName": "end"}],
              rule(backends=[to("two", port=9000)]), kind="TLSRoute", hostnames=["ends.test"]),
        route("pass-absent", "tls-mixed", rule(backends=[to("absent", port=9000)]), kind="TLSRoute",
              hostnames=["absent.pass.test"]),
        route("pass-kind", "tls-mixed", rule(backends=[to("one", kind="X", group="x.y", port=1)]),
              kind="TLSRoute", hostnames=["kind.pass.test"]),
        route("pass-denied", "tls-mixed", rule(backends=[to("web-one", port=9000, namespace=WEB)]),
              kind="TLSRoute", hostnames=["denied.pass.test"]),
    )  # fmt: skip
    kinds = [k["kind"] for k in api.listener("tls-mixed", "pass")["supportedKinds"]]
    assert kinds == ["TLSRoute"]
    caller = api.caller("tls-mixed", "pass")
    assert hello(caller, "pass.test")
    assert hello(caller, "b.pass.test")
    assert not hello(caller, "c.pass.test")
    assert said(caller, "ends.test", tmp_path) == "two:hi"
    for name, reason in (
        ("pass-absent", "BackendNotFound"),
        ("pass-kind", "InvalidKind"),
        ("pass-denied", "RefNotPermitted"),
    ):
        assert api.parents("TLSRoute", name)[0]["ResolvedRefs"] == ("False", reason)
    assert not hello(caller, "absent.pass.test")
    assert not hello(caller, "denied.pass.test")


def test_connections(api: Api) -> None:
    api.apply(
        gateway("tcp", listener("first", 9101, "TCP"), listener("second", 9102, "TCP"),
                listener("third", 9103, "TCP"), listener("fourth", 9104, "TCP"), listener("http", 80)),
        route("tcp-one", [{"name": "tcp", "sectionName": "first"}],
              rule(backends=[to("one", port=9000)]), kind="TCPRoute"),
        route("tcp-split", [{"name": "tcp", "port": 9102}],
              rule(backends=[to("one", 1, 9000), to("two", 1, 9000)]), kind="TCPRoute"),
        route("tcp-absent", [{"name": "tcp", "port": 9103}],
              rule(backends=[to("absent", port=9000)]), kind="TCPRoute"),
        route("tcp-far", [{"name": "tcp", "port": 9104}],
              rule(backends=[to("web-one", port=9000, namespace=WEB)]), kind="TCPRoute"),
        route("tcp-wrong", [{"name": "tcp", "sectionName": "http"}],
              rule(backends=[to("one", port=9000)]), kind="TCPRoute"),
    )  # fmt: skip
    assert said(api.caller("tcp", "first")) == "one:hi"
    assert {said(api.caller("tcp", "second")) for _ in range(40)} == {"one:hi", "two:hi"}
    assert said(api.caller("tcp", "third")) == ""
    assert api.parents("TCPRoute", "tcp-absent")[0]["ResolvedRefs"] == ("False", "BackendNotFound")
    assert said(api.caller("tcp", "fourth")) == ""
    assert api.parents("TCPRoute", "tcp-far")[0]["ResolvedRefs"] == ("False", "RefNotPermitted")
    assert api.parents("TCPRoute", "tcp-wrong")[0]["Accepted"] == ("False", "NotAllowedByListeners")
    api.apply(grant("tcp", "TCPRoute", "infra", "Service", WEB))
    assert said(api.caller("tcp", "fourth")) == "web-one:hi"
    api.delete("referencegrant", "tcp", namespace=WEB)


def test_datagrams(api: Api) -> None:
    api.apply(
        gateway("udp", listener("dns", 9105, "UDP"), listener("tcp", 9105, "TCP"),
                listener("split", 9109, "UDP")),
        route("udp", [{"name": "udp", "sectionName": "dns"}], rule(backends=[to("one", port=9000)]),
              kind="UDPRoute"),
        route("udp-absent", [{"name": "udp", "sectionName": "dns"}],
              rule(backends=[to("absent", port=9000)]), kind="UDPRoute"),
        route("udp-split", [{"name": "udp", "sectionName": "split"}],
              rule(backends=[to("one", 3, 9000), to("two", 1, 9000), to("three", 0, 9000)]),
              kind="UDPRoute"),
    )  # fmt: skip
    assert conditions(api.listener("udp", "tcp"))["Conflicted"][0] == "False"
    assert answers(api.place("udp", "dns"), 2) == {"one": 2}
    shares = answers(api.place("udp", "split"), 200)
    # A hash of ports is no dice; 200 of them come within 4 standard deviations of 150.
    assert set(shares) == {"one", "two"}
    assert 125 <= shares["one"] <= 175
    assert api.parents("UDPRoute", "udp-absent")[0]["ResolvedRefs"] == ("False", "BackendNotFound")


def test_listener_sets(api: Api) -> None:
    def listener_set(name: str, *listeners: Object, namespace: str = "infra") -> Object:
        parent = {"name": "sets", "namespace": "infra"}
        spec = {"parentRef": parent, "listeners": list(listeners)}
        return obj("ListenerSet", name, spec, namespace)

    def parent(name: str, namespace: str = "infra") -> list[Object]:
        return [{"group": GROUP, "kind": "ListenerSet", "name": name, "namespace": namespace}]

    api.apply(
        gateway("sets", listener("http", hostname="own.test"),
                allowedListeners={"namespaces": {"from": "Same"}}),
        gateway("sets-closed", listener("http")),
        listener_set("more", listener("http", hostname="more.test"), listener("x", 9106, frm="All")),
        listener_set("clash", listener("http", hostname="own.test"), listener("y", 9107)),
        listener_set("far", listener("z", 9108), namespace=WEB),
        route("set-route", parent("more"), rule(backends=[to("one")])),
        route("own-route", "sets", rule(backends=[to("two")])),
    )  # fmt: skip
    found = api.get("listenerset", "more")["status"]
    assert conditions(found) == {"Accepted": ("True", "Accepted"), "Programmed": ("True", "Programmed")}
    assert [one["attachedRoutes"] for one in found["listeners"]] == [1, 1]
    clash = {one["name"]: conditions(one) for one in api.get("listenerset", "clash")["status"]["listeners"]}
    assert clash["http"]["Conflicted"] == ("True", "HostnameConflict")
    assert clash["y"]["Programmed"] == ("True", "Programmed")
    far = api.get("listenerset", "far", WEB)["status"]
    assert conditions(far)["Accepted"] == ("False", "NotAllowed")
    assert api.gateway("sets")["attachedListenerSets"] == 2
    assert api.listener("sets", "http")["attachedRoutes"] == 1
    caller = api.caller("sets", "http")
    assert caller.pod("own.test") == "two"
    assert caller.pod("more.test") == "one"
    assert Caller(caller.address, 9106).pod("any.test") == "one"


def test_grpc_by_service_and_method(api: Api) -> None:
    def method(**parts: str) -> Object:
        return {"method": parts}

    weights = [to("one", 0, port=8081), to("absent", 1, port=8081)]
    api.apply(
        gateway("grpc", listener("http"), listener("named", hostname="*.grpc.test")),
        route("grpc", [{"name": "grpc", "sectionName": "http"}],
              rule(method(service="echo.Echo", method="Say"), backends=[to("absent")], name="by-method"),
              rule(method(service="other.Echo"), backends=[to("one", kind="X", group="x.y")]),
              rule({"headers": [{"name": "version", "value": "two"}]}, backends=weights),
              kind="GRPCRoute"),
    )  # fmt: skip
    (found,) = api.parents("GRPCRoute", "grpc")
    assert found["Accepted"] == ("True", "Accepted")
    assert found["ResolvedRefs"][0] == "False"
    address, port = api.place("grpc", "http")
    with grpc.insecure_channel(f"{address}:{port}") as channel:

        def code(path: str, *metadata: tuple[str, str]) -> grpc.StatusCode:
            call = channel.unary_unary(path, request_serializer=bytes, response_deserializer=bytes)
            with pytest.raises(grpc.RpcError) as raised:
                call(b"", timeout=10, metadata=metadata)
            found: grpc.StatusCode = raised.value.code()
            return found

        # A rule whose backend is not there answers 500 in HTTP's words, UNKNOWN in gRPC's; no rule, 404.
        assert code("/echo.Echo/Say") is grpc.StatusCode.UNKNOWN
        assert code("/other.Echo/Any") is grpc.StatusCode.UNKNOWN
        assert code("/third.Echo/Any", ("version", "two")) is grpc.StatusCode.UNKNOWN
        assert code("/third.Echo/Any") is grpc.StatusCode.UNIMPLEMENTED
