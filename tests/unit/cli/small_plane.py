"""A control plane without proxies: the real admin server, store and files.

Run as `python -m tests.unit.cli.small_plane OPTIONS`.
"""

from __future__ import annotations

import asyncio
import sys

from meshgate.cli.client import socket_of
from meshgate.runtime.guard import note_guard
from meshgate.runtime.paths import RuntimePaths
from meshgate.sources.admin import AdminServer
from meshgate.sources.files import FileSource
from meshgate.sources.object_api import ObjectApi
from meshgate.sources.objects import ObjectStore
from meshgate.sources.up_options import UpOptions
from tests.unit.sources.control import HandClock, SmallBackend, check


async def run(options: UpOptions, started: asyncio.Event | None = None) -> int:
    """Serves until `down`."""
    store = ObjectStore(check=check, clock=HandClock())
    backend = SmallBackend(store, options.state / "web.log")
    source = FileSource(options.paths, store)
    source.load()
    server = AdminServer(socket_of(options.state), ObjectApi(store, backend), backend)
    tasks = [asyncio.create_task(server.run()), asyncio.create_task(source.run())]
    try:
        await asyncio.wait_for(server.started.wait(), 60)
        if started is not None:
            started.set()
        await backend.stopped.wait()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        store.close()
    return 0


def main() -> int:
    """Under a guard, which commands look for, as the real one does."""
    options = UpOptions.from_json(sys.argv[1])
    paths = RuntimePaths.of(options.state)
    paths.create()
    note_guard(paths.run)
    code = asyncio.run(run(options))
    paths.remove()
    return code


if __name__ == "__main__":
    sys.exit(main())
