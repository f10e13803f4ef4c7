"""Spellings that two programs read differently, on raw sockets: none brings a request past a DENY.

Each is tried at the sidecar of the workload and at the gateway. What is not refused must
reach the service in a form that the rules have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.envoy.decision_cases import case, policy, to, tokens, when
from tests.envoy.decisions import Case, Echo, Mesh, Reply, running

pytestmark = pytest.mark.envoy

HOST = "host: api\r\n"
END = "connection: close\r\n\r\n"
EDGE = "selector: {matchLabels: {istio: ingressgateway}}, "


def _rules(name: str, rule: str, more: str = "") -> Case:
    spec = f"action: DENY, rules: [{rule}]"
    own, edge = policy(f"{{{spec}}}"), policy(f"{{{EDGE}{spec}}}", namespace="istio-system")
    return case(name, own + edge + more)


CASES = (
    _rules("path", to('paths: [/admin, "/admin/*", "/a@b/{*}/c"]')),
    _rules("host", to('hosts: [secret.test, "*.secret.test"]')),
    _rules("header", when("request.headers[x-role]", "values: [evil]")),
    _rules("method", to("methods: [DELETE, CONNECT]")),
    _rules("upgrade", to("paths: [/admin]")),
)
PLACES = {"sidecar": 8080, "gateway": 80}


def _get(target: str, *lines: str, method: str = "GET", host: str = HOST) -> bytes:
    text = f"{method} {target} HTTP/1.1\r\n{host}" + "".join(f"{line}\r\n" for line in lines) + END
    return text.encode("latin-1")


PATHS = (
    "/admin",
    "/admin/",
    "/admin/x",
    "//admin",
    "////admin/x",
    "/./admin",
    "/a/../admin",
    "/../admin",
    "/a/b/../../admin",
    "/a/./../admin",
    "/%2e/admin",
    "/%2E%2e/admin",
    "/a/%2e%2e/admin",
    "/a/.%2E/admin",
    "/a/%2e./admin",
    "/%61dmin",
    "/%41dmin/../admin",
    "/%61%64%6D%69%6e",
    "/%2Fadmin",
    "/%2fadmin",
    "/%2F%2fadmin",
    "/a%2F..%2Fadmin",
    "/a%2f%2e%2E%2fadmin",
    "/a%2F%2e%2e/admin",
    "\\admin",
    "/\\admin",
    "/x\\..\\admin",
    "/x/..%5Cadmin",
    "/x%5c..%5Cadmin",
    "/%5cadmin",
    "/admin?x=1",
    "/admin?",
    "/admin?/../x",
    "/admin?a#b",
    "/admin#x",
    "/admin%00",
    "/%00/../admin",
    "/admin%00.html",
    "/admin;x=1",
    "/admin;",
    "/admin;x/y",
    "/admin;a=b/x",
    "/x;a/../admin",
    "/..;/admin",
    "/x/..;/admin",
    "/x/..;a=b/admin",
    "/x/%2e%2e;/admin",
    "/%c0%ae%c0%ae/admin",
    "/x/%C0%AE%c0%ae/admin",
    "/x%c0%af..%c0%afadmin",
    "/x/%e0%80%ae%e0%80%ae/admin",
    "/%ef%bc%8fadmin/../admin",
    "/" + "a" * 8_000 + "/../admin",
    "/" + "a/../" * 2_000 + "admin",
    "/" + "%61/%2e%2e/" * 800 + "admin",
    "http://api/admin",
    "http://api//admin",
    "HTTP://API/admin",
    "http://api/a/../admin",
    "http://api/%61dmin",
    "http://other/a/%2e%2e/admin",
    "http://api\\admin",
    "https://api/admin",
    "//api/../admin",
    "http:/admin",
    "http:///admin",
    "/a@b/1/c",
    "/a%40b/1/c",
    "/%61@b;x/1/c;y",
    "/a%40b/1/%63",
)
HOSTS = (
    "host: secret.test",
    "HOST: SECRET.TEST",
    "host: Secret.Test:80",
    "host: secret.test:8080",
    "host: secret.test.",
    "host: secret.test.:443",
    "host: secret.test..",
    "host: secret.test:",
    "host: user@secret.test",
    "host: user:pw@secret.test:80",
    "host: a.secret.test",
    "host: a.secret.test.",
    "host:   secret.test  ",
    "host:\tsecret.test\t",
    "host: x\r\nhost: secret.test",
    "host: secret.test\r\nhost: x",
    "host: secret.test\r\nHost: secret.test",
    "host: x, secret.test",
    "host: secret.test,x",
    "host: secret.test ,x",
    "host: x\r\n secret.test",
    "host:\r\n secret.test",
    "host : secret.test",
    "host: x\r\nhost : secret.test",
    "host: %73ecret.test",
    "host: secret.test/x",
    "host: secret.test#x",
    "host: secret.test?x",
    "host: secret.test\\x",
)
ABSOLUTE = (
    "http://secret.test/",
    "http://secret.test",
    "http://SECRET.test:80/a",
    "http://secret.test./",
    "http://user@secret.test/",
    "http://user:pw@secret.test:80/",
    "https://secret.test/",
    "HTTP://secret.TEST/",
    "http://a.secret.test/?x",
    "http://secret.test?x",
    "http://secret.test:443/",
)
HEADERS = (
    "x-role: evil",
    "X-ROLE: evil",
    "x-role:evil",
    "x-role:\tevil\t",
    "x-role: good\r\nx-role: evil",
    "x-role: evil\r\nx-role: good",
    "x-role: good, evil",
    "x-role: evil,good",
    "x-role: a ,evil , b",
    "x-role: good,\r\n evil",
    "x-role:\r\n evil",
    "x-role: good\r\n\t,evil",
    "x-role : evil",
    "x_role: evil",
    "X_Role: evil",
    "x-role: good\r\nx_role: evil",
    "x-role: evil\x00",
    "x-role:  evil  ",
)
METHODS = ("DELETE", "CONNECT", "delete", "Delete", "DELETE ", " DELETE", "X-DELETE\tDELETE")


@dataclass(frozen=True, slots=True)
class World:
    mesh: Mesh

    def say(self, name: str, place: str, sent: bytes) -> Reply:
        return self.mesh.say(case(name, ""), PLACES[place], sent)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    app = Echo()
    more = (case("output", tokens("outputClaimToHeaders: [{header: x-user-id, claim: sub}]")),)
    with running((*CASES, *more), tmp_path_factory.mktemp("envoy"), app) as mesh:
        yield World(mesh)
    app.close()


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_path(world: World, place: str) -> None:
    passed = [t[:60] for t in PATHS if world.say("path", place, _get(t)).reached]
    assert passed == []


@pytest.mark.parametrize("place", PLACES)
def test_paths_that_are_others_go_on(world: World, place: str) -> None:
    others = (
        "/",
        "/adm",
        "/administrator",
        "/x/admin",
        "/admin/../x",
        "/x;a=b/y",
        "/%25admin",
        "/caf%C3%A9",
        "/a..;/b",
    )
    refused = [t for t in others if not world.say("path", place, _get(t)).reached]
    assert refused == []


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_host(world: World, place: str) -> None:
    """Whatever is not refused is for another host, to the proxy and to the service."""
    passed = []
    for line in HOSTS:
        reply = world.say("host", place, _get("/", host=f"{line}\r\n"))
        if reply.reached and any("secret.test" in one.lower() for one in reply.received("host")):
            passed.append(line)
    passed += [t for t in ABSOLUTE if world.say("host", place, _get(t)).reached]
    assert passed == []


@pytest.mark.parametrize("place", PLACES)
def test_an_absolute_uri_names_the_host(world: World, place: str) -> None:
    reply = world.say("host", place, _get("http://other.test/x", host="host: secret.test\r\n"))
    assert not reply.reached or reply.received("host") == ["other.test"]


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_header(world: World, place: str) -> None:
    passed = []
    for lines in HEADERS:
        reply = world.say("header", place, _get("/", lines))
        if not reply.reached:
            continue
        names = [n.replace("_", "-") for n in ("x-role", "x_role", "x-role ")]
        seen = [value for name in (*names, "x_role", "x-role\t") for value in reply.received(name)]
        if any("evil" in value for value in seen):
            passed.append(lines)
    assert passed == []


@pytest.mark.parametrize("place", PLACES)
def test_no_spelling_of_a_method(world: World, place: str) -> None:
    passed = []
    for method in METHODS:
        reply = world.say("method", place, _get("/", method=method))
        if reply.reached:
            passed.append(method)
    assert passed == []


@pytest.mark.parametrize("place", PLACES)
def test_no_tunnel(world: World, place: str) -> None:
    """Neither CONNECT nor an upgrade to HTTP/2 brings bytes that no rule sees to the service."""
    inside = "GET /admin HTTP/1.1\r\nhost: api\r\n\r\n"
    for target in ("api:80", "secret.test:443", "/admin", "http://api/admin"):
        sent = f"CONNECT {target} HTTP/1.1\r\n{HOST}\r\n{inside}".encode()
        assert not world.say("upgrade", place, sent).reached, target
    for lines in (
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "connection: Upgrade, HTTP2-Settings\r\nupgrade: websocket, h2c\r\nhttp2-settings: AAMAAABkAAQAAP__",
        "connection: Upgrade\r\nupgrade: H2C",
        "connection: Upgrade\r\nupgrade: TLS/1.2",
    ):
        sent = f"GET /open HTTP/1.1\r\n{HOST}{lines}\r\n\r\n".encode()
        reply = world.say("upgrade", place, sent)
        assert not reply.reached or reply.received("upgrade") == [], lines
        sent = f"GET //admin HTTP/1.1\r\n{HOST}{lines}\r\n\r\n".encode()
        assert not world.say("upgrade", place, sent).reached, lines


@pytest.mark.parametrize("place", PLACES)
def test_escapes_are_undone_once(world: World, place: str) -> None:
    reply = world.say("path", place, _get("/x/%252e%252e/%2561dmin"))
    assert (reply.reached, reply.path) == (True, "/x/%252e%252e/%2561dmin")


def test_underscores_are_no_way_to_be_somebody(world: World) -> None:
    lines = ("x-user-id: root", "x_user_id: root", "x-user_id: root", "X_USER-ID: root", "x_other: kept")
    reply = world.say("output", "sidecar", _get("/", *lines))
    assert reply.reached
    names = ("x-user-id", "x_user_id", "x-user_id", "x_user-id", "x_other")
    assert [reply.received(name) for name in names] == [[], [], [], [], ["kept"]]
