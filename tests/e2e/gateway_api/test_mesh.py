"""Routes of Services: what clients' sidecars make of requests inside the mesh."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.e2e.gateway_api.api import MESH, Api, Object, obj, prefix, route, rule, to
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
ASK = """
import json, sys, urllib.error, urllib.request
class Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_): return None
opener = urllib.request.build_opener(Stay)
found = []
for url, headers in json.loads(sys.argv[1]):
    try:
        with opener.open(urllib.request.Request(url, headers=headers), timeout=10) as reply:
            found.append(json.load(reply))
    except urllib.error.HTTPError as error:
        found.append({"pod": str(error.code), "location": error.headers.get("location")})
print(json.dumps(found))
"""
URL = "http://mesh-one.mesh:8080"


SAY = """
import collections, os, socket
found = collections.Counter()
for _ in range(30):
    where = os.environ["MESH_ONE_SERVICE_HOST"], int(os.environ["MESH_ONE_SERVICE_PORT_TCP"])
    with socket.create_connection(where, timeout=10) as one:
        one.sendall(b"hi")
        found[one.recv(100).decode()] += 1
print(" ".join(sorted(found)))
"""


HELLO = """
import os, socket, ssl, sys
def asked(name):
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    where = os.environ["BY_NAME_SERVICE_HOST"], int(os.environ["BY_NAME_SERVICE_PORT"])
    with socket.create_connection(where, timeout=10) as one:
        one.sendall(outgoing.read())
        try:
            return one.recv(100).partition(b":")[0].decode() or "closed"
        except ConnectionError:
            return "closed"
print(" ".join(map(asked, sys.argv[1:])))
"""


def ask(api: Api, client: str, namespace: str, *asked: tuple[str, dict[str, str]]) -> list[dict[str, Any]]:
    """What a client with a sidecar gets."""
    arguments = ("-n", namespace, client, "--", "python3", "-c", ASK, json.dumps(asked))
    found: list[dict[str, Any]] = json.loads(api.meshgate.cli("exec", *arguments))
    return found


def of(name: str, port: int = 0) -> list[Object]:
    """A Service as a parent."""
    found: Object = {"group": "", "kind": "Service", "name": name, "namespace": MESH}
    return [{**found, "port": port} if port else found]


def test_routes_of_services(api: Api) -> None:
    header = {"type": "Exact", "name": "version", "value": "two"}
    query = {"type": "Exact", "name": "animal", "value": "whale"}
    own = {"set": [{"name": "X-Own", "value": "1"}]}
    add = {"type": "RequestHeaderModifier", "requestHeaderModifier": own}
    move = {"type": "URLRewrite",
            "urlRewrite": {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": "/new"}}}  # fmt: skip
    away = {"type": "RequestRedirect", "requestRedirect": {"hostname": "example.org", "statusCode": 301}}
    api.apply(
        route("producer", of("mesh-one", 8080),
              rule({"headers": [header]}, backends=[to("mesh-two")]),
              rule({"queryParams": [query]}, backends=[to("mesh-two", filters=[add])], name="named"),
              rule(prefix("/old"), backends=[to("mesh-one")], filters=[move]),
              rule(prefix("/away"), filters=[away]),
              rule(prefix("/absent"), backends=[to("absent")]),
              rule(prefix("/split"), backends=[to("mesh-one", 1), to("mesh-two", 1)]),
              rule(prefix("/here"), backends=[to("mesh-one")]), namespace=MESH),
        route("consumer", of("mesh-two"), rule(prefix("/far"), backends=[to("far")]),
              rule(prefix("/back"), backends=[to("mesh-two", namespace=MESH, filters=[add])]),
              rule(prefix("/other"), backends=[to("mesh-one", namespace=MESH)]), namespace="mesh-b"),
        route("nobody", of("absent"), rule(backends=[to("mesh-one")]), namespace=MESH),
        route("nobody-port", of("mesh-one", 1), rule(backends=[to("mesh-one")]), namespace=MESH),
    )  # fmt: skip
    assert api.parents("HTTPRoute", "producer", MESH)[0]["Accepted"] == ("True", "Accepted")
    assert api.parents("HTTPRoute", "nobody", MESH)[0]["Accepted"] == ("False", "NoMatchingParent")
    assert api.parents("HTTPRoute", "nobody-port", MESH)[0]["Accepted"] == ("False", "NoMatchingParent")
    found = ask(
        api, "mesh-two", MESH,
        (f"{URL}/here", {}), (f"{URL}/", {"version": "two"}), (f"{URL}/?animal=whale", {}),
        (f"{URL}/old/x", {}), (f"{URL}/away", {}), (f"{URL}/absent", {}), (f"{URL}/else", {}),
        ("http://mesh-one.mesh:8082/else", {}), ("http://mesh-two.mesh:8080/far", {}),
        *[(f"{URL}/split", {})] * 30,
    )  # fmt: skip
    pods = [one["pod"] for one in found]
    assert pods[:9] == [
        "mesh-one", "mesh-two", "mesh-two", "mesh-one", "301", "500", "404", "mesh-one", "mesh-two",
    ]  # fmt: skip
    assert found[2]["headers"]["x-own"] == "1"
    assert found[3]["path"] == "/new/x"
    assert found[4]["location"] == "http://example.org:8080/away"
    assert set(pods[9:]) == {"mesh-one", "mesh-two"}
    asked: list[tuple[str, dict[str, str]]]
    there = "http://mesh-two.mesh:8080"
    asked = [
        (f"{there}/far", {}),
        (f"{URL}/", {"version": "two"}),
        (f"{there}/back", {}),
        (f"{there}/other", {}),
    ]
    found = ask(api, "far", "mesh-b", *asked)
    # The Service that a route is for needs no ReferenceGrant, any other one does.
    assert [one["pod"] for one in found] == ["far", "mesh-two", "mesh-two", "500"]
    assert found[2]["headers"]["x-own"] == "1"
    assert api.parents("HTTPRoute", "consumer", "mesh-b")[0]["ResolvedRefs"] == ("False", "RefNotPermitted")
    api.delete("httproute", "producer", "nobody", "nobody-port", namespace=MESH)
    api.delete("httproute", "consumer", namespace="mesh-b")


def test_connections_to_services(api: Api) -> None:
    """By a TCPRoute; a UDPRoute is refused, for sidecars see no datagrams."""
    halves = [to("mesh-one", 1, 9000), to("mesh-two", 1, 9000)]
    api.apply(
        route("halves", of("mesh-one", 9000), rule(backends=halves), namespace=MESH, kind="TCPRoute"),
        route("of-http", of("mesh-one", 8080), rule(backends=halves), namespace=MESH, kind="TCPRoute"),
        route("datagrams", of("mesh-one"), rule(backends=halves), namespace=MESH, kind="UDPRoute"),
    )
    assert api.parents("TCPRoute", "halves", MESH)[0]["Accepted"] == ("True", "Accepted")
    assert api.parents("TCPRoute", "of-http", MESH)[0]["Accepted"] == ("False", "UnsupportedProtocol")
    assert api.parents("UDPRoute", "datagrams", MESH)[0]["Accepted"] == ("False", "UnsupportedValue")
    assert _said(api) == ["mesh-one:hi", "mesh-two:hi"]
    api.delete("tcproute", "halves", namespace=MESH)
    until(lambda: _said(api) == ["mesh-one:hi"], "without the route they are the Service's own again")


def test_connections_by_server_name(api: Api) -> None:
    """The pods answer a client's greeting with its bytes, so nobody has to speak TLS."""
    ports = [{"name": "tls", "port": 9443, "targetPort": 9000}]
    by_name = obj("Service", "by-name", {"selector": {"app": "mesh-one"}, "ports": ports}, MESH, "v1")
    two = to("mesh-two", port=9000)
    api.apply(
        by_name,
        route("by-name", of("by-name", 9443), rule(backends=[two]), namespace=MESH, kind="TLSRoute",
              hostnames=["a.test", "*.b.test"]),
        route("by-name-later", of("by-name"), rule(backends=[to("far", port=9000, namespace=f"{MESH}-b")]),
              namespace=MESH, kind="TLSRoute", hostnames=["a.test", "refused.test"]),
        route("by-name-of-http", of("mesh-one", 8080), rule(backends=[two]), namespace=MESH, kind="TLSRoute",
              hostnames=["a.test"]),
    )  # fmt: skip
    assert api.parents("TLSRoute", "by-name", MESH)[0]["Accepted"] == ("True", "Accepted")
    later = api.parents("TLSRoute", "by-name-later", MESH)[0]
    assert (later["Accepted"][0], later["ResolvedRefs"]) == ("True", ("False", "RefNotPermitted"))
    assert api.parents("TLSRoute", "by-name-of-http", MESH)[0]["Accepted"] == ("False", "UnsupportedProtocol")
    names = ("a.test", "x.b.test", "refused.test", "other.test")
    assert _greeted(api, *names) == ["mesh-two", "mesh-two", "closed", "closed"]
    api.delete("tlsroute", "by-name", "by-name-later", "by-name-of-http", namespace=MESH)
    until(
        lambda: _greeted(api, *names) == ["mesh-one"] * 4, "without routes they are the Service's own again"
    )


def _greeted(api: Api, *names: str) -> list[str]:
    arguments = ("-n", MESH, "mesh-two", "--", "python3", "-c", HELLO, *names)
    return api.meshgate.cli("exec", *arguments).split()


def _said(api: Api) -> list[str]:
    return api.meshgate.cli("exec", "-n", MESH, "mesh-two", "--", "python3", "-c", SAY).split()
