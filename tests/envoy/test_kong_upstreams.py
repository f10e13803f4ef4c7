"""KongUpstreamPolicy and TLS to upstreams at a real Envoy, before real servers."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from envoy.config.bootstrap.v3 import bootstrap_pb2

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.kong_edge import Answer, Ask, send
from tests.envoy.test_tls_files import Authority
from tests.simulate.live import running

pytestmark = pytest.mark.envoy
DEADLINE_S = 60.0


@asynccontextmanager
async def plain_server(
    name: str = "a", context: ssl.SSLContext | None = None, sick: asyncio.Event | None = None
) -> AsyncIterator[int]:
    """A server that tells its name and what TLS told it; `/healthz` is 500 while `sick` is set."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                bad = sick is not None and sick.is_set() and head.startswith("GET /healthz ")
                peer = writer.get_extra_info("peercert") or {}
                shown = ",".join(value for part in peer.get("subject", ()) for _, value in part)
                reply = (
                    f"HTTP/1.1 {'500 No' if bad else '200 OK'}\r\nx-server: {name}\r\nx-client: {shown}\r\n"
                )
                writer.write(f"{reply}content-length: 0\r\n\r\n".encode())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


def built_edge(
    text: str, service_ports: Mapping[str, Sequence[int]]
) -> tuple[bootstrap_pb2.Bootstrap, dict[str, Sequence[int]]]:
    documents, problems = read_texts({"in.yaml": text})
    built = build(documents)
    wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
    assert not wrong, wrong
    config = self_contained(Reader(stand_in(built.model)), gateway_proxy())
    ports = {f"outbound|80||{n}.default.svc.cluster.local": p for n, p in service_ports.items()}
    assert ports.keys() <= {c.name for c in config.static_resources.clusters}
    return config, ports


def plain_service(name: str, annotations: str) -> str:
    return (
        f"---\napiVersion: v1\nkind: Service\nmetadata: {{name: {name}, annotations: {{{annotations}}}}}\n"
        "spec: {ports: [{name: http, port: 80}]}\n"
        "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        f"metadata: {{name: {name}}}\nspec: {{rules: [{{http: {{paths: [{{path: /{name}, pathType: Prefix, "
        f"backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}]}}}}]}}\n"
    )


def _secret(name: str, folder: Path, **files: str) -> str:
    data = {
        key.replace("_", "."): base64.b64encode((folder / f).read_bytes()).decode()
        for key, f in files.items()
    }
    shown = ", ".join(f"{key}: {value}" for key, value in data.items())
    return f"---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}}}\ndata: {{{shown}}}\n"


def test_tls_to_the_upstream(tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path, "ca"), Authority(tmp_path, "other")
    ours.leaf("inside.example")
    ours.leaf("gateway-client")
    theirs.leaf("stranger")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.crt"))
    server.load_cert_chain(tmp_path / "inside.example.crt", tmp_path / "inside.example.key")
    server.verify_mode = ssl.CERT_OPTIONAL
    https = "konghq.com/protocol: https"
    checked = f'{https}, konghq.com/tls-verify: "true"'
    named = "konghq.com/host-header: inside.example"
    authority = json.dumps((tmp_path / "ca.crt").read_text())
    trusts = "konghq.com/ca-certificates-secrets"
    text = (
        _secret("ca", tmp_path, cert="ca.crt")
        + _secret("other", tmp_path, cert="other.crt")
        + f"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {{name: ca}}\ndata: {{ca.crt: {authority}}}\n"
        + _secret("client", tmp_path, tls_crt="gateway-client.crt", tls_key="gateway-client.key")
        + plain_service("unchecked", https)
        + plain_service("checked", f"{checked}, {named}, {trusts}: ca")
        + plain_service("by-request", f"{checked}, {trusts}: ca")
        + plain_service("wrong-authority", f"{checked}, {named}, {trusts}: other")
        + plain_service("wrong-name", f"{checked}, konghq.com/host-header: outside.example, {trusts}: ca")
        + plain_service("by-map", f"{checked}, {named}, konghq.com/ca-certificates-configmaps: ca")
        + plain_service("system", f"{checked}, {named}")
        + plain_service("client", f"{checked}, {named}, {trusts}: ca, konghq.com/client-cert: client")
        + plain_service("in-clear", "")
    )
    names = (
        "unchecked",
        "checked",
        "by-request",
        "wrong-authority",
        "wrong-name",
        "by-map",
        "system",
        "client",
        "in-clear",
    )
    requests = [Ask(f"/{name}") for name in names]
    requests.append(Ask("/by-request", headers=(("host", "inside.example"),)))

    async def body() -> list[Answer]:
        async with plain_server("tls", server) as port:
            config, ports = built_edge(text, dict.fromkeys(names, (port,)))
            async with running(config, "http", tmp_path, None, {}, ports) as gateway:
                return [await send(gateway, request) for request in requests]

    *answers, by_host = asyncio.run(body())
    statuses = dict(zip(names, (a.status for a in answers), strict=True))
    assert statuses == {
        "unchecked": 200,
        "checked": 200,
        "by-request": 503,  # the client asks for shop.example, which the certificate is not for
        "wrong-authority": 503,
        "wrong-name": 503,
        "by-map": 200,
        "system": 503,
        "client": 200,
        "in-clear": 503,
    }
    assert answers[names.index("checked")].header("x-client") == ""
    assert answers[names.index("client")].header("x-client") == "gateway-client"
    assert by_host.status == 200


POLICIES = """
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: header}
spec: {algorithm: consistent-hashing, hashOn: {header: x-user}, hashOnFallback: {queryArg: user}}
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: path}
spec: {algorithm: consistent-hashing, hashOn: {input: path}}
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: part}
spec: {algorithm: consistent-hashing, hashOn: {uriCapture: user}, hashOnFallback: {header: x-user}}
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: sticky}
spec: {algorithm: sticky-sessions, stickySessions: {cookie: where}}
---
apiVersion: configuration.konghq.com/v1beta1
kind: KongUpstreamPolicy
metadata: {name: checked}
spec:
  algorithm: round-robin
  healthchecks:
    active:
      httpPath: /healthz
      healthy: {interval: 0.05, successes: 1}
      unhealthy: {interval: 0.05, httpFailures: 1, timeouts: 1}
"""


def test_a_service_with_too_few_endpoints_that_are_well_is_down(tmp_path: Path) -> None:
    policy = (
        "apiVersion: configuration.konghq.com/v1beta1\nkind: KongUpstreamPolicy\nmetadata: {name: %s}\n"
        "spec:\n  algorithm: %s\n  healthchecks:\n    threshold: 60\n    active:\n"
        "      httpPath: /healthz\n      healthy: {interval: 0.05, successes: 1}\n"
        "      unhealthy: {interval: 0.05, httpFailures: 1}\n---\n"
    )
    names = ("round-robin", "least-connections")
    text = "".join(policy % (n, n) for n in names)
    text += "".join(plain_service(n, f"konghq.com/upstream-policy: {n}") for n in names)

    async def body() -> None:
        sick = asyncio.Event()
        async with plain_server("a") as a, plain_server("b", sick=sick) as b:
            config, ports = built_edge(text, dict.fromkeys(names, (a, b)))
            async with running(config, "http", tmp_path, None, {}, ports) as gateway:

                async def becomes(status: int) -> None:
                    async with asyncio.timeout(DEADLINE_S):
                        for name in names:
                            while {(await send(gateway, Ask(f"/{name}"))).status for _ in range(4)} != {
                                status
                            }:
                                pass

                await becomes(200)
                sick.set()
                await becomes(503)
                sick.clear()
                await becomes(200)

    asyncio.run(body())


def test_the_same_key_leads_to_the_same_endpoint(tmp_path: Path) -> None:
    names = ("header", "path", "sticky")
    text = POLICIES + "".join(plain_service(n, f"konghq.com/upstream-policy: {n}") for n in (*names, "part"))
    for name, said in (("u", ""), ("stripped", "konghq.com/strip-path: 'true'")):
        text += (
            "---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"
            f"metadata: {{name: by-{name}, annotations: {{{said}}}}}\n"
            f"spec: {{rules: [{{http: {{paths: [{{path: '/~/{name}/(?<user>[0-9]+)/', "
            "pathType: ImplementationSpecific, backend: {service: {name: part, port: {number: 80}}}}]}}]}\n"
        )

    async def body() -> dict[str, list[Answer]]:
        async with plain_server("a") as a, plain_server("b") as b, plain_server("c") as c:
            config, ports = built_edge(text, dict.fromkeys((*names, "part"), (a, b, c)))
            async with running(config, "http", tmp_path, None, {}, ports) as gateway:

                async def asked(path: str, *headers: tuple[str, str]) -> list[Answer]:
                    return [await send(gateway, Ask(path, headers=headers)) for _ in range(6)]

                first = await send(gateway, Ask("/sticky"))
                cookie = first.headers["set-cookie"][0]
                found = {f"user {n}": await asked("/header", ("x-user", str(n))) for n in range(12)}
                found |= {f"query {n}": await asked(f"/header?user={n}") for n in range(12)}
                found |= {f"path {n}": await asked(f"/path/{n}") for n in range(12)}
                found["sticky"] = [first, *await asked("/sticky", ("cookie", cookie.partition(";")[0]))]
                for n in range(12):
                    paths = [f"/{p}/{n}/{rest}" for p in ("u", "stripped") for rest in ("a", "b?c=d")]
                    found[f"part {n}"] = [await send(gateway, Ask(p)) for p in paths]
                found |= {f"header {n}": await asked("/part", ("x-user", str(n))) for n in range(12)}
                found["path, other query"] = [await send(gateway, Ask(f"/path/1?{n}")) for n in range(6)]
                found["cookie"] = [first]
                return found

    found = asyncio.run(body())
    where = {key: {a.header("x-server") for a in answers} for key, answers in found.items()}
    assert all(len(servers) == 1 for servers in where.values()), where
    assert where["path, other query"] == where["path 1"]
    for kind in ("user", "query", "path", "part", "header"):
        used = {s for key, servers in where.items() if key.startswith(f"{kind} ") for s in servers}
        assert len(used) > 1, f"every {kind} leads to one endpoint"
    cookie = found["cookie"][0].headers["set-cookie"][0]
    assert cookie.startswith('where="')
    assert "Path=/" in cookie


def test_an_endpoint_that_fails_its_checks_gets_no_requests_until_it_is_well(tmp_path: Path) -> None:
    text = POLICIES + plain_service("checked", "konghq.com/upstream-policy: checked")

    async def body() -> None:
        sick = asyncio.Event()
        async with plain_server("a") as a, plain_server("b", sick=sick) as b:
            config, ports = built_edge(text, {"checked": (a, b)})
            async with running(config, "http", tmp_path, None, {}, ports) as gateway:

                async def serving(wanted: set[str]) -> None:
                    async with asyncio.timeout(DEADLINE_S):
                        while True:
                            answers = [await send(gateway, Ask("/checked")) for _ in range(4)]
                            if {a.header("x-server") for a in answers} == wanted:
                                return

                await serving({"a", "b"})
                sick.set()
                await serving({"a"})
                sick.clear()
                await serving({"a", "b"})

    asyncio.run(body())
