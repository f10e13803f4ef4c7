"""Pebble, Let's Encrypt's own ACME server for tests, and a name server that knows every name."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socketserver
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.message
import dns.query
import dns.rdatatype
import dns.rrset
import pytest

from tests.e2e.harness import ROOT
from tests.e2e.waiting import until
from tests.envoy.test_tls_files import Authority
from tests.redis_server import free_port

PEBBLE = "github.com/letsencrypt/pebble/v2/cmd/pebble@v2.10.3"
BIN = ROOT / "build/pebble"
INSTALL_DEADLINE_S = 300


@dataclass(frozen=True, slots=True)
class AcmeServer:
    directory: str
    authorities_file: Path
    """Of the server's own HTTPS."""
    root_pem: str
    """Of the certificates that it gives."""


def pebble_binary() -> Path:
    """Installed by Go's own client at the first time; the test is skipped where that cannot be."""
    found = BIN / "pebble"
    if found.exists():
        return found
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("no go, which installs the ACME server")
    env = {**os.environ, "GOBIN": str(BIN), "GOFLAGS": "-mod=mod"}
    with contextlib.suppress(subprocess.TimeoutExpired):
        done = subprocess.run(
            [go, "install", PEBBLE], env=env, cwd="/", capture_output=True, timeout=INSTALL_DEADLINE_S
        )
        if done.returncode == 0:
            return found
    pytest.skip(f"go could not install {PEBBLE}")


@contextlib.contextmanager
def acme_server(folder: Path, http_port: int) -> Iterator[AcmeServer]:
    """Runs it; it looks for every host at 127.0.0.1 and `http_port`."""
    binary = pebble_binary()
    own = Authority(folder, "pebble-ca")
    own.leaf("localhost")
    port, management = free_port(), free_port()
    settings = {
        "listenAddress": f"127.0.0.1:{port}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(folder / "localhost.crt"),
        "privateKey": str(folder / "localhost.key"),
        "httpPort": http_port,
        "tlsPort": free_port(),
        "domainBlocklist": ["blocked.example"],
        "retryAfter": {"authz": 1, "order": 1},
        "profiles": {"default": {"description": "-", "validityPeriod": 7776000}},
    }
    file = folder / "pebble.json"
    file.write_text(json.dumps({"pebble": settings}))
    trusted = ssl.create_default_context(cafile=str(folder / "pebble-ca.crt"))
    env = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with _names() as names, (folder / "pebble.log").open("wb") as log:
        process = subprocess.Popen(
            [binary, "-config", file, "-dnsserver", f"127.0.0.1:{names}"], env=env, stdout=log, stderr=log
        )
        try:

            def root() -> str:
                assert process.poll() is None, (folder / "pebble.log").read_text()
                with contextlib.suppress(OSError):
                    url = f"https://localhost:{management}/roots/0"
                    with urllib.request.urlopen(url, context=trusted, timeout=5) as answer:
                        return str(answer.read().decode())
                return ""

            pem = until(root, "the ACME server answers")
            yield AcmeServer(f"https://localhost:{port}/dir", folder / "pebble-ca.crt", pem)
        finally:
            process.terminate()
            process.wait(timeout=10)


class _Names(socketserver.BaseRequestHandler):
    """Every name is there; over TCP, as the ACME server asks."""

    def handle(self) -> None:
        with contextlib.suppress(OSError, EOFError):
            while True:
                question, _ = dns.query.receive_tcp(self.request)
                reply = dns.message.make_response(question)
                asked = reply.question[0]
                if asked.rdtype == dns.rdatatype.A:
                    reply.answer.append(dns.rrset.from_text(asked.name, 60, "IN", "A", "127.0.0.1"))
                dns.query.send_tcp(self.request, reply)


@contextlib.contextmanager
def _names() -> Iterator[int]:
    """A name server on a port of 127.0.0.1."""
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Names) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join(timeout=10)
