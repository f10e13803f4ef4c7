"""No credential gets into a log, wherever any route looks for one: by a real Envoy and real bridges."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.envoy.bridge_process import bridging
from tests.envoy.kong_edge import SERVICE, Ask, plugin, route, send, telling
from tests.envoy.log_receivers import Receivers, receiving
from tests.simulate.live import running

SECRET = "not-for-anybody"
HEADERS = (
    "Authorization", "Proxy-Authorization", "Cookie", "X-Key", "X-Jwt", "X-OAuth", "X-Bearer",
    "X-Access-Token", "Refresh-Token", "X-My-Refresh", "X-Given", "X-Back",
)  # fmt: skip
PARAMETERS = (
    "x-key", "X-KEY", "token", "access_token", "client_secret", "code", "password", "provision_key",
    "x%2Dkey",
)  # fmt: skip


def _manifests(to: Receivers) -> str:
    openid = (
        "{issuer: 'http://127.0.0.1:1/', client_id: [a], client_secret: [b], "
        "bearer_token_param_type: [header], "
        "bearer_token_header_name: X-Bearer, refresh_token_param_name: x-my-refresh, "
        "upstream_access_token_header: 'x-given:bearer', "
        "downstream_id_token_header: x-back}"
    )
    return (
        plugin("key", "key-auth", "{key_names: [X-Key]}")
        + plugin("jwt", "jwt", "{header_names: [X-Jwt], uri_param_names: [token]}")
        + plugin("oauth", "oauth2", "{enable_client_credentials: true, auth_header_name: X-OAuth}")
        + plugin("oidc", "openid-connect", openid)
        + plugin("log", "tcp-log", f"{{host: 127.0.0.1, port: {to.tcp}}}")
        + plugin(
            "otel", "opentelemetry", f"{{traces_endpoint: 'http://127.0.0.1:{to.http}/', sampling_rate: 1}}"
        )
        + "".join(route(name, name) for name in ("key", "jwt", "oauth", "oidc"))
        + route("open", "log", "otel")
    )


@pytest.mark.envoy
def test_no_route_shows_what_another_looks_for(tmp_path: Path) -> None:
    async def all_of_it() -> None:
        async with receiving() as to:
            documents, problems = read_texts({"in.yaml": SERVICE + _manifests(to)})
            built = build(documents)
            wrong = [str(d) for d in (*problems, *built.diagnostics) if d.severity is Severity.ERROR]
            assert not wrong, wrong
            config = self_contained(Reader(stand_in(built.model)), gateway_proxy())
            async with (
                bridging(built.model, tmp_path) as sockets,
                running(config, "http", tmp_path, telling, sockets) as port,
            ):
                query = "&".join(f"{name}={SECRET}" for name in PARAMETERS)
                referer = f"https://shop.example/a?token={SECRET}&seen=1"
                headers = [(name, SECRET) for name in HEADERS]
                headers += [("Referer", referer), ("X-Plain", "shown")]
                answer = await send(port, Ask(f"/open?{query}&plain=shown", headers=tuple(headers)))
                assert answer.seen.headers["x-key"] == [SECRET]
                await to.got.until(lambda: bool(to.got.lines and to.got.http))
        (line,) = to.got.lines
        assert SECRET not in to.got.tcp.decode()
        assert SECRET.encode() not in b"".join(body for _, _, body in to.got.http)
        shown = line["request"]["headers"]
        assert shown["x-plain"] == "shown"
        assert shown["referer"] == ("https://shop.example/a?token=REDACTED&seen=1")
        assert {name: shown[name.lower()] for name in HEADERS if name.lower() in shown} == {
            name: "REDACTED" for name in HEADERS if name.lower() in shown
        }
        assert line["request"]["querystring"]["plain"] == "shown"
        assert line["request"]["uri"].endswith("&plain=shown")

    asyncio.run(all_of_it())
