"""Virtual addresses of services in netns isolation: stable over edits and restarts."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from collections.abc import Iterable, Mapping
from pathlib import Path


class ServiceAddresses:
    """Gives each host an address of the service subnet and remembers it in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._known: dict[str, str] = dict(json.loads(path.read_text()))
        except (FileNotFoundError, ValueError):
            self._known = {}

    def assign(self, hosts: Iterable[str], subnet: ipaddress.IPv4Network) -> Mapping[str, str]:
        """The address of every host; those of hosts that are gone may be given to others."""
        wanted = sorted(hosts)
        kept = {
            host: address
            for host in wanted
            if (address := self._known.get(host)) and ipaddress.IPv4Address(address) in subnet
        }
        taken = set(kept.values())
        count = subnet.num_addresses - 2
        for host in wanted:
            if host in kept:
                continue
            first = int(hashlib.sha256(host.encode()).hexdigest(), 16) % count
            for step in range(count):
                address = str(subnet.network_address + 1 + (first + step) % count)
                if address not in taken:
                    kept[host] = address
                    taken.add(address)
                    break
        if kept != self._known:
            self._known = kept
            fresh = self._path.with_suffix(".tmp")
            fresh.write_text(json.dumps(kept, sort_keys=True))
            fresh.replace(self._path)
        return kept
