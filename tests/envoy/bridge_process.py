"""The real bridge as a process, for a real Envoy to ask."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from meshgate.app.bridge import bridge_config, cache_config, logs_config
from meshgate.app.instances import NO_INSTANCES, Instances
from meshgate.bridge.config import BridgeConfig, write_config
from meshgate.model.graph import Model
from meshgate.model.policies.cached import CACHE_LIMITS, CacheLimits
from meshgate.policies.bridge import CLUSTER
from meshgate.policies.proxy_cache import CLUSTER as CACHE_CLUSTER
from meshgate.policies.route_logs import CLUSTER as LOGS_CLUSTER

DEADLINE_S = 60.0


@asynccontextmanager
async def bridging(
    model: Model,
    folder: Path,
    instances: Instances = NO_INSTANCES,
    cache_limits: CacheLimits = CACHE_LIMITS,
) -> AsyncIterator[Mapping[str, Path]]:
    """Cluster -> its socket, where the model has anything to ask a bridge; nothing runs where not."""
    async with AsyncExitStack() as stack:
        found: dict[str, Path] = {}
        configs = {
            CLUSTER: bridge_config(model, instances),
            CACHE_CLUSTER: cache_config(model, cache_limits),
            LOGS_CLUSTER: logs_config(model, instances),
        }
        for cluster, config in configs.items():
            if config.needed:
                found[cluster] = await stack.enter_async_context(_process(config, folder / f"{cluster}.json"))
        yield found


@asynccontextmanager
async def _process(config: BridgeConfig, file: Path) -> AsyncIterator[Path]:
    write_config(file, config)
    # pytest's folders are too deep for the path of a socket.
    with tempfile.TemporaryDirectory(prefix="mg-bridge-") as short:
        socket = Path(short) / "b.sock"
        arguments = ("-m", "meshgate.bridge", "--config", str(file), "--listen", f"unix:{socket}")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=asyncio.subprocess.PIPE
        )
        try:
            assert process.stdout is not None
            async with asyncio.timeout(DEADLINE_S):
                assert await process.stdout.readline() == b"ready\n", "the bridge ended; its words are above"
            yield socket
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
