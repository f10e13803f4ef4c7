"""Asks a container whether it is well, as the kubelet would, from inside the pod's own network."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cache
from typing import assert_never

from meshgate.runtime.http_ask import BadAnswer, ask
from meshgate.runtime.netns import enter_argv
from meshgate.runtime.placement import Placement
from meshgate.runtime.spec import Exec, Grpc, Hook, HttpGet, Probe, ProbeAction, Sleep, TcpSocket

_CLONE_NEWNET = 0x40000000


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The result of asking once."""

    ok: bool
    reason: str = ""
    """Why not; empty where `ok`."""


_OK = Verdict(ok=True)


@cache
def _namespace_thread() -> ThreadPoolExecutor:
    """The one thread that visits other namespaces, so that nobody else's sockets land there."""
    return ThreadPoolExecutor(max_workers=1, thread_name_prefix="meshgate-netns")


def _socket_in(netns: str) -> socket.socket:
    """A TCP socket that belongs to the namespace; it stays there whoever uses it.

    Python has `os.setns` only from 3.12 on.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    try:
        away = os.open(f"/run/netns/{netns}", os.O_RDONLY)
        try:
            if libc.setns(away, _CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), f"cannot enter network namespace {netns}")
            try:
                return socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            finally:
                if libc.setns(home, _CLONE_NEWNET) != 0:
                    raise SystemExit("cannot return from a network namespace")
        finally:
            os.close(away)
    finally:
        os.close(home)


async def connect(placement: Placement, port: int) -> socket.socket:
    """A connection to the application itself, never to its sidecar; raises `OSError`.

    Inside the namespace, over its loopback device: no rule redirects it there, and STRICT
    mTLS needs no exception for probes.
    """
    loop = asyncio.get_running_loop()
    if placement.netns:
        sock = await loop.run_in_executor(_namespace_thread(), _socket_in, placement.netns)
    else:
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, (placement.ip, placement.app_ports.get(port, port)))
    except BaseException:
        sock.close()
        raise
    return sock


@dataclass(frozen=True, slots=True, kw_only=True)
class Prober:
    """Asks one container; knows where it is and in what environment its commands run."""

    placement: Placement
    env: Mapping[str, str] = field(repr=False)
    cwd: str | None = None

    async def check(self, probe: Probe) -> Verdict:
        """One question with the probe's own deadline; never raises for what the container does."""
        try:
            async with asyncio.timeout(probe.timeout_s):
                return await self._judge(probe.action)
        except TimeoutError:
            return Verdict(ok=False, reason=f"no answer within {probe.timeout_s:g} s")

    async def act(self, hook: Hook) -> Verdict:
        """Does what a life cycle hook says, once; the caller sets the deadline."""
        if isinstance(hook, Sleep):
            await asyncio.sleep(hook.seconds)
            return _OK
        return await self._judge(hook)

    async def _judge(self, action: ProbeAction) -> Verdict:
        try:
            return await self._ask(action)
        except BadAnswer as bad:
            return Verdict(ok=False, reason=str(bad))
        except OSError as failed:
            return Verdict(ok=False, reason=os.strerror(failed.errno) if failed.errno else str(failed))

    async def _ask(self, action: ProbeAction) -> Verdict:
        match action:
            case HttpGet():
                return await self._http(action)
            case TcpSocket(port=port):
                (await connect(self.placement, port)).close()
                return _OK
            case Exec(argv=argv):
                return await self._run(argv)
            case Grpc(port=port, service=service):
                return await self._grpc(port, service)
            case _:
                assert_never(action)

    async def _http(self, action: HttpGet) -> Verdict:
        sock = await connect(self.placement, action.port)
        secure = _no_checks() if action.scheme.upper() == "HTTPS" else None
        try:
            name = self.placement.ip if secure else None
            streams = await asyncio.open_connection(sock=sock, ssl=secure, server_hostname=name)
        except BaseException:
            sock.close()
            raise
        host = ("Host", f"{self.placement.ip}:{action.port}")
        named = any(header.lower() == "host" for header, _ in action.headers)
        headers = action.headers if named else (host, *action.headers)
        path = action.path if action.path.startswith("/") else f"/{action.path}"
        answer = await ask(streams, "GET", path, headers)
        if 200 <= answer.status < 400:
            return _OK
        return Verdict(ok=False, reason=f"HTTP status {answer.status}")

    async def _grpc(self, port: int, service: str) -> Verdict:
        # Few manifests have such a probe, and all would pay for what it takes.
        from meshgate.runtime.grpc_ask import health

        sock = await connect(self.placement, port)
        try:
            streams = await asyncio.open_connection(sock=sock)
        except BaseException:
            sock.close()
            raise
        reason = await health(streams, f"{self.placement.ip}:{port}", service)
        return Verdict(ok=not reason, reason=reason)

    async def _run(self, argv: tuple[str, ...]) -> Verdict:
        child = await asyncio.create_subprocess_exec(
            *enter_argv(self.placement.netns, argv),
            env=dict(self.env),
            cwd=self.cwd,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            code = await child.wait()
        finally:
            if child.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    child.kill()
                await child.wait()
        return _OK if code == 0 else Verdict(ok=False, reason=f"{argv[0]} ended with {code}")


@cache
def _no_checks() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


Check = Callable[[Probe], Awaitable[Verdict]]
_EAGER_S = 0.05


async def first_success(probe: Probe, check: Check, note: Callable[[str], None]) -> None:
    """Returns once the probe has succeeded `success_threshold` times in a row.

    It asks more often than the period at first, so that a fast start is seen fast. Each
    failure's reason goes to `note`.
    """
    wait_s = min(_EAGER_S, probe.period_s)
    good = 0
    while True:
        verdict = await check(probe)
        good = good + 1 if verdict.ok else 0
        if good >= probe.success_threshold:
            return
        if not verdict.ok:
            note(verdict.reason)
        await asyncio.sleep(wait_s)
        wait_s = min(wait_s * 1.5, probe.period_s)


async def until_failed(probe: Probe, check: Check) -> str:
    """Returns the reason once the probe has failed `failure_threshold` times in a row."""
    bad = 0
    while True:
        verdict = await check(probe)
        bad = 0 if verdict.ok else bad + 1
        if bad >= probe.failure_threshold:
            return verdict.reason
        await asyncio.sleep(probe.period_s)


async def startup(probe: Probe, check: Check, note: Callable[[str], None]) -> bool:
    """Whether the container has started within the probe's patience (`failure_threshold` periods)."""
    await asyncio.sleep(probe.initial_delay_s)
    try:
        async with asyncio.timeout(probe.failure_threshold * probe.period_s):
            await first_success(probe, check, note)
    except TimeoutError:
        return False
    return True
