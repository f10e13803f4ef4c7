"""`python -m meshgate.ratelimit`: runs the rate limit service until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
from pathlib import Path

import structlog
import uvloop

from meshgate.core.clock import SystemClock
from meshgate.ratelimit.server import serving
from meshgate.stores.settings_file import SettingsError


def main() -> int:
    """Parses the command line and serves; 0 after an orderly stop, 1 where it cannot start."""
    parser = argparse.ArgumentParser(prog="meshgate.ratelimit", description="Envoy rate limit service")
    parser.add_argument("--rules", type=Path, required=True, metavar="FILE", help="SIGHUP re-reads it")
    parser.add_argument("--listen", required=True, metavar="unix:PATH|ADDRESS:PORT")
    parser.add_argument(
        "--ready-fd", type=int, metavar="N", help="write 'ready' here, not to stdout, once serving"
    )
    options = parser.parse_args()
    os.umask(0o077)  # the socket is for this user alone
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    status = 0
    try:
        uvloop.run(_serve(options.rules, options.listen, options.ready_fd))
    except* (SettingsError, RuntimeError, OSError) as failures:
        for failure in failures.exceptions:
            print(f"meshgate.ratelimit: {failure}", file=sys.stderr)
        status = 1
    return status


async def _serve(rules: Path, listen: str, ready_fd: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with serving(rules=rules, listen=listen, clock=SystemClock()) as watch:
        loop.add_signal_handler(signal.SIGHUP, watch.poke)
        _tell_ready(ready_fd)
        await stop.wait()


def _tell_ready(descriptor: int | None) -> None:
    if descriptor is None:
        print("ready", flush=True)
        return
    os.write(descriptor, b"ready\n")
    os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
