"""Hosts a runtime for the tests that kill its host: `runtime_host STATE ISOLATION [POD...]`.

A POD is `name:hash`, meshed. It prints one JSON line per change, `{"adopted": [...]}` first.
SIGTERM shuts it down in order.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from pathlib import Path

import structlog

from meshgate.runtime.spec import Isolation
from tests.unit.runtime.tools import make_pod, make_runtime


async def main() -> None:
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    state, isolation, *pods = sys.argv[1:]
    runtime = make_runtime(Path(state), Isolation(isolation))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    adopted = await runtime.adopt()
    print(json.dumps({"adopted": [key.name for key in adopted]}), flush=True)
    specs = [
        make_pod(name, spec_hash=spec_hash, meshed=True)
        for name, _, spec_hash in (pod.partition(":") for pod in pods)
    ]
    await runtime.apply(specs)

    async def tell() -> None:
        while True:
            status = await runtime.statuses.get()
            line = {
                "name": status.name,
                "hash": status.spec_hash,
                "ip": status.ip,
                "ready": status.ready,
                "phase": status.phase.value,
                "pids": dict(status.pids),
                "inbound": status.inbound_ports.get(8080),
                "message": status.message,
            }
            print(json.dumps(line), flush=True)

    teller = asyncio.create_task(tell())
    await stop.wait()
    await runtime.shutdown()
    teller.cancel()


asyncio.run(main())
