"""Real clients at one running gateway: curl, `websockets`, grpcio, ab and wrk."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from meshgate.simulate.certificates import leaf
from tests.e2e.harness import Meshgate, running
from tests.e2e.manifests import KONG_CLASS, deployment, ingress, service
from tests.e2e.waiting import until

pytestmark = [pytest.mark.e2e, pytest.mark.envoy]

HERE = Path(__file__).parent
KEY = "the-key-of-ann"
CERTIFICATES = {"shop": "shop.example", "other": "other.example", "wild": "*.wild.example"}


def _plugin(name: str, kind: str, config: object) -> str:
    spec = {"metadata": {"name": name}, "plugin": kind, "config": config}
    return json.dumps({"apiVersion": "configuration.konghq.com/v1", "kind": "KongPlugin", **spec}) + "\n---\n"


def _secret(name: str, host: str) -> str:
    chain, key = leaf(host, (host,))
    data = {"tls.crt": chain.decode(), "tls.key": key.reveal_text()}
    found = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "type": "kubernetes.io/tls"}
    return json.dumps({**found, "stringData": data}) + "\n---\n"


def _tls(name: str, host: str) -> str:
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: tls-{name}, annotations: {{konghq.com/plugins: hsts}}}}
spec:
  ingressClassName: kong
  tls: [{{hosts: ["{host}"], secretName: {name}}}]
  rules:
  - host: "{host}"
    http:
      paths:
      - {{path: /, pathType: Prefix, backend: {{service: {{name: mirror, port: {{number: 80}}}}}}}}
---
"""


ONLY_HTTPS = """
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: only-https
  annotations: {konghq.com/protocols: https, konghq.com/https-redirect-status-code: "308"}
spec:
  ingressClassName: kong
  rules:
  - host: shop.example
    http:
      paths:
      - {path: /only-https, pathType: Prefix, backend: {service: {name: mirror, port: {number: 80}}}}
---
"""
GRPC = """
apiVersion: v1
kind: Service
metadata: {name: grpc}
spec: {selector: {app: talk}, ports: [{name: grpc, port: 80, targetPort: 9090}]}
---
"""
CONSUMER = f"""
apiVersion: v1
kind: Secret
metadata: {{name: ann-key, labels: {{konghq.com/credential: key-auth}}}}
stringData: {{key: {KEY}}}
---
apiVersion: configuration.konghq.com/v1
kind: KongConsumer
metadata: {{name: ann, annotations: {{kubernetes.io/ingress.class: kong}}}}
username: ann
credentials: [ann-key]
---
"""


def _manifests() -> str:
    mirror = f"python3 {HERE / 'mirror.py'} 8080"
    talk = deployment("talk", command=f"{sys.executable} {HERE / 'edge_app.py'}")
    talk = talk.replace("httpGet: {path: /healthz, port: http}", "tcpSocket: {port: http}")
    talk = talk.replace("containerPort: 8080}]", "containerPort: 8080}, {name: grpc, containerPort: 9090}]")
    programs = service("mirror") + deployment("mirror", command=mirror, probe="/") + service("talk") + talk
    plugins = (
        _plugin(
            "hsts",
            "response-transformer",
            {"add": {"headers": ["Strict-Transport-Security:max-age=31536000"]}},
        )
        + _plugin("key", "key-auth", {})
        + _plugin("web", "grpc-web", {})
        + _plugin("small", "request-size-limiting", {"allowed_payload_size": 1, "size_unit": "kilobytes"})
    )
    routes = (
        "".join(_secret(name, host) + _tls(name, host) for name, host in CERTIFICATES.items())
        + ingress("small", host="shop.example", path="/small", backend="mirror", plugins="small")
        + ingress("ws", host="ws.example", backend="talk")
        + ingress("ws-key", host="ws.example", path="/guarded", backend="talk", plugins="key")
        + ingress("grpc", host="grpc.example", backend="grpc", plugins="key")
        + ingress("grpc-web", host="web.example", backend="grpc", plugins="web")
    )
    return KONG_CLASS + programs + GRPC + CONSUMER + plugins + routes + ONLY_HTTPS


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Meshgate]:
    """One for all of them."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "edge.yaml").write_text(_manifests())
    for name, host in CERTIFICATES.items():
        (folder / f"{name}.pem").write_bytes(leaf(host, (host,))[0])
    with running(folder / "state", [folder / "edge.yaml"], "ports") as meshgate:
        assert {d["code"] for d in meshgate.status()["diagnostics"] if d["severity"] == "error"} == set()
        yield meshgate


@dataclass(frozen=True, slots=True)
class Curled:
    """What curl got."""

    exit: int
    status: int
    version: str
    """Of HTTP, as curl says it: `1.1`, `2`."""
    redirect: str
    head: str
    body: str


def curl(gateway: Meshgate, path: str, *options: str, host: str = "shop.example", tls: bool = True) -> Curled:
    """One question by curl, to a host that leads to the gateway."""
    port = gateway.https_port if tls else gateway.http_port
    out = "\n%{http_code} %{http_version} %{redirect_url}"
    url = f"{'https' if tls else 'http'}://{host}:{port}{path}"
    argv = [
        "curl",
        "-sS",
        "-m",
        "20",
        "-i",
        "-w",
        out,
        "--resolve",
        f"{host}:{port}:127.0.0.1",
        *options,
        url,
    ]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60)
    text, _, told = done.stdout.rpartition("\n")
    status, version, redirect = told.split(" ")
    head, _, body = text.partition("\n\n") if "\r" not in text else text.partition("\r\n\r\n")
    return Curled(done.returncode, int(status), version, redirect, head.lower(), body)


def _trusted(gateway: Meshgate, name: str) -> tuple[str, str]:
    return "--cacert", str(gateway.paths[0].parent / f"{name}.pem")


@pytest.mark.parametrize(
    ("options", "tls", "version"),
    [
        (("--http1.1",), False, "1.1"),
        (("--http2-prior-knowledge",), False, "2"),
        (("--http2",), False, "1.1"),
        (("--http1.1",), True, "1.1"),
        (("--http2",), True, "2"),
        (("--no-alpn",), True, "1.1"),
    ],
)
def test_versions_of_http(gateway: Meshgate, options: tuple[str, ...], tls: bool, version: str) -> None:
    """With ALPN, without it, and by prior knowledge; an offer to upgrade to h2c is not taken up."""
    got = curl(gateway, "/a?b=c", *options, *_trusted(gateway, "shop"), tls=tls)
    assert (got.exit, got.status) == (0, 200), got
    assert got.version == version
    seen = {name.lower(): value for name, value in json.loads(got.body)["headers"]}
    assert json.loads(got.body)["target"] == "/a?b=c"
    assert seen["x-forwarded-proto"] == ("https" if tls else "http")


def test_versions_of_tls(gateway: Meshgate) -> None:
    trusted = _trusted(gateway, "shop")
    for options in (("--tlsv1.2", "--tls-max", "1.2"), ("--tlsv1.3",)):
        assert curl(gateway, "/", *options, *trusted).status == 200
    where = f"127.0.0.1:{gateway.https_port}"
    argv = ["openssl", "s_client", "-connect", where, "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]
    done = subprocess.run(argv, input="", capture_output=True, text=True, timeout=60)
    assert "alert protocol version" in done.stderr, done


def test_the_name_chooses_the_certificate(gateway: Meshgate) -> None:
    """By SNI: each host its own, any name below a wildcard the wildcard's; no other name is vouched for."""
    assert curl(gateway, "/", *_trusted(gateway, "shop")).status == 200
    assert curl(gateway, "/", *_trusted(gateway, "other"), host="other.example").status == 200
    assert curl(gateway, "/", *_trusted(gateway, "wild"), host="any.wild.example").status == 200
    wrong = curl(gateway, "/", *_trusted(gateway, "shop"), host="other.example")
    assert (wrong.exit, wrong.status) == (60, 0)


def test_plain_http_is_sent_to_https_and_hsts_keeps_it_there(gateway: Meshgate) -> None:
    got = curl(gateway, "/only-https/a?b=c", tls=False)
    assert got.status == 308
    assert got.redirect.startswith("https://shop.example")
    assert got.redirect.endswith("/only-https/a?b=c")
    assert curl(gateway, "/only-https/a", *_trusted(gateway, "shop")).status == 200
    assert (
        "strict-transport-security: max-age=31536000" in curl(gateway, "/", *_trusted(gateway, "shop")).head
    )


def test_a_body_that_is_too_long_is_413(gateway: Meshgate) -> None:
    for options in (("--http1.1",), ("--http2",)):

        def asked() -> Curled | None:
            got = curl(gateway, "/small", *options, *_trusted(gateway, "shop"), "--data", "x" * 2_000)  # noqa: B023
            # The answer comes before the body has gone, with a RST_STREAM of NO_ERROR behind it (RFC 9113,
            # 8.1). Where both come at once, curl 7.88 forgets the answer: "stream was not closed cleanly".
            return got if got.exit != 92 else None

        got = until(asked, "an answer that curl keeps")
        assert got.status == 413
        assert json.loads(got.body)["message"] == "Request size limit exceeded"


def _socket(gateway: Meshgate, path: str, *, key: str = "", context: ssl.SSLContext | None = None) -> connect:
    """A connection to the host `ws.example` of the gateway, in TLS with a context."""
    port = gateway.https_port if context else gateway.http_port
    return connect(
        f"{'wss' if context else 'ws'}://ws.example:{port}{path}",
        host="127.0.0.1",
        port=port,
        ssl=context,
        proxy=None,
        additional_headers={"apikey": key} if key else {},
        subprotocols=[Subprotocol("chat.v2")],
    )


def test_websocket(gateway: Meshgate) -> None:
    """Text, bytes, a megabyte, a subprotocol, pings, and a close code; key-auth before it."""

    async def talk() -> None:
        async with _socket(gateway, "/") as socket:
            assert socket.subprotocol == "chat.v2"
            for message in ("hello", b"\0\xff", "x" * 1_000_000):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())
            await socket.send("close 4001 enough of it")
            with pytest.raises(ConnectionClosed) as ended:
                await socket.recv()
            assert ended.value.rcvd is not None
            assert (ended.value.rcvd.code, ended.value.rcvd.reason) == (4001, "enough of it")
        with pytest.raises(InvalidStatus) as refused:
            async with _socket(gateway, "/guarded"):
                pass
        assert refused.value.response.status_code == 401
        async with _socket(gateway, "/guarded", key=KEY) as socket:
            await socket.send("who")
            assert await socket.recv() == "ann"

    asyncio.run(asyncio.wait_for(talk(), 60))


def test_websocket_over_tls(gateway: Meshgate) -> None:
    async def talk() -> None:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        async with _socket(gateway, "/", context=context) as socket:
            await socket.send("hello")
            assert await socket.recv() == "hello"

    asyncio.run(asyncio.wait_for(talk(), 60))


def test_grpc(gateway: Meshgate) -> None:
    """A stream each way in HTTP/2 without TLS; errors with their trailers; key-auth in gRPC's words."""
    options = (("grpc.default_authority", "grpc.example"),)
    with grpc.insecure_channel(f"127.0.0.1:{gateway.http_port}", options=options) as channel:
        say = channel.stream_stream("/talk.Talk/Say", request_serializer=bytes, response_deserializer=bytes)
        key = (("apikey", KEY),)
        assert list(say(iter([b"a", b"b" * 100_000]), metadata=key, timeout=30)) == [b"a", b"b" * 100_000]
        with pytest.raises(grpc.RpcError) as failed:
            list(say(iter([b"fail"]), metadata=key, timeout=30))
        assert failed.value.code() is grpc.StatusCode.NOT_FOUND
        assert failed.value.details() == "no such thing"
        assert [str(m.value) for m in failed.value.trailing_metadata() if m.key == "x-why"] == ["asked for"]
        with pytest.raises(grpc.RpcError) as refused:
            list(say(iter([b"a"]), timeout=30))
        assert refused.value.code() is grpc.StatusCode.UNAUTHENTICATED


def test_grpc_web(gateway: Meshgate, tmp_path: Path) -> None:
    """A browser's framing over HTTP/1.1: the message, then the trailers as the last frame."""
    message = b"hello"
    (tmp_path / "ask").write_bytes(b"\0" + len(message).to_bytes(4, "big") + message)
    answer = tmp_path / "answer"
    port = gateway.http_port
    argv = ["curl", "-sS", "-m", "20", "-o", str(answer), "-w", "%{http_code} %{content_type}", "--http1.1"]
    argv += ["-H", "content-type: application/grpc-web+proto", "-H", "x-grpc-web: 1"]
    argv += ["--data-binary", f"@{tmp_path / 'ask'}", "--resolve", f"web.example:{port}:127.0.0.1"]
    done = subprocess.run(
        [*argv, f"http://web.example:{port}/talk.Talk/Say"], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "200 application/grpc-web+proto", done
    body = answer.read_bytes()
    assert body.startswith(b"\0\0\0\0\x05hello\x80")
    assert b"grpc-status:0" in body[10:].replace(b" ", b"")


def test_load(gateway: Meshgate) -> None:
    """By ab and wrk: no request fails."""
    if not (shutil.which("ab") and shutil.which("wrk")):
        pytest.skip("ab (apache2-utils) and wrk are not installed")
    url = f"http://127.0.0.1:{gateway.http_port}/"
    argv = ["ab", "-q", "-k", "-n", "500", "-c", "10", "-H", "Host: shop.example", url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert re.search(r"Complete requests:\s+500\n", done.stdout), done
    assert re.search(r"Failed requests:\s+0\n", done.stdout), done.stdout
    assert "Non-2xx" not in done.stdout
    argv = ["wrk", "-t", "1", "-c", "10", "-d", "1s", "-H", "Host: shop.example", url]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120)
    assert re.search(r"\d+ requests in", done.stdout), done
    assert "Non-2xx" not in done.stdout
    assert "Socket errors" not in done.stdout
