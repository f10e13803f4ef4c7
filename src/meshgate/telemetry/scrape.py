"""Asks all proxies at once and puts together what they say."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from meshgate.telemetry.directory import Directory
from meshgate.telemetry.exposition import Exposition, Sample, read
from meshgate.telemetry.istio import Subject, add_proxy

DEADLINE_S = 5.0
"""For one proxy or application; Prometheus itself waits ten by default."""
AT_ONCE = 32

PROXY_STATS = (
    r"^(istio|kong)\.|^server\.(uptime|memory_allocated|total_connections|days_until_first_cert_expiring)$"
    r"|^listener_manager\.lds\.update_rejected$|^cluster_manager\.cds\.update_rejected$"
    r"|^control_plane\.connected_state$"
)
"""What is asked of Envoy: the metrics of traffic, and a few about itself."""

Fetch = Callable[[], Awaitable[str | None]]
"""A text in Prometheus' format; None where nobody answers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One pod."""

    subject: Subject
    proxy: Fetch | None
    application: Fetch | None = None
    """What the application itself counts (`prometheus.io/scrape`)."""


async def scrape(targets: Sequence[Target], directory: Directory, found: Exposition) -> None:
    """Adds what every target says; one that does not answer is counted and left out."""
    begun = time.monotonic()
    limit = asyncio.Semaphore(AT_ONCE)

    async def ask(fetch: Fetch | None) -> str | None:
        if fetch is None:
            return ""
        async with limit:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    return await fetch()
            except TimeoutError:
                return None

    proxies = await asyncio.gather(*(ask(one.proxy) for one in targets))
    applications = await asyncio.gather(*(ask(one.application) for one in targets))
    for target, text in zip(targets, proxies, strict=True):
        if text:
            add_proxy(text, target.subject, directory, found)
    for target, text in zip(targets, applications, strict=True):
        if text:
            _add_application(text, target.subject, found)
    failed = sum(text is None for text in (*proxies, *applications))
    found.gauge("meshgate_scrape_targets", len(targets), {}, "Pods that were asked.")
    found.gauge("meshgate_scrape_failures", failed, {}, "Proxies and applications that did not answer.")
    found.gauge("meshgate_scrape_seconds", time.monotonic() - begun, {}, "How long asking all of them took.")


def _add_application(text: str, subject: Subject, found: Exposition) -> None:
    for family, kind, sample in read(text):
        taken = {name for name, _ in sample.labels}
        place = tuple(pair for pair in subject.place if pair[0] not in taken)
        found.add(kind, family, (Sample(sample.name, (*sample.labels, *place), sample.value),))
