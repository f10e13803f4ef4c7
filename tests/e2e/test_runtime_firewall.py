"""Pods reach one another on a machine whose firewall forwards nothing, as Docker leaves it (root).

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
FIREWALL = "table ip filter {\n chain FORWARD {\n type filter hook forward priority 0; policy drop;\n }\n}\n"
PROGRAM = """
import asyncio, subprocess, sys
from pathlib import Path
from meshgate.runtime.spec import Isolation
from tests.unit.runtime.tools import make_pod, make_runtime, until

CALL = "import urllib.request as u; print(u.urlopen('http://%s:8080/', timeout=5).read().decode())"

async def main():
    runtime = make_runtime(Path(sys.argv[1]), Isolation.NETNS)
    await runtime.adopt()
    try:
        one, two = make_pod("one"), make_pod("two")
        await runtime.apply([one, two])
        await until(lambda: all(pod.ready for pod in runtime.pods()), "ready")
        status = next(pod for pod in runtime.pods() if pod.name == "two")
        plan = runtime.exec_in(one.key, (sys.executable, "-c", CALL % status.ip))
        said = subprocess.run(plan.argv, env=dict(plan.env), capture_output=True, text=True, timeout=20)
        assert said.stdout.strip() == str(status.pids["app"]), said.stderr
    finally:
        await runtime.shutdown()

asyncio.run(main())
"""


def test_a_firewall_that_drops_forwarded_traffic_is_opened_and_closed_again(tmp_path: Path) -> None:
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
