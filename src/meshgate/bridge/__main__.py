"""`python -m meshgate.bridge`: answers Envoy until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog
import uvloop

from meshgate.bridge.server import serving
from meshgate.core.clock import SystemClock
from meshgate.stores.settings_file import SettingsError

MAX_THREADS = 64
"""They are made when they are needed."""


def main() -> int:
    """Parses the command line and serves; 0 after an orderly stop, 1 where it cannot start."""
    parser = argparse.ArgumentParser(prog="meshgate.bridge", description="decides what Envoy cannot")
    parser.add_argument("--config", type=Path, required=True, metavar="FILE", help="SIGHUP re-reads it")
    parser.add_argument("--listen", required=True, metavar="unix:PATH|ADDRESS:PORT")
    options = parser.parse_args()
    os.umask(0o077)  # the socket is for this user alone
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        uvloop.run(_serve(options.config, options.listen))
    except (SettingsError, RuntimeError, OSError) as failure:
        print(f"meshgate.bridge: {failure}", file=sys.stderr)
        return 1
    return 0


async def _serve(config: Path, listen: str) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Names are looked up and files written in threads: a name server that hangs must not hold them all.
    loop.set_default_executor(ThreadPoolExecutor(max_workers=MAX_THREADS, thread_name_prefix="bridge"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(config=config, listen=listen, clock=SystemClock()) as watch:
        loop.add_signal_handler(signal.SIGHUP, watch.poke)
        print("ready", flush=True)
        await stop.wait()


if __name__ == "__main__":
    sys.exit(main())
