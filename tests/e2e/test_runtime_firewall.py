"""Pods reach one another and learn names on machines that others have set up for themselves (root).

The machine is a namespace of the test's own: what it does to the firewall stays there.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from meshgate.runtime.commands import run_blocking
from tests.unit.runtime.tools import NETNS_REASON

pytestmark = [
    pytest.mark.root,
    pytest.mark.e2e,
    pytest.mark.skipif(NETNS_REASON is not None, reason=str(NETNS_REASON)),
]
ROOT = Path(__file__).parents[2]
FIREWALL = """
table ip filter {
  chain FORWARD { type filter hook forward priority 0; policy drop; }
  chain INPUT {
    type filter hook input priority 0; policy drop;
    iifname "lo" accept
    ct state established,related accept
  }
}
"""
PROGRAM = """
import asyncio, socket, subprocess, sys
from pathlib import Path
from meshgate.runtime.dns_table import DnsTable
from meshgate.runtime.spec import Isolation
from tests.unit.runtime.tools import make_pod, make_runtime, until

KEPT = []
CALL = "import urllib.request as u; print(u.urlopen('http://two.test:8080/', timeout=5).read().decode())"

async def main():
    # A resolver of the machine's own, for all addresses that it has or gets.
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        taken = socket.socket(socket.AF_INET, kind)
        taken.bind(("0.0.0.0", 53))
        KEPT.append(taken)
    runtime = make_runtime(Path(sys.argv[1]), Isolation.NETNS)
    await runtime.adopt()
    try:
        one, two = make_pod("one"), make_pod("two")
        await runtime.apply([one, two])
        await until(lambda: all(pod.ready for pod in runtime.pods()), "ready")
        status = next(pod for pod in runtime.pods() if pod.name == "two")
        runtime.set_names(DnsTable(names={"two.test": (status.ip,)}))
        plan = runtime.exec_in(one.key, (sys.executable, "-c", CALL))
        said = subprocess.run(plan.argv, env=dict(plan.env), capture_output=True, text=True, timeout=20)
        assert said.stdout.strip() == str(status.pids["app"]), said.stderr
    finally:
        await runtime.shutdown()

asyncio.run(main())
"""


def test_a_firewall_is_opened_and_closed_again_and_port_53_may_be_taken(tmp_path: Path) -> None:
    machine = f"mg-machine-{os.getpid()}"
    inside = ("ip", "netns", "exec", machine)
    run_blocking(("ip", "netns", "add", machine))
    try:
        run_blocking(("ip", "-n", machine, "link", "set", "lo", "up"))
        run_blocking((*inside, "nft", "-f", "-"), FIREWALL)
        before = run_blocking((*inside, "nft", "list", "ruleset"))
        argv = (*inside, sys.executable, "-c", PROGRAM, str(tmp_path))
        done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, timeout=80)
        assert done.returncode == 0, done.stderr
        assert run_blocking((*inside, "nft", "list", "ruleset")) == before
    finally:
        run_blocking(("ip", "netns", "delete", machine))
