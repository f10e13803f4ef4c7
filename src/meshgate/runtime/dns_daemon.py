"""The DNS process as a daemon, and the table that it answers from."""

from __future__ import annotations

from meshgate.core.own_process import own_module
from meshgate.runtime.daemons import Daemon
from meshgate.runtime.dns_table import DnsTable
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.redirect import DIRECT_DNS_PORT, DNS_PORT

DNS_DAEMON = "dns"
_NOBODY = "65534"


def dns_daemon(paths: RuntimePaths, address: str, domain: str) -> Daemon:
    """`meshgate.runtime.dns` on `address`, for programs and for sidecars, with a table to begin with."""
    if not paths.dns_table.exists():
        write_table(paths, DnsTable())
    arguments = (
        *("--table", str(paths.dns_table)),
        *("--listen", f"{address}:{DNS_PORT}", "--direct", f"{address}:{DIRECT_DNS_PORT}"),
        *("--domain", domain, "--user", _NOBODY),
    )
    return Daemon(
        name=DNS_DAEMON, argv=own_module("meshgate.runtime.dns", *arguments), socket=(address, DNS_PORT)
    )


def write_table(paths: RuntimePaths, table: DnsTable) -> None:
    """Replaces the table in one step; a reader sees the old or the new one."""
    fresh = paths.dns_table.with_suffix(".tmp")
    fresh.write_text(table.as_json())
    fresh.chmod(0o644)
    fresh.replace(paths.dns_table)
