"""Become a Redis that keeps nothing on disk: the shop's shared counters.

    python3 redis_server.py PORT

As in `service.py`, `PORT` in the environment means a shared machine: then that port, and
only from this machine.
"""

from __future__ import annotations

import os
import sys

if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} PORT")
    shared = os.environ.get("PORT")
    reach = ["--bind", "127.0.0.1"] if shared else ["--bind", "0.0.0.0", "--protected-mode", "no"]
    try:
        os.execvp(
            "redis-server",
            ["redis-server", "--port", shared or sys.argv[1], *reach, "--save", "", "--appendonly", "no"],
        )
    except FileNotFoundError:
        sys.exit("no redis-server on the PATH; on Debian and Ubuntu: apt install redis-server")
