"""Become a Redis that keeps nothing on disk: the shop's shared counters.

    python3 redis_server.py PORT

It listens where `service.py` would, and for the same reasons.
"""

from __future__ import annotations

import os
import sys

from service import address

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PORT")
    host, port = address(int(sys.argv[1]))
    command = ["redis-server", "--bind", host, "--port", str(port), "--protected-mode", "no"]
    try:
        os.execvp(command[0], [*command, "--save", "", "--appendonly", "no"])
    except FileNotFoundError:
        sys.exit("no redis-server on the PATH; on Debian and Ubuntu: apt install redis-server")
