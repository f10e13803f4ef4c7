"""Runs meshgate itself for end-to-end tests: `up`, questions and answers, load, `down`.

Applications are the shop's own `service.py`, started with manifests that a test writes,
so that every answer says which version gave it, who called, and what headers arrived.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from meshgate.cli.client import connect
from meshgate.runtime.netns import unavailable_reason
from meshgate.runtime.paths import RuntimePaths, state_tag
from meshgate.sources import admin_protocol as wire
from meshgate.sources.backend import GetQuery
from tests.redis_server import free_port

ROOT = Path(__file__).parents[2]
SHOP = ROOT / "examples/shop/manifests"
SERVICE = ROOT / "examples/shop/service.py"
ISOLATIONS = ("ports", "netns")
DEADLINE_S = 30.0
T = TypeVar("T")
Headers = Sequence[tuple[str, str]]


def why_not(isolation: str) -> str | None:
    """Why this machine or user cannot have that isolation; None where it can."""
    return unavailable_reason() if isolation == "netns" else None


def until(check: Callable[[], T | None], what: str, deadline_s: float = DEADLINE_S) -> T:
    """Asks again and again until the answer is true; fails with `what` and the last answer."""
    end = time.monotonic() + deadline_s
    while not (found := check()):
        assert time.monotonic() < end, f"not within {deadline_s:g} s: {what}; last: {found!r}"
        time.sleep(0.02)
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    at: float = 0.0
    """When it had come, on the monotonic clock."""

    def header(self, name: str) -> str | None:
        """The value of a header that must not be there twice."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def version(self) -> str:
        """Which version of a service answered; empty where none did."""
        return str(self.json().get("version", "")) if self.status == 200 else ""

    @property
    def seen(self) -> Mapping[str, str]:
        """The request's headers as the service saw them."""
        found: dict[str, str] = self.json()["headers"]
        return found


class Client:
    """One kept connection to a gateway; after a failure the next question opens a new one."""

    def __init__(self, port: int, host: str = "127.0.0.1", connect_to: str = "127.0.0.1") -> None:
        self._port, self._host, self._address = port, host, connect_to
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str = "/", headers: Headers = (), method: str = "GET") -> Answer:
        """One request; headers go out as they are given, also twice."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, self._port, timeout=15)
        try:
            self._connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            self._connection.putheader("Host", self._host)
            for name, value in headers:
                self._connection.putheader(name, value)
            self._connection.endheaders()
            reply = self._connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(status=0, body=repr(error).encode(), at=time.monotonic())
        if reply.will_close:
            self.close()
        return Answer(status=reply.status, headers=tuple(reply.getheaders()), body=body, at=time.monotonic())

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_BREATH_S = 0.002


class Load:
    """Clients that ask again and again while the `with` block runs; every answer is kept.

    Between two questions each takes a breath, or the load would keep what it looks at from going on.
    """

    def __init__(
        self, port: int, host: str, path: str = "/", headers: Headers = (), clients: int = 4
    ) -> None:
        self._question = (path, headers)
        self._clients = [Client(port, host) for _ in range(clients)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(c,)) for c in self._clients]
        self.answers: list[Answer] = []

    def _run(self, client: Client) -> None:
        while not self._over.is_set():
            self.answers.append(client.ask(*self._question))
            self._over.wait(_BREATH_S)
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.more(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def more(self, count: int) -> list[Answer]:
        """Waits for that many further answers and returns them."""
        start = len(self.answers)
        until(lambda: len(self.answers) >= start + count, f"{count} more answers")
        return self.answers[start : start + count]

    def failed(self) -> list[Answer]:
        """All that were not 200."""
        return [answer for answer in self.answers if answer.status != 200]


def ask_many(
    count: int, client: Callable[[int], Client], path: str, headers: Headers = (), clients: int = 8
) -> list[Answer]:
    """`count` answers from that many clients at once, `client(n)` being the n-th."""
    answers: list[Answer] = []
    numbers = iter(range(count))
    lock = threading.Lock()

    def run(own: Client) -> None:
        while True:
            with lock:
                if next(numbers, None) is None:
                    break
            answers.append(own.ask(path, headers))
        own.close()

    threads = [threading.Thread(target=run, args=(client(n),)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(answers) == count
    return answers


def versions(answers: Iterable[Answer]) -> Counter[str]:
    """How often each version answered."""
    return Counter(answer.version for answer in answers)


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status for answer in answers)


def assert_split(counted: Mapping[str, int], percent: Mapping[str, float], total: int) -> None:
    """Holds the counts to within three standard errors of their share of `total`."""
    print(f"of {total}: {dict(counted)}, asked for {dict(percent)}%")
    assert sum(counted.values()) == total, dict(counted)
    for version, share in percent.items():
        ratio = share / 100
        error = (total * ratio * (1 - ratio)) ** 0.5
        assert abs(counted.get(version, 0) - total * ratio) <= 3 * error, (version, dict(counted))


@dataclass(slots=True, kw_only=True)
class Meshgate:
    """One running meshgate."""

    state: Path
    paths: tuple[Path, ...]
    isolation: str
    options: tuple[str, ...] = ()
    http_port: int = field(default_factory=free_port)
    https_port: int = field(default_factory=free_port)

    def cli(self, command: str, *arguments: str, fails: bool = False) -> str:
        """What a command prints; it must succeed, or fail where `fails` says so."""
        argv = [str(Path(sys.executable).parent / "meshgate"), command, "--state", str(self.state)]
        done = subprocess.run([*argv, *arguments], capture_output=True, text=True, timeout=120)
        assert (done.returncode != 0) == fails, f"{command} {arguments}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + (done.stderr if fails else "")

    def up(self) -> None:
        """Starts it, or takes over what a crashed one left; returns with all pods ready."""
        ports = ("--http-port", str(self.http_port), "--https-port", str(self.https_port))
        paths = [str(path) for path in self.paths]
        self.cli("up", *paths, "--isolation", self.isolation, *ports, *self.options, "--detach")
        self.wait_ready()

    def down(self) -> None:
        """Ends it in good order."""
        self.cli("down")

    def status(self) -> dict[str, Any]:
        """What `status -o json` prints, asked for without starting a process."""
        with connect(self.state) as admin:
            found: dict[str, Any] = json.loads(wire.encode(admin.call(wire.STATUS, wire.Nothing())))
        return found

    def wait_ready(self) -> dict[str, Any]:
        """Returns the status once every pod is ready and every proxy has its configuration."""

        def ready() -> dict[str, Any] | None:
            found = self.status()
            pods, proxies = found["pods"], found["proxies"]
            meshed = sum(pod["meshed"] for pod in pods)
            good = all(p["ready"] for p in pods) and all(p["synced"] for p in proxies)
            return found if good and len(proxies) >= meshed else None

        try:
            return until(ready, "all pods ready")
        except AssertionError as error:
            log = RuntimePaths.of(self.state).daemon_log("meshgate").read_text()[-3000:]
            raise AssertionError(f"{error}\n{self.cli('status')}\n{log}") from error

    def objects(self, kind: str) -> list[dict[str, Any]]:
        """What `get KIND -A -o json` prints, asked for without starting a process."""
        query = GetQuery(kinds=kind, names=(), namespace="default", all_namespaces=True, selector="")
        with connect(self.state) as admin:
            answer: dict[str, Any] = json.loads(wire.encode(admin.call(wire.GET, query)))
        return [found for listed in answer["lists"] for found in listed["objects"]]

    def pod(self, workload: str) -> dict[str, Any]:
        """The one pod of a Deployment."""
        owned = [p for p in self.objects("pods") if owner(p) == workload]
        assert len(owned) == 1, f"{workload}: {[p['metadata']['name'] for p in owned]}"
        return owned[0]

    def pids(self) -> dict[str, int]:
        """`Deployment/container` -> process id, of all pods with one replica."""
        found = {}
        for pod in self.objects("pods"):
            for container in pod["status"]["containerStatuses"]:
                if "running" in container["state"]:
                    found[f"{owner(pod)}/{container['name']}"] = container["state"]["running"]["pid"]
        return found

    def endpoint(self, service: str) -> tuple[str, int]:
        """Where proxies reach a service's one pod: behind its sidecar, if it has one."""
        objects = [o for o in self.objects("endpoints") if o["metadata"]["name"] == service]
        (subset,) = objects[0]["subsets"]
        return subset["addresses"][0]["ip"], subset["ports"][0]["port"]

    def client(self, host: str = "127.0.0.1") -> Client:
        """A connection to the gateway's HTTP port."""
        return Client(self.http_port, host)

    def ask(self, host: str, path: str = "/", headers: Headers = (), method: str = "GET") -> Answer:
        """One request to the gateway over a connection of its own."""
        client = self.client(host)
        try:
            return client.ask(path, headers, method)
        finally:
            client.close()

    def inside(self, workload: str, code: str) -> str:
        """What a Python program prints in the workload's place in the mesh."""
        return self.cli("exec", workload, "--", "python3", "-c", code)

    def guard_pid(self) -> int:
        """The process that brings the control plane back."""
        stat = Path(f"/proc/{self.status()['pid']}/stat").read_text()
        return int(stat.rsplit(")", 1)[1].split()[1])

    def diagnostics(self, code: str) -> list[dict[str, Any]]:
        """What `status` says under that code."""
        return [line for line in self.status()["diagnostics"] if line["code"] == code]

    def certificates(self) -> dict[str, set[str]]:
        """SPIFFE ID -> the serial numbers of its certificates that proxies hold now."""
        found: dict[str, set[str]] = {}
        for path in RuntimePaths.of(self.state).run.glob("*/admin.sock"):
            with contextlib.closing(http.client.HTTPConnection("envoy", timeout=10)) as admin:
                admin.sock = socket.socket(socket.AF_UNIX)
                admin.sock.connect(str(path))
                admin.request("GET", "/certs")
                answer = json.loads(admin.getresponse().read())
            for held in answer["certificates"]:
                for leaf in held["cert_chain"]:
                    for name in leaf["subject_alt_names"]:
                        found.setdefault(name.get("uri", ""), set()).add(leaf["serial_number"])
        return found

    def leftovers(self) -> list[str]:
        """Processes, namespaces, links, tables and sockets that are still this state's."""
        tag, found = state_tag(self.state), []
        for directory in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                line = (directory / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                run = str(RuntimePaths.of(self.state).run)
                if (str(self.state) in line or run in line) and int(directory.name) != os.getpid():
                    found.append(f"process {directory.name}: {line[:200]}")
        found.extend(f"socket directory {p}" for p in [RuntimePaths.of(self.state).run] if p.exists())
        if self.isolation == "netns":
            asked = (("ip", "netns", "list"), ("ip", "-br", "link"), ("nft", "list", "tables"))
            for argv in asked:
                lines = subprocess.run(argv, capture_output=True, text=True, timeout=10).stdout.splitlines()
                found.extend(line for line in lines if f"mg-{tag}" in line or f"mg{tag}" in line)
                found.extend(line for line in lines if f"meshgate_{tag}" in line)
        return found

    def crash(self, *pids: int) -> None:
        """kill -9, the first before the second, with no time between."""
        for pid in pids:
            os.kill(pid, signal.SIGKILL)


def owner(pod: Mapping[str, Any]) -> str:
    """The Deployment of a pod."""
    return str(pod["metadata"]["ownerReferences"][0]["name"])


@contextlib.contextmanager
def running(
    state: Path, paths: Sequence[Path], isolation: str, *options: str, **ports: int
) -> Iterator[Meshgate]:
    """A meshgate of its own for a test; afterwards it is down and has left nothing."""
    meshgate = Meshgate(state=state, paths=tuple(paths), isolation=isolation, options=options, **ports)
    try:
        meshgate.up()
        yield meshgate
    finally:
        if (state / "run").exists() and meshgate.leftovers():
            meshgate.down()
    left = meshgate.leftovers()
    assert left == [], left


def deployment(
    name: str,
    version: str = "v1",
    *,
    app: str = "",
    namespace: str = "default",
    labels: str = "",
    command: str = "",
    probe: str = "/healthz",
) -> str:
    """A Deployment `name` of one pod that answers for the service `app`, with a service account `app`."""
    app = app or name
    command = command or f"python3 {SERVICE} {app} {version} 8080"
    more = f", {labels}" if labels else ""
    return f"""
apiVersion: apps/v1
kind: Deployment
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}, version: {version}}}}}
  template:
    metadata:
      labels: {{app: {app}, version: {version}{more}}}
      annotations: {{meshgate.dev/command: {command}}}
    spec:
      serviceAccountName: {app}
      containers:
      - name: app
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: {probe}, port: http}}, periodSeconds: 1}}
---
"""


def service(name: str, *, namespace: str = "default") -> str:
    """A Service of the pods with the label `app: name`, and their service account."""
    return f"""
apiVersion: v1
kind: ServiceAccount
metadata: {{name: {name}, namespace: {namespace}}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: http}}]
---
"""


def ingress(
    name: str, *, host: str, backend: str, path: str = "/", plugins: str = "", namespace: str = "default"
) -> str:
    """An Ingress of Kong's class that leads one host's path to a service's port 80."""
    return f"""
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: {name}
  namespace: {namespace}
  annotations: {{konghq.com/plugins: "{plugins}"}}
spec:
  ingressClassName: kong
  rules:
  - host: {host}
    http:
      paths:
      - path: {path}
        pathType: Prefix
        backend: {{service: {{name: {backend}, port: {{number: 80}}}}}}
---
"""


def mesh_namespace(name: str = "default") -> str:
    """A Namespace whose pods get sidecars."""
    return f"""
apiVersion: v1
kind: Namespace
metadata: {{name: {name}, labels: {{istio-injection: enabled}}}}
---
"""


def peer_authentication(name: str, mode: str, *, app: str = "", ports: str = "") -> str:
    """A PeerAuthentication for the namespace, or for the pods of `app`."""
    selector = f"  selector: {{matchLabels: {{app: {app}}}}}\n" if app else ""
    levels = f"  portLevelMtls: {ports}\n" if ports else ""
    return f"""
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}}}
spec:
{selector}  mtls: {{mode: {mode}}}
{levels}---
"""


KONG_CLASS = """
apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: {name: kong}
spec: {controller: ingress-controllers.konghq.com/kong}
---
"""
