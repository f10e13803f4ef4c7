"""Ends and removes what an earlier control plane recorded and nobody wants any more."""

from __future__ import annotations

import asyncio
import shutil

import structlog

from meshgate.runtime.envoy_process import PROXY_CONTAINER
from meshgate.runtime.netns import Network, PodNetwork
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.process import Process, end_recorded
from meshgate.runtime.process_id import is_alive
from meshgate.runtime.records import PodRecord, ProcessRecord, Records

_log = structlog.get_logger(__name__)
_GRACE_S = 5


async def end_process(record: ProcessRecord) -> None:
    """SIGTERM, 5 s, SIGKILL for the very process that was recorded, and all it started."""
    process = Process.adopt(record.identity, record.token) if record.identity else None
    if process is not None:
        await process.stop(_GRACE_S)
    end_recorded(record.identity, record.token)


def is_running(pod: PodRecord) -> bool:
    """Whether a process of the pod still runs."""
    identities = (process.identity for process in pod.processes.values())
    return any(identity is not None and is_alive(identity) for identity in identities)


async def remove_pod(pod: PodRecord, records: Records, paths: RuntimePaths, network: Network | None) -> None:
    """Leaves nothing of a recorded pod: containers, then Envoy, namespace, link, files, record."""
    apps = (process for name, process in pod.processes.items() if name != PROXY_CONTAINER)
    await asyncio.gather(*(end_process(process) for process in apps))
    proxy = pod.processes.get(PROXY_CONTAINER)
    if proxy is not None:
        await end_process(proxy)
    if network is not None and pod.netns:
        await network.delete_pod(PodNetwork(netns=pod.netns, link=pod.link, ip=pod.ip))
        network.release(pod.key)
    shutil.rmtree(paths.pod(pod.key), ignore_errors=True)
    records.remove_pod(pod.key)
    _log.info("leftover_removed", pod=str(pod.key))
