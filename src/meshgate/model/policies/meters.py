"""Kong's plugins that send numbers about each request to a server for statistics, as data."""

from __future__ import annotations

from dataclasses import dataclass

from meshgate.core.origin import BUILT_IN, Origin
from meshgate.model.policies.queues import ONE_BY_ONE, QueueLimits


@dataclass(frozen=True, slots=True, kw_only=True)
class Meter:
    """One number of each request."""

    name: str
    """Kong's: `request_count`, `latency`, ..."""
    stat_type: str
    """`counter`, `gauge`, `histogram`, `meter`, `set`, `timer`, `distribution`."""
    sample_rate: float | None = None
    """Told to the server, as in Kong: each request is sent."""
    consumer_identifier: str = ""
    service_identifier: str = ""
    workspace_identifier: str = ""
    tags: tuple[str, ...] = ()
    """`datadog`'s own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statsd:
    """Kong's `statsd`."""

    host: str = "localhost"
    port: int = 8125
    prefix: str = "kong"
    meters: tuple[Meter, ...] = ()
    allow_status_codes: tuple[tuple[int, int], ...] | None = None
    """Ranges of what is told; None: all."""
    udp_packet_size: int = 0
    """So much is put together in a datagram; 0: each by itself."""
    use_tcp: bool = False
    hostname_in_prefix: bool = False
    consumer_identifier: str = "custom_id"
    service_identifier: str = "service_name_or_host"
    workspace_identifier: str = "workspace_id"
    tag_style: str = ""
    """`dogstatsd`, `influxdb`, `librato`, `signalfx`; empty: names hold what tags would."""
    queue: QueueLimits = ONE_BY_ONE
    origin: Origin = BUILT_IN


@dataclass(frozen=True, slots=True, kw_only=True)
class Datadog:
    """Kong's `datadog`."""

    host: str = "localhost"
    port: int = 8125
    prefix: str = "kong"
    meters: tuple[Meter, ...] = ()
    service_name_tag: str = "name"
    status_tag: str = "status"
    consumer_tag: str = "consumer"
    queue: QueueLimits = ONE_BY_ONE
    origin: Origin = BUILT_IN
