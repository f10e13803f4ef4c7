"""`python -m meshgate.standins`: one stand-in, until SIGTERM or SIGINT."""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import signal
import sys

from meshgate.standins.identity import Identity
from meshgate.standins.server import Port, Server

_PORT = re.compile(r"([1-9]\d{0,4})(?:/(tcp|udp))?")


def main() -> int:
    """0 after an orderly end, 1 where a port cannot be had; the environment tells of the pod."""
    parser = argparse.ArgumentParser(prog="meshgate.standins", description="answers with what arrived")
    parser.add_argument("--workload", required=True)
    parser.add_argument("--container", required=True)
    parser.add_argument("--image", default="")
    parser.add_argument("--version", default="")
    parser.add_argument("--port", action="append", default=[], type=_port, metavar="NUMBER[/tcp|/udp]")
    options = parser.parse_args()
    identity = Identity(
        workload=options.workload,
        namespace=os.environ.get("POD_NAMESPACE", ""),
        pod=os.environ.get("POD_NAME", ""),
        container=options.container,
        image=options.image,
        version=options.version,
    )
    # In ports isolation the pod's address is the loopback's: nobody else's machine shall get in.
    pod_ip = os.environ.get("POD_IP", "127.0.0.1")
    address = pod_ip if pod_ip.startswith("127.") else "0.0.0.0"
    try:
        asyncio.run(_serve(Server(identity, address, tuple(options.port))))
    except OSError as error:
        print(f"stand-in for {options.image or options.container}: {error}", file=sys.stderr)
        return 1
    return 0


def _port(text: str) -> Port:
    found = _PORT.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no port")
    real = os.environ.get(f"PORT_{found[1]}", found[1])
    return Port(number=int(found[1]), listens_at=int(real), transport=found[2] or "")


async def _serve(server: Server) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await server.run(stop)


if __name__ == "__main__":
    sys.exit(main())
