"""Runs the DNS process and writes the table that it answers from."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence

from meshgate.runtime.keeper import Keeper, Kept
from meshgate.runtime.paths import RuntimePaths
from meshgate.runtime.placement import inherited_environment
from meshgate.runtime.process import Launch
from meshgate.runtime.records import ProcessRecord

DNS_DAEMON = "dns"
DNS_PORT = 53
_NOBODY = "65534"
_POLL_S = 0.05


def write_table(paths: RuntimePaths, names: Mapping[str, Sequence[str]]) -> None:
    """Replaces the table in one step; a reader sees the old or the new one."""
    fresh = paths.dns_table.with_suffix(".tmp")
    fresh.write_text(json.dumps({name: list(ips) for name, ips in names.items()}))
    fresh.chmod(0o644)
    fresh.replace(paths.dns_table)


def dns_keeper(
    paths: RuntimePaths,
    address: str,
    domain: str,
    record: Callable[[ProcessRecord | None], None],
) -> Keeper:
    """Keeps `meshgate.runtime.dns` alive on `address`:53."""

    def launch(token: str) -> Launch:
        argv = (
            *(sys.executable, "-m", "meshgate.runtime.dns", "--table", str(paths.dns_table)),
            *("--listen", f"{address}:{DNS_PORT}", "--domain", domain, "--user", _NOBODY),
        )
        return Launch(argv=argv, env=inherited_environment(), log=paths.daemon_log(DNS_DAEMON), token=token)

    async def watch(keeper: Keeper, adopted: bool) -> None:
        while not keeper.ready:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection(address, DNS_PORT)
                writer.close()
                keeper.set_ready(True)
                return
            await asyncio.sleep(_POLL_S)

    kept = Kept(name=DNS_DAEMON, owner="", launch=launch, watch=watch, record=record, changed=lambda: None)
    return Keeper(kept)
