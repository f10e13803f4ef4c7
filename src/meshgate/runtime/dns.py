"""The names of the mesh for pods in network namespaces: a process of its own.

`python -m meshgate.runtime.dns --table FILE --listen ADDRESS:53` answers from FILE
(`dns_table.DnsTable`), which is read anew when it changes. Programs of members of the mesh see
hosts of ServiceEntries there; their sidecars, which ask at `--direct ADDRESS:PORT`, must find out
where those really are. It goes on when the control plane is dead. Search domains are the resolver's
work: it asks for `payment.default.svc.cluster.local` itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import errno
import os
import signal
import socket
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

from meshgate.runtime.dns_table import TableFile

_TTL_S = 5
"""Short: a name's addresses change when a pod is replaced."""
_FORWARD_DEADLINES_S = (1, 2)
"""Each server is asked twice: a datagram gets lost, and who asks us waits 5 s before he asks again."""
_TCP_IDLE_S = 10
_IN_FLIGHT = 256
_ALIASES = 8
"""Of a name that stands for a name that stands for a name."""
_LOCAL_ZONES = ("10.in-addr.arpa", "127.in-addr.arpa", "0.in-addr.arpa")
"""Nobody else knows the pods' addresses (RFC 6303); many servers ask for their own at the start."""


@dataclass(slots=True, kw_only=True)
class Resolver:
    """Answers one question: from the table, with NXDOMAIN, or by asking the machine's resolvers."""

    table: TableFile
    domain: str = "cluster.local"
    upstreams: tuple[tuple[str, int], ...] = ()
    """Addresses and ports, asked in this order."""
    direct: bool = False
    """Only what everybody sees: for sidecars, who would lead the hosts of ServiceEntries to themselves."""
    slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_IN_FLIGHT))

    async def answer(self, wire: bytes, *, tcp: bool, client: str = "") -> bytes | None:
        """The answer to a message from an address; None where the message deserves none."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR:
            return None
        if len(query.question) != 1:
            return dns.message.make_response(query).to_wire()
        reply = await self._reply(query, tcp=tcp, client=client)
        return reply.to_wire(max_size=65535 if tcp else max(query.payload, 512), prefer_truncation=True)

    async def _reply(
        self, query: dns.message.Message, *, tcp: bool, client: str, depth: int = 0
    ) -> dns.message.Message:
        question = query.question[0]
        target = self.table.now().aliases.get(_text(question.name))
        if target is None or depth == _ALIASES:
            return self.local(query, client) or await self._forward(query, tcp=tcp)
        further = dns.message.make_query(target, question.rdtype)
        found = await self._reply(further, tcp=tcp, client=client, depth=depth + 1)
        reply = dns.message.make_response(query, recursion_available=True)
        reply.set_rcode(found.rcode())
        alias = dns.rrset.from_text(question.name, _TTL_S, "IN", "CNAME", f"{target}.")
        reply.answer.extend((alias, *found.answer))
        return reply

    def local(self, query: dns.message.Message, client: str = "") -> dns.message.Message | None:
        """The answer that needs nobody else; None for names that are not ours."""
        question = query.question[0]
        name = _text(question.name)
        addresses = self.table.now().addresses(name, "" if self.direct else client)
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


def _text(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()


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
        wire = await self._resolver.answer(data, tcp=False, client=addr[0])
        if wire is not None and self._transport is not None:
            self._transport.sendto(wire, addr)


async def _stream(resolver: Resolver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    client = str((writer.get_extra_info("peername") or ("",))[0])
    try:
        while True:
            async with asyncio.timeout(_TCP_IDLE_S):
                length = int.from_bytes(await reader.readexactly(2), "big")
                wire = await resolver.answer(await reader.readexactly(length), tcp=True, client=client)
                if wire is None:
                    return
                writer.write(len(wire).to_bytes(2, "big") + wire)
                await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        return
    finally:
        writer.close()


_TRIES = 20
"""To find a port that is free for datagrams and streams."""

Sockets = tuple[socket.socket, socket.socket]
"""UDP and TCP."""


async def serve(resolver: Resolver, sockets: Sockets) -> None:
    """Answers on the UDP and the TCP socket until cancelled."""
    datagrams, streams = sockets
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(resolver), sock=datagrams)
    server = await asyncio.start_server(lambda r, w: _stream(resolver, r, w), sock=streams)
    try:
        await server.serve_forever()
    finally:
        transport.close()


def listen(address: str, port: int) -> Sockets:
    """Both sockets at one port, bound; raises `OSError` where it is taken or the address is not ours.

    Port 0 stands for any that is free for both.
    """
    for attempt in range(_TRIES if port == 0 else 1):
        try:
            return _listen(address, port)
        except OSError as error:
            if port or error.errno != errno.EADDRINUSE or attempt == _TRIES - 1:
                raise
    raise AssertionError("unreachable: the last try returns or raises")


def _listen(address: str, port: int) -> Sockets:
    with contextlib.ExitStack() as stack:
        datagrams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        datagrams.bind((address, port))
        streams = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        streams.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        streams.bind((address, datagrams.getsockname()[1]))
        stack.pop_all()
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


async def _run(served: list[tuple[Resolver, Sockets]]) -> None:
    task = asyncio.gather(*(serve(resolver, sockets) for resolver, sockets in served))
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
    parser.add_argument("--direct", metavar="ADDRESS:PORT", help="where sidecars ask")
    parser.add_argument("--domain", default="cluster.local")
    parser.add_argument("--user", type=int, help="uid and gid to become once the sockets are bound")
    options = parser.parse_args(arguments)
    table, upstreams = TableFile(options.table), machine_resolvers()
    served = []
    for place, direct in ((options.direct, True), (options.listen, False)):
        if place:
            address, _, port = place.rpartition(":")
            sockets = listen(address, int(port))
            resolver = Resolver(table=table, domain=options.domain, upstreams=upstreams, direct=direct)
            served.append((resolver, sockets))
    if options.user is not None and os.geteuid() == 0:
        _drop_root(options.user)
    asyncio.run(_run(served))


if __name__ == "__main__":
    main()
