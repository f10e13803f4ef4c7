"""`meshgate up`: starts the control plane under its guard."""

from __future__ import annotations

import enum
import ipaddress
import socket
import subprocess
import threading
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from meshgate.cli.client import answers, connect, socket_of
from meshgate.cli.errors import CliError
from meshgate.cli.events import announce, show_events
from meshgate.cli.options import DEFAULT_STATE, AllowLua, State
from meshgate.cli.status import print_hosts, print_problems, print_stand_ins
from meshgate.core.own_process import own_module
from meshgate.core.units import parse_duration_ms
from meshgate.model.policies.cached import CacheLimits
from meshgate.model.proxy import Isolation
from meshgate.runtime.guard import Guard
from meshgate.runtime.log_files import open_log, tail
from meshgate.runtime.paths import RuntimePaths, left_behind
from meshgate.sources import admin_protocol as wire
from meshgate.sources.admin_protocol import Nothing
from meshgate.sources.backend import StatusReport
from meshgate.sources.manifests import STANDARD_INPUT, has_manifests
from meshgate.sources.up_options import UpOptions

_READY_S = 120.0
"""How long `--detach` waits for the gateway."""
_PODS_S = 30.0
"""How long it then waits for pods that are still starting, so that the first request finds them."""
_CANNOT_BIND = "cannot bind"
"""Envoy 1.40's words for an address in use; it does not try again by itself."""
_SHORTEST_SVID = timedelta(seconds=30)


class IsolationChoice(enum.StrEnum):
    """How pods are kept apart."""

    AUTO = "auto"
    NETNS = "netns"
    PORTS = "ports"


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(up)


def up(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Manifests: files or folders.")],
    state: State = DEFAULT_STATE,
    isolation: Annotated[
        IsolationChoice, typer.Option(help="A network of its own for each pod (root), or ports.")
    ] = IsolationChoice.AUTO,
    http_port: Annotated[int, typer.Option(min=1, max=65535, help="The gateway's port for HTTP.")] = 8080,
    https_port: Annotated[int, typer.Option(min=0, max=65535, help="For HTTPS; 0 for none.")] = 8443,
    http3: Annotated[bool, typer.Option("--http3", help="HTTP/3 too, at the HTTPS port's UDP side.")] = False,
    gateway_address: Annotated[str, typer.Option(help="Address on which the gateway listens.")] = "127.0.0.1",
    locality: Annotated[
        str, typer.Option(metavar="REGION/ZONE/SUB-ZONE", help="Where the gateway is, for rules by place.")
    ] = "",
    svid_lifetime: Annotated[
        str, typer.Option(metavar="DURATION", help="Life of a workload's certificate, at least 30s.")
    ] = "24h",
    metrics_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Prometheus scrapes 127.0.0.1 here; 0 for nowhere.")
    ] = 0,
    allow_lua: AllowLua = False,
    stand_ins: Annotated[
        bool, typer.Option("--stand-ins", help="Containers without a command answer with what arrived.")
    ] = False,
    cache_memory: Annotated[
        int,
        typer.Option(min=4, max=1 << 20, metavar="MIB", help="For what proxy-cache keeps."),
    ] = 128,
    cache_answer: Annotated[
        int, typer.Option(min=1, max=64, metavar="MIB", help="The longest answer that proxy-cache keeps.")
    ] = 1,
    detach: Annotated[bool, typer.Option("--detach", "-d", help="Return once the gateway is ready.")] = False,
) -> None:
    """Run these services, a gateway before and a mesh between them.

    An edit takes effect when the file is saved. Ctrl-C, or `meshgate down` where it was detached, ends all.

    Examples: meshgate up manifests; meshgate up examples/hello --detach.
    """
    for path in paths:
        if path == STANDARD_INPUT:
            raise CliError("the standard input cannot be watched", "name a folder; `apply -f -` adds to it")
        try:
            Path(path).stat()
        except OSError as error:
            raise CliError(f"{path}: {error.strerror}", "name files or folders with manifests") from error
    if not has_manifests(paths):
        typer.echo(f"note: {', '.join(paths)}: no file with the ending .yaml, .yml or .json yet", err=True)
    if http_port == https_port:
        raise CliError("HTTP and HTTPS need ports of their own", "choose another --https-port")
    if 4 * cache_answer > cache_memory:
        raise CliError("one answer may take a quarter of the memory", "choose a larger --cache-memory")
    options = UpOptions(
        paths=tuple(paths),
        state=state.absolute(),
        isolation=None if isolation is IsolationChoice.AUTO else Isolation(isolation.value),
        http_port=http_port,
        https_port=https_port,
        http3=http3,
        gateway_address=_address(gateway_address),
        locality=locality,
        svid_lifetime=_lifetime(svid_lifetime),
        metrics_port=metrics_port,
        allow_lua=allow_lua,
        stand_ins=stand_ins,
        cache_limits=CacheLimits(memory_bytes=cache_memory << 20, answer_bytes=cache_answer << 20),
        detach=detach,
    )
    _make_state(options.state)
    if answers(socket_of(options.state)):
        raise CliError(f"meshgate runs on {state} already", "use `meshgate down`, or another --state")
    if not left_behind(options.state):  # else the listener there may be our own, which goes on
        _refuse_taken_port(options.gateway_address, http_port, "--http-port")
        _refuse_taken_port(options.gateway_address, https_port, "--https-port")
        _refuse_taken_port("127.0.0.1", metrics_port, "--metrics-port")
    if detach:
        started = start_detached(options)
        console = Console(highlight=False, soft_wrap=True)
        for address in started.report.gateway_addresses:
            console.print(f"gateway  {address}", markup=False)
        print_hosts(console, started.report)
        print_stand_ins(console, started.report)
        console.print(f"log      {started.log}", markup=False)
        for line in started.waiting:
            console.print(f"waiting  {line}", markup=False)
        print_problems(console, started.report)
    else:
        raise typer.Exit(_run_here(options))


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text))
    except ValueError as error:
        raise CliError(f"--gateway-address must be an IP address, got {text!r}") from error


def _refuse_taken_port(address: str, port: int, option: str) -> None:
    """Envoy would go on without the listener: better to hear of it before anything starts."""
    if not port:
        return
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            raise CliError(
                f"the gateway cannot listen on {address}, port {port}: {error.strerror}",
                f"choose another {option}, or see what listens there",
            ) from error


def _lifetime(text: str) -> timedelta:
    milliseconds = parse_duration_ms(text)
    if milliseconds is None or not 0 < milliseconds < 1e12:
        raise CliError(f"--svid-lifetime must be a duration like 24h or 90s, got {text!r}")
    lifetime = timedelta(milliseconds=milliseconds)
    if lifetime < _SHORTEST_SVID:
        raise CliError(f"--svid-lifetime must be at least 30s, got {text}")
    return lifetime


def _make_state(state: Path) -> None:
    try:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CliError(
            f"the state directory {state} cannot be made: {error.strerror}", "name another with --state"
        ) from error


def control_plane_argv(options: UpOptions) -> tuple[str, ...]:
    """The process that the guard keeps alive.

    `-P` keeps modules of the folder we were called in from standing before our own.
    """
    return own_module("meshgate.app", options.to_json())


def _run_here(options: UpOptions) -> int:
    """Guards the control plane in this process while threads show what happens."""
    over = threading.Event()
    for show in (announce, show_events):
        threading.Thread(target=show, args=(options.state, over), daemon=True).start()
    try:
        return Guard(control_plane_argv(options)).run()
    finally:
        over.set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A meshgate that runs by itself."""

    report: StatusReport
    """Once the gateway was ready and the pods had their time."""
    log: Path
    guard_pid: int
    waiting: tuple[str, ...] = ()
    """Pods that are not ready yet, and why."""


def start_detached(options: UpOptions) -> Started:
    """Starts the guard with its control plane in a session of their own; returns once the gateway is ready.

    The state directory must exist. Raises `CliError` where the gateway does not come; then,
    and where the caller is interrupted, nothing is left running.
    """
    log = RuntimePaths.of(options.state).daemon_log("meshgate")
    start = log.stat().st_size if log.exists() else 0
    argv = own_module("meshgate.runtime.guard", *control_plane_argv(options))
    descriptor = open_log(log)
    guard = subprocess.Popen(
        argv, stdin=subprocess.DEVNULL, stdout=descriptor, stderr=descriptor, start_new_session=True
    )
    try:
        ready = _wait_until_ready(options, guard, log, start)
        report, waiting = _wait_for_pods(options, ready)
    except BaseException:
        guard.terminate()
        guard.wait(timeout=60)
        raise
    # It outlives us; without this, Python would warn of a child that nobody waits for.
    guard.returncode = 0
    return Started(report=report, log=log, guard_pid=guard.pid, waiting=waiting)


def _wait_until_ready(
    options: UpOptions, guard: subprocess.Popen[bytes], log: Path, start: int
) -> StatusReport:
    until, last = time.monotonic() + _READY_S, None
    while time.monotonic() < until:
        if guard.poll() is not None:
            lines = "\n  ".join(tail(log, 15, start))
            raise CliError(f"meshgate ended with exit code {guard.returncode}", lines)
        if (report := _report(options.state)) is not None:
            if report.gateway_ready:
                return report
            if _CANNOT_BIND in report.gateway_refused:
                raise CliError(
                    f"the gateway cannot listen: {report.gateway_refused}",
                    "choose other ports, or see what listens there",
                )
            last = report
        time.sleep(0.1)
    raise CliError(f"the gateway was not ready within {_READY_S:.0f} s", f"{_what_keeps(last)}see {log}")


def _what_keeps(report: StatusReport | None) -> str:
    """A line for each thing that is not as it should be, for who waited in vain."""
    if report is None:
        return ""
    pods = (f"{p.namespace}/{p.name}: {p.message or p.phase}" for p in report.pods if not p.ready)
    proxies = (f"{p.id}: {p.detail}" for p in report.proxies if not p.synced)
    errors = (f"{d.code}: {d.message}" for d in report.diagnostics if d.severity == "error")
    return "".join(f"{line}\n  " for line in (*pods, *proxies, *errors))


def _report(state: Path) -> StatusReport | None:
    """The status; None where nobody answers now, e.g. between two lives of the control plane."""
    if not answers(socket_of(state)):
        return None
    try:
        with connect(state) as client:
            return client.call(wire.STATUS, Nothing())
    except CliError:
        return None


def _wait_for_pods(options: UpOptions, report: StatusReport) -> tuple[StatusReport, tuple[str, ...]]:
    """Waits until every pod is ready or in trouble; how it is then, and what is not ready and why."""
    until = time.monotonic() + _PODS_S
    while True:
        if (found := _report(options.state)) is None:
            return report, ()
        report = found
        missing = [pod for pod in report.pods if not pod.ready]
        starting = [pod for pod in missing if pod.phase != "CrashLoopBackOff"]
        if not starting or time.monotonic() > until:
            lines = (f"{p.namespace}/{p.name} is not ready: {p.message or p.phase}" for p in missing)
            return report, tuple(lines)
        time.sleep(0.1)
