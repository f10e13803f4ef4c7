"""The names of the mesh for pods in network namespaces: a process of its own.

`python -m meshgate.runtime.dns --table FILE --listen ADDRESS:53` answers from FILE, a JSON
object of fully qualified names and their IPv4 addresses, which is read anew when it changes.
It goes on when the control plane is dead. Search domains are the resolver's work: it asks
for `payment.default.svc.cluster.local` itself.
"""

from __future__ import annotations

import argparse
import asyncio
import ipaddress
import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import cast

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.resolver
import dns.rrset
import structlog

_log = structlog.get_logger(__name__)
_TTL_S = 5
"""Short: a name's addresses change when a pod is replaced."""
_FORWARD_DEADLINES_S = (1, 2)
"""Each server is asked twice: a datagram gets lost, and who asks us waits 5 s before he asks again."""
_TCP_IDLE_S = 10
_IN_FLIGHT = 256
_LOCAL_ZONES = ("10.in-addr.arpa", "127.in-addr.arpa", "0.in-addr.arpa")
"""Nobody else knows the pods' addresses (RFC 6303); many servers ask for their own at the start."""


class Table:
    """The names of the mesh, as the file has them now."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._names: Mapping[str, tuple[str, ...]] = {}

    def addresses(self, name: str) -> tuple[str, ...] | None:
        """The IPv4 addresses of a lower-case name without its last dot; None if it is not ours.

        A name may have no addresses. `*.example.com` stands for every name below it.
        """
        self._refresh()
        found = self._names.get(name)
        while found is None and "." in name:
            name = name.partition(".")[2]
            found = self._names.get(f"*.{name}")
        return found

    def _refresh(self) -> None:
        try:
            status = self._path.stat()
            seen = (status.st_mtime_ns, status.st_size, status.st_ino)
            if seen == self._seen:
                return
            names = _parse(self._path.read_bytes())
        except (OSError, ValueError) as broken:
            # Whoever replaces the file does it in one step; until it is right, the last one holds.
            _log.warning("dns_table_unreadable", error=str(broken))
            return
        self._names, self._seen = names, seen


def _parse(text: bytes) -> dict[str, tuple[str, ...]]:
    loaded = json.loads(text)
    if not isinstance(loaded, dict):
        raise ValueError("not an object")
    return {
        name.lower().rstrip("."): tuple(str(ipaddress.IPv4Address(ip)) for ip in ips)
        for name, ips in loaded.items()
    }


@dataclass(slots=True, kw_only=True)
class Resolver:
    """Answers one question: from the table, with NXDOMAIN, or by asking the machine's resolvers."""

    table: Table
    domain: str = "cluster.local"
    upstreams: tuple[tuple[str, int], ...] = ()
    """Addresses and ports, asked in this order."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_IN_FLIGHT))

    async def answer(self, wire: bytes, *, tcp: bool) -> bytes | None:
        """The answer to a message; None where the message deserves none."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        if len(query.question) != 1:
            return dns.message.make_response(query).to_wire()
        reply = self.local(query)
        if reply is None:
            reply = await self._forward(query, tcp=tcp)
        return reply.to_wire(max_size=65535 if tcp else max(query.payload, 512), prefer_truncation=True)

    def local(self, query: dns.message.Message) -> dns.message.Message | None:
        """The answer that needs nobody else; None for names that are not ours."""
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        addresses = self.table.addresses(name)
        ours = any(name == zone or name.endswith(f".{zone}") for zone in (self.domain, *_LOCAL_ZONES))
        if addresses is None and not ours:
            return None
        reply = dns.message.make_response(query, recursion_available=True)
        reply.flags |= dns.flags.AA
        if addresses is None:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        elif question.rdtype == dns.rdatatype.A and addresses:
            reply.answer.append(dns.rrset.from_text_list(question.name, _TTL_S, "IN", "A", list(addresses)))
        return reply

    async def _forward(self, query: dns.message.Message, *, tcp: bool) -> dns.message.Message:
        ask = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
        if not self.slots.locked():
            async with self.slots:
                for (server, port), deadline_s in product(self.upstreams, _FORWARD_DEADLINES_S):
                    try:
                        answer: dns.message.Message = await ask(query, server, port=port, timeout=deadline_s)
                        return answer
                    except (dns.exception.DNSException, OSError, EOFError):
                        continue
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(dns.rcode.SERVFAIL)
        return reply


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._tasks: set[asyncio.Task[None]] = set()
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not `isinstance`: the loop's own transport does not derive from the abstract one in 3.11.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if len(self._tasks) >= 4 * _IN_FLIGHT:
            return
        task = asyncio.get_running_loop().create_task(self._reply(data, addr))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reply(self, data: bytes, addr: tuple[str, int]) -> None:
        wire = await self._resolver.answer(data, tcp=False)
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


async def _stream(resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            async with asyncio.timeout(_TCP_IDLE_S):
                length = int.from_bytes(await reader.readexactly(2), "big")
                wire = await resolver.answer(await reader.readexactly(length), tcp=True)
                if wire is None:
                    return
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


async def serve(resolver: Resolver, sockets: tuple[socket.socket, socket.socket]) -> None:
    """Answers on the UDP and the TCP socket until cancelled."""
    datagrams, streams = sockets
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(resolver), sock=datagrams)
    server = await asyncio.start_server(lambda r, w: _stream(resolver, r, w), sock=streams)
    try:
        await server.serve_forever()
    finally:
        transport.close()


def listen(address: str, port: int) -> tuple[socket.socket, socket.socket]:
    """Both sockets, bound; raises `OSError` where the address or port is taken or not ours."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, port))
    streams = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    streams.bind((address, datagrams.getsockname()[1]))
    return datagrams, streams


def _drop_root(user: int) -> None:
    """Becomes an ordinary user once the port is ours; questions come from anybody."""
    # What dnspython loads at its first use, while its files can surely be read.
    dns.rdata.load_all_types()  # type: ignore[no-untyped-call]  # dnspython 2.9 has no annotation
    dns.asyncbackend.get_backend("asyncio")
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)


def machine_resolvers() -> tuple[tuple[str, int], ...]:
    """The name servers of /etc/resolv.conf; empty where there is none."""
    try:
        found = dns.resolver.Resolver().nameservers
    except dns.exception.DNSException:
        return ()
    return tuple((str(server), 53) for server in found)


async def _run(resolver: Resolver, sockets: tuple[socket.socket, socket.socket]) -> None:
    task = asyncio.ensure_future(serve(resolver, sockets))
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    try:
        await task
    except asyncio.CancelledError:
        return


def main(arguments: list[str] | None = None) -> None:
    """The command line of the process."""
    parser = argparse.ArgumentParser(prog="meshgate.runtime.dns")
    parser.add_argument("--table", type=Path, required=True)
    parser.add_argument("--listen", required=True, metavar="ADDRESS:PORT")
    parser.add_argument("--domain", default="cluster.local")
    parser.add_argument("--user", type=int, help="uid and gid to become once the sockets are bound")
    options = parser.parse_args(arguments)
    address, _, port = options.listen.rpartition(":")
    sockets = listen(address, int(port))
    resolver = Resolver(table=Table(options.table), domain=options.domain, upstreams=machine_resolvers())
    if options.user is not None and os.geteuid() == 0:
        _drop_root(options.user)
    asyncio.run(_run(resolver, sockets))


if __name__ == "__main__":
    main()
