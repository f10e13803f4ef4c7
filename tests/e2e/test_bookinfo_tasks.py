"""The tasks of Istio's guide on one running book shop, one after the other, with numbers.

The manifests are those of examples/bookinfo/tasks, as docs/bookinfo.md has them.
"""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt
import pytest

from tests.e2e.clients import assert_split
from tests.e2e.harness import ROOT, Meshgate, running
from tests.e2e.test_bookinfo import https, pair
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]
BOOKINFO = ROOT / "examples/bookinfo"
KEY = b"known-to-everybody-who-reads-the-bookinfo-example"
JASON = (("end-user", "jason"),)
ISSUER = "https://login.example"


@pytest.fixture(scope="module")
def books(isolation: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    folder = tmp_path_factory.mktemp(f"bookinfo-{isolation}")
    with running(folder / "state", [BOOKINFO / "manifests"], isolation) as meshgate:
        assert [d for d in meshgate.status()["diagnostics"] if d["severity"] == "error"] == []
        yield meshgate


def apply(books: Meshgate, *tasks: str) -> None:
    files = [str(BOOKINFO / "tasks" / f"{task}.yaml") for task in tasks]
    books.cli("apply", *(part for file in files for part in ("-f", file)))


def delete(books: Meshgate, task: str) -> None:
    books.cli("delete", "-f", str(BOOKINFO / "tasks" / f"{task}.yaml"))


def page(books: Meshgate, headers: tuple[tuple[str, str], ...] = ()) -> dict[str, object]:
    answer = books.ask("books.local", "/productpage", headers)
    assert answer.status == 200, answer
    found: dict[str, object] = answer.json()
    return found


def reviews(books: Meshgate, headers: tuple[tuple[str, str], ...] = ()) -> dict[str, object]:
    found = page(books, headers)["reviews"]
    assert isinstance(found, dict)
    return found


def stars(books: Meshgate, headers: tuple[tuple[str, str], ...] = ()) -> object:
    ratings = reviews(books, headers).get("ratings")
    return ratings.get("mysqldb") if isinstance(ratings, dict) else ratings


def token(*groups: str) -> tuple[tuple[str, str], ...]:
    claims = {"iss": ISSUER, "sub": "anna", "groups": list(groups)}
    return (("authorization", f"Bearer {jwt.encode(claims, KEY, algorithm='HS256')}"),)


def shares(count: int, ask: Callable[[], object]) -> Counter[str]:
    return Counter(str(ask()) for _ in range(count))


def test_request_routing_by_user(books: Meshgate) -> None:
    apply(books, "reviews-v1")
    until(lambda: reviews(books, JASON)["version"] == "v1", "v1 for everybody")
    apply(books, "reviews-by-user")
    until(lambda: reviews(books, JASON)["version"] == "v2", "v2 for jason")
    assert shares(10, lambda: reviews(books, JASON)["version"]) == {"v2": 10}
    assert shares(10, lambda: reviews(books)["version"]) == {"v1": 10}


def test_faults_meet_one_user(books: Meshgate) -> None:
    apply(books, "fault-delay")

    def waited() -> float:
        begun = time.monotonic()
        assert reviews(books, JASON)["version"] == "v2"
        return time.monotonic() - begun

    until(lambda: waited() >= 2, "jason waits")
    apply(books, "fault-abort")
    until(lambda: reviews(books, JASON)["ratings"] == {"status": 500}, "jason's ratings fail")
    assert shares(5, lambda: reviews(books, JASON)["ratings"]) == {"{'status': 500}": 5}
    assert shares(5, lambda: reviews(books)["version"]) == {"v1": 5}


@pytest.mark.parametrize(
    ("task", "percent"),
    [("reviews-50-50", {"v1": 50.0, "v3": 50.0}), ("reviews-80-20", {"v1": 80.0, "v2": 20.0})],
)
def test_shifting(books: Meshgate, task: str, percent: dict[str, float]) -> None:
    apply(books, task)
    until(lambda: reviews(books)["version"] == max(percent), f"{max(percent)} gets its share")
    assert_split(shares(200, lambda: reviews(books)["version"]), percent, 200)


def test_timeouts(books: Meshgate) -> None:
    apply(books, "timeout", "fault-delay")
    until(lambda: reviews(books, JASON) == {"status": 504}, "half a second is not enough for jason")
    assert reviews(books)["version"] == "v2"


def test_mirroring(books: Meshgate) -> None:
    ask = """
import urllib.request
asked = urllib.request.Request("http://reviews:9080/requests", headers={"x-version": "v3"})
print(urllib.request.urlopen(asked, timeout=10).read().decode())
"""

    def came() -> int:
        found = json.loads(books.inside("productpage-v1", ask))
        assert found["version"] == "v3"
        return int(found["requests"])

    apply(books, "mirror")
    until(lambda: reviews(books)["version"] == "v1", "v1 answers")
    before = came()
    assert shares(200, lambda: reviews(books)["version"]) == {"v1": 200}
    last = -1
    while (now := came()) != last:  # copies may still be under way
        last = now
    assert_split({"v3": now - before, "-": 200 - (now - before)}, {"v3": 50}, 200)


def test_circuit_breaking(books: Meshgate) -> None:
    apply(books, "circuit-breaker")
    ask = """
import collections, json, threading, urllib.error, urllib.request
found, gate = collections.Counter(), threading.Barrier(10)
def ask():
    gate.wait()
    try:
        with urllib.request.urlopen("http://details:9080/details/0?wait=0.5", timeout=20) as answer:
            found[answer.status] += 1
    except urllib.error.HTTPError as error:
        found["overflow" if error.headers.get("x-envoy-overloaded") else error.code] += 1
threads = [threading.Thread(target=ask) for _ in range(10)]
[thread.start() for thread in threads], [thread.join() for thread in threads]
print(json.dumps(found))
"""
    # One is served, one waits, and the other eight of ten at a time are refused.
    expected = {"200": 2, "overflow": 8}

    def counted() -> dict[str, int]:
        found: dict[str, int] = json.loads(books.inside("productpage-v1", ask))
        return found

    until(lambda: counted() == expected, "the circuit is broken")
    assert page(books)["details"] == {"service": "details", "version": "v1", "path": "/details/0"}
    delete(books, "circuit-breaker")
    until(lambda: json.loads(books.inside("productpage-v1", ask)) == {"200": 10}, "the circuit is closed")


def test_tcp_shifting_behind_a_server_that_speaks_first(books: Meshgate) -> None:
    apply(books, "ratings-v2")
    until(lambda: stars(books) == "5", "ratings come from the database")
    apply(books, "tcp-80-20")
    until(lambda: stars(books) == "1", "the new database gets its share")
    assert_split(shares(100, lambda: stars(books)), {"5": 80, "1": 20}, 100)


def test_authorization_of_connections(books: Meshgate) -> None:
    where = "$MYSQLDB_SERVICE_HOST $MYSQLDB_SERVICE_PORT"

    def asked() -> str:
        return books.cli(
            "exec", "details-v1", "--", "sh", "-c", f"python3 ../database.py ask {where}"
        ).strip()

    assert asked() in ("5", "1")
    apply(books, "authorization-tcp")
    until(lambda: asked() == "refused", "details may not")
    assert shares(5, lambda: stars(books)).keys() <= {"5", "1"}, "ratings v2 may"
    delete(books, "authorization-tcp")


def test_authorization_of_requests(books: Meshgate) -> None:
    ask = """
import urllib.error, urllib.request
def status(url, method="GET"):
    try:
        return urllib.request.urlopen(urllib.request.Request(url, method=method), timeout=10).status
    except urllib.error.HTTPError as error:
        return error.code
asked = (("http://ratings:9080/", "GET"), ("http://reviews:9080/", "GET"), ("http://details:9080/", "DELETE"))
print(*(status(*one) for one in asked))
"""
    apply(books, "authorization-http")
    until(lambda: books.inside("details-v1", ask).split() == ["403"] * 3, "details may do nothing")
    # Everything that leads to ratings v1 is allowed, and ratings v2 has no leave to read the database.
    apply(books, "fault-abort")
    until(
        lambda: (
            reviews(books).get("ratings") == {"service": "ratings", "version": "v1", "path": "/ratings/0"}
        ),
        "v1",
    )
    assert page(books)["details"] == {"service": "details", "version": "v1", "path": "/details/0"}

    def deleting() -> int:
        return books.ask("books.local", "/productpage", method="DELETE").status

    # A connection that was open before the policy came may carry one more request under the old rules.
    until(lambda: deleting() == 403, "nobody may delete")
    delete(books, "authorization-http")
    until(lambda: books.inside("details-v1", ask).split()[0] == "200", "everybody may again")


def test_tokens_at_the_gateway_and_claims_inside(books: Meshgate) -> None:
    apply(books, "jwt")
    until(lambda: books.ask("books.local", "/productpage").status == 403, "no page without a token")
    assert books.ask("books.local", "/productpage", (("authorization", "Bearer e30.e30.e30"),)).status == 401
    assert reviews(books, token())["version"] == "v2"
    apply(books, "authorization-claim")
    until(lambda: reviews(books, token()) == {"status": 403}, "reviews are for the club")
    assert reviews(books, token("club"))["version"] == "v2"
    delete(books, "authorization-claim")
    delete(books, "jwt")
    until(lambda: books.ask("books.local", "/productpage").status == 200, "no token is needed")


def test_ingress_with_tls(books: Meshgate) -> None:
    secrets = books.state / "secrets.yaml"
    secrets.write_text(
        pair("books", "books.example") + pair("staff", "staff.example", authority="staff.client")
    )
    books.cli("apply", "-f", str(secrets))
    apply(books, "ingress-tls")
    until(lambda: https(books, "books.example", "books.example", path="/productpage")[0] == 200, "HTTPS")
    assert https(books, "staff.example", "staff.example", path="/productpage") == (0, b"")
    assert https(books, "staff.example", "staff.example", "staff.client", path="/productpage")[0] == 200


class _Publisher(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/slow":
            self.server.over.wait(10)  # type: ignore[attr-defined]
        with contextlib.suppress(ConnectionError):  # who asked for the slow one is gone
            self.send_response(200)
            self.send_header("content-length", "9")
            self.end_headers()
            self.wfile.write(b"published")

    def log_message(self, format: str, *args: object) -> None:
        pass


def test_egress(books: Meshgate) -> None:
    if books.isolation == "netns":
        pytest.skip("the server listens on the loopback address, which pods have for themselves")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Publisher)
    server.over = threading.Event()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    entry = books.state / "egress.yaml"
    text = (BOOKINFO / "tasks/egress.yaml").read_text()
    entry.write_text(text.replace("18090", str(server.server_address[1])))
    ask = """
import urllib.error, urllib.request
def status(path):
    try:
        return urllib.request.urlopen("http://publisher.example" + path, timeout=20).status
    except urllib.error.HTTPError as error:
        return error.code
print(status("/"), status("/slow"))
"""
    try:
        books.cli("apply", "-f", str(entry))
        until(lambda: books.inside("details-v1", ask).split() == ["200", "504"], "the host, with its rule")
    finally:
        server.over.set()  # type: ignore[attr-defined]
        server.shutdown()
        thread.join(timeout=10)
        server.server_close()
