"""The bookinfo example through its Gateway: routing by header, TLS by server name, and what is not served."""

from __future__ import annotations

import base64
import http.client
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from meshgate.simulate.certificates import leaf
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.waiting import until
from tests.redis_server import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
MANIFESTS = ROOT / "examples/bookinfo/manifests"


def pair(name: str, host: str, *, authority: str = "") -> str:
    chain, key = leaf(host, (host,))
    lines = [("tls.crt", chain), ("tls.key", key.reveal())]
    if authority:
        lines.append(("ca.crt", leaf(authority, (authority,))[0]))
    data = "".join(f"  {k}: {base64.b64encode(v).decode()}\n" for k, v in lines)
    head = f"apiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ntype: kubernetes.io/tls\n"
    return f"{head}data:\n{data}---\n"


def _more(port: int) -> str:
    return (
        pair("books", "books.example")
        + pair("staff", "staff.example", authority="staff.client.example")
        + f"""
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: secure}}
spec:
  selector: {{app: istio-ingressgateway, istio: ingressgateway}}
  servers:
  - port: {{number: 80, name: http, protocol: HTTP}}
    hosts: [books.example]
    tls: {{httpsRedirect: true}}
  - port: {{number: 443, name: books, protocol: HTTPS}}
    hosts: [books.example]
    tls: {{mode: SIMPLE, credentialName: books}}
  - port: {{number: 443, name: staff, protocol: HTTPS}}
    hosts: [staff.example]
    tls: {{mode: MUTUAL, credentialName: staff}}
  - port: {{number: {port}, name: details, protocol: HTTP}}
    hosts: [details.example]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: secure}}
spec:
  hosts: [books.example, staff.example]
  gateways: [secure]
  http:
  - match: [{{authority: {{exact: staff.example}}}}]
    route: [{{destination: {{host: ratings}}}}]
  - route: [{{destination: {{host: details}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: details-port}}
spec:
  hosts: [details.example]
  gateways: [default/secure]
  http:
  - match: [{{port: {port}}}]
    route: [{{destination: {{host: details}}}}]
"""
    )


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def bookinfo(port: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp("bookinfo")
    (folder / "secure.yaml").write_text(_more(port))
    with running(folder / "state", [MANIFESTS, folder / "secure.yaml"], "ports") as meshgate:
        yield meshgate


def https(
    meshgate: Meshgate, server_name: str, host: str, client: str = "", path: str = "/x"
) -> tuple[int, bytes]:
    """(status, body) over TLS by a server name; status 0 where the gateway would not have it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    if client:
        chain, key = leaf(client, (client,))
        pair = meshgate.state.parent / f"{client}.pem"
        pair.write_bytes(chain + key.reveal())
        context.load_cert_chain(pair)
    connection = http.client.HTTPConnection("127.0.0.1", meshgate.https_port, timeout=10)
    try:
        plain = socket.create_connection(("127.0.0.1", meshgate.https_port), timeout=10)
        connection.sock = context.wrap_socket(plain, server_hostname=server_name)
        connection.request("GET", path, headers={"host": host})
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException):
        return 0, b""
    finally:
        connection.close()


def test_requests_come_in_and_follow_the_rules_behind(bookinfo: Meshgate) -> None:
    assert [d for d in bookinfo.status()["diagnostics"] if d["severity"] == "error"] == []
    page = bookinfo.ask("localhost", "/productpage")
    assert page.status == 200
    assert page.json()["details"]["version"] == "v1"
    assert {bookinfo.ask("any.example", "/productpage").json()["reviews"]["version"] for _ in range(8)} == {
        "v1"
    }
    seen = bookinfo.ask("localhost", "/productpage", (("end-user", "jason"),)).json()["reviews"]
    assert (seen["version"], seen["stars"], seen["ratings"]["version"]) == ("v2", "black", "v1")


def test_what_no_rule_names_is_not_served(bookinfo: Meshgate) -> None:
    assert bookinfo.ask("localhost", "/ratings/0").status == 404
    assert bookinfo.ask("details.example", "/x").status == 404, "its server is at another port"


def test_servers_by_name_port_and_redirect(bookinfo: Meshgate, port: int) -> None:
    redirect = bookinfo.ask("books.example", "/x?y=1")
    location = f"https://books.example:{bookinfo.https_port}/x?y=1"
    assert (redirect.status, redirect.header("location")) == (301, location)
    status, body = https(bookinfo, "books.example", "books.example")
    assert (status, b'"service": "details"' in body) == (200, True)
    at_port = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    at_port.request("GET", "/x", headers={"host": "details.example"})
    assert at_port.getresponse().status == 200
    at_port.close()


def test_a_client_without_the_wanted_certificate_does_not_get_in_by_any_name(bookinfo: Meshgate) -> None:
    assert https(bookinfo, "staff.example", "staff.example") == (0, b"")
    assert https(bookinfo, "staff.example", "staff.example", "stranger.example") == (0, b"")
    assert https(bookinfo, "books.example", "staff.example")[0] == 404
    assert https(bookinfo, "other.example", "staff.example")[0] == 404
    status, body = https(bookinfo, "staff.example", "staff.example", "staff.client.example")
    assert (status, b'"service": "ratings"' in body) == (200, True)


def test_a_gateway_that_goes_takes_its_hosts_with_it(bookinfo: Meshgate, port: int, tmp_path: Path) -> None:
    one = tmp_path / "one.yaml"
    one.write_text(
        "apiVersion: networking.istio.io/v1\nkind: Gateway\nmetadata: {name: late}\n"
        "spec: {selector: {istio: ingressgateway}, servers: [{port: {number: 80, name: h, protocol: HTTP}, "
        "hosts: [late.example]}]}\n---\n"
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: late}\n"
        "spec: {hosts: [late.example], gateways: [late], http: [{directResponse: {status: 418}}]}\n"
    )
    bookinfo.cli("apply", "-f", str(one))
    until(lambda: bookinfo.ask("late.example", "/").status == 418, "the new host is served")
    bookinfo.cli("delete", "-f", str(one))
    until(lambda: bookinfo.ask("late.example", "/").status == 404, "the host is gone")
