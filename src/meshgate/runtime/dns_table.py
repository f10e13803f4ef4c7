"""What DNS answers inside of the pods, and the file that carries it to the DNS process."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

import structlog

_log = structlog.get_logger(__name__)
Addresses = tuple[str, ...]
EVERYWHERE = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class HostEntry:
    """A host outside of the mesh with an address that only sidecars understand."""

    addresses: Addresses
    namespaces: tuple[str, ...] = (EVERYWHERE,)
    """Whose pods know it; `*` for all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsTable:
    """Names in lower case without last dot; `*.x` stands for every name below `x`."""

    names: Mapping[str, Addresses] = field(default_factory=dict)
    """For everybody; a name may have no address."""
    aliases: Mapping[str, str] = field(default_factory=dict)
    """Name -> the name that it stands for (CNAME)."""
    entries: Mapping[str, HostEntry] = field(default_factory=dict)
    """For the programs of `members`, by host."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Address of each pod with a sidecar -> its namespace."""

    def as_json(self) -> str:
        """What `parse` reads."""
        return json.dumps(asdict(self))

    def addresses(self, name: str, client: str = "") -> Addresses | None:
        """The IPv4 addresses of a name as a client (its address) sees them; None if it is not ours.

        Exact names come before wildcards, and those before wider ones. Without a client only what
        everybody sees counts.
        """
        namespace = self.members.get(client) if client else None
        wanted = name
        while True:
            if (found := self.names.get(wanted)) is not None:
                return found
            entry = self.entries.get(wanted) if namespace is not None else None
            if entry is not None and (EVERYWHERE in entry.namespaces or namespace in entry.namespaces):
                return entry.addresses
            name = name.partition(".")[2]
            if not name:
                return None
            wanted = f"*.{name}"


def parse(text: bytes) -> DnsTable:
    """The table in a file's text; raises `ValueError` for anything else."""
    try:
        loaded = json.loads(text)
        return DnsTable(
            names={_name(name): _addresses(ips) for name, ips in loaded["names"].items()},
            aliases={_name(name): _name(target) for name, target in loaded.get("aliases", {}).items()},
            entries={
                _name(host): HostEntry(
                    addresses=_addresses(entry["addresses"]), namespaces=tuple(entry["namespaces"])
                )
                for host, entry in loaded.get("entries", {}).items()
            },
            members=dict(loaded.get("members", {})),
        )
    except (AttributeError, KeyError, TypeError) as wrong:
        raise ValueError(f"not a table of names: {wrong!r}") from wrong


def _name(text: str) -> str:
    return text.lower().rstrip(".")


def _addresses(ips: list[str]) -> Addresses:
    return tuple(str(ipaddress.IPv4Address(ip)) for ip in ips)


class TableFile:
    """The table as the file has it now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._table = DnsTable()

    def now(self) -> DnsTable:
        """Reads the file anew if it was replaced."""
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen != self._seen:
                self._table, self._seen = parse(self._path.read_bytes()), seen
        except (OSError, ValueError) as broken:
            # Whoever replaces the file does it in one step; until it is right, the last one holds.
            _log.warning("dns_table_unreadable", error=str(broken))
        return self._table
