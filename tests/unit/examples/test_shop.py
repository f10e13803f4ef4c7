"""The shop's programs, run as a pod would run them on a shared machine."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import jwt
import pytest
import yaml

SHOP = Path(__file__).parents[3] / "examples" / "shop"
DEADLINE_S = 20.0


@contextmanager
def running(*command: str, **env: str) -> Iterator[tuple[subprocess.Popen[str], http.client.HTTPConnection]]:
    """The program on a free port, and a connection to it."""
    kept = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(
        [sys.executable, *command],
        cwd=SHOP / "manifests",
        env={**kept, "PORT": "0", "POD_IP": "127.0.0.1", "HOSTNAME": "a-pod", **env},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline().split()[-1])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
        with process.stdout:
            yield process, connection
            connection.close()
    finally:
        process.terminate()
        process.wait(DEADLINE_S)


def ask(
    connection: http.client.HTTPConnection, path: str, method: str = "GET", **given: Any
) -> tuple[int, dict[str, Any]]:
    """Status and JSON body of one request on a kept connection."""
    connection.request(method, path, **given)
    response = connection.getresponse()
    return response.status, json.load(response)


@pytest.fixture(scope="module")
def payment() -> Iterator[http.client.HTTPConnection]:
    with running("../service.py", "payment", "v2", "8080") as (_, connection):
        yield connection


def test_it_says_who_it_is_and_hides_credentials(payment: http.client.HTTPConnection) -> None:
    status, body = ask(payment, "/pay?jwt=secret", headers={"Authorization": "Bearer secret"})
    assert status == 200
    assert (body["service"], body["version"], body["pod"]) == ("payment", "v2", "a-pod")
    assert body["path"] == "/pay"
    assert "secret" not in json.dumps(body)


def test_the_caller_is_the_nearest_one_the_sidecar_vouches_for(payment: http.client.HTTPConnection) -> None:
    hops = ",".join(
        f'By=spiffe://x/ns/default/sa/payment;Hash=ab;Subject="";URI=spiffe://x/ns/default/sa/{name}'
        for name in ("gateway", "checkout")
    )
    _, body = ask(payment, "/", headers={"x-forwarded-client-cert": hops})
    assert body["caller"] == "spiffe://x/ns/default/sa/checkout"
    assert ask(payment, "/")[1]["caller"] is None


def test_bodies_are_read_so_that_the_connection_can_go_on(payment: http.client.HTTPConnection) -> None:
    assert ask(payment, "/", "POST", body=b"x" * 200_000)[0] == 200
    first = payment.sock
    assert ask(payment, "/", "PUT", body=iter([b"abc", b"de"]), encode_chunked=True)[0] == 200
    assert ask(payment, "/deep/status/503")[0] == 503
    assert payment.sock is first


def test_checkout_goes_through_the_proxy_it_is_given_and_counts(payment: http.client.HTTPConnection) -> None:
    with running("../checkout.py", "v1", "8080", http_proxy=f"http://127.0.0.1:{payment.port}") as (
        _,
        checkout,
    ):
        status, body = ask(checkout, "/", headers={"traceparent": "00-ab-cd-01", "x-other": "kept back"})
        assert status == 200
        seen = body["payment"]["headers"]
        assert (seen["host"], seen["traceparent"]) == ("payment", "00-ab-cd-01")
        assert "x-other" not in seen
        _, report = ask(checkout, "/call/payment?times=7")
        assert (report["versions"], report["statuses"]) == ({"v2": 7}, {"200": 7})
        assert ask(checkout, "/call/elsewhere")[0] == 400
        assert ask(checkout, "/call/payment?times=0")[0] == 400


def test_without_a_mesh_checkout_reports_that_payment_is_away() -> None:
    with running("../checkout.py", "v1", "8080", http_proxy="http://127.0.0.1:1") as (_, checkout):
        status, body = ask(checkout, "/")
        assert (status, body["payment"]["status"]) == (502, 0)


def test_sigterm_ends_it_in_good_order() -> None:
    with running("../service.py", "payment", "v1", "8080") as (process, connection):
        assert ask(connection, "/healthz") == (200, {"ready": True})
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE_S) == 0


def test_alices_token_is_signed_with_her_secret() -> None:
    documents = list(yaml.safe_load_all((SHOP / "manifests" / "consumers.yaml").read_text()))
    data = next(d["stringData"] for d in documents if d["metadata"]["name"] == "alice-jwt")
    made = subprocess.run(
        [sys.executable, str(SHOP / "make_token.py"), data["key"], data["secret"]],
        check=True,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    claims = jwt.decode(
        made.stdout.strip(), data["secret"], algorithms=["HS256"], options={"require": ["exp"]}
    )
    assert claims["iss"] == data["key"]


def test_every_service_of_the_shop_has_what_its_manifests_point_to() -> None:
    objects = [
        document
        for file in (SHOP / "manifests").rglob("*.yaml")
        for document in yaml.safe_load_all(file.read_text())
    ]
    accounts = {o["metadata"]["name"] for o in objects if o["kind"] == "ServiceAccount"}
    labels = [o["spec"]["template"]["metadata"]["labels"] for o in objects if o["kind"] == "Deployment"]
    assert len(labels) == 9
    for deployment in (o for o in objects if o["kind"] == "Deployment"):
        template = deployment["spec"]["template"]
        assert template["spec"]["serviceAccountName"] in accounts
        program = template["metadata"]["annotations"]["meshgate.dev/command"].split()[1]
        assert (SHOP / "manifests" / program).is_file()
        selector = deployment["spec"]["selector"]["matchLabels"]
        assert selector.items() <= template["metadata"]["labels"].items()
    for service in (o for o in objects if o["kind"] == "Service"):
        assert any(service["spec"]["selector"].items() <= pod.items() for pod in labels)
