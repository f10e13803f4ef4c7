from __future__ import annotations

import asyncio
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from meshgate.runtime.dns import Resolver, listen, serve
from meshgate.runtime.dns_table import DnsTable, HostEntry, TableFile
from tests.unit.runtime.tools import run

NAMES = DnsTable(
    names={
        "payment.default.svc.cluster.local": ("10.0.0.7", "10.0.0.8"),
        "empty.default.svc.cluster.local": (),
        "*.wild.example.test": ("10.0.0.9",),
    },
    aliases={
        "bank.default.svc.cluster.local": "www.example.test",
        "pay.default.svc.cluster.local": "payment.default.svc.cluster.local",
        "round.default.svc.cluster.local": "round.default.svc.cluster.local",
    },
    entries={
        "bank.example.test": HostEntry(addresses=("10.0.1.1",)),
        "own.example.test": HostEntry(addresses=("10.0.1.2",), namespaces=("shop",)),
        "*.any.example.test": HostEntry(addresses=("10.0.1.3",)),
        "*.wild.example.test": HostEntry(addresses=("10.0.1.4",)),
    },
    members={"10.0.2.1": "shop", "10.0.2.2": "other"},
)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "dns.json"
    path.write_text(NAMES.as_json())
    return path


def local(table: Path, name: str, kind: str = "A") -> tuple[str, list[str]] | None:
    """The code and the addresses of an answer that needs nobody else."""
    reply = Resolver(table=TableFile(table)).local(dns.message.make_query(name, kind))
    if reply is None:
        return None
    addresses = [record.to_text() for rrset in reply.answer for record in rrset]
    return dns.rcode.to_text(reply.rcode()), addresses


def test_answers_from_the_table(table: Path) -> None:
    assert local(table, "Payment.default.svc.cluster.local.") == ("NOERROR", ["10.0.0.7", "10.0.0.8"])
    assert local(table, "empty.default.svc.cluster.local") == ("NOERROR", [])
    assert local(table, "a.b.wild.example.test") == ("NOERROR", ["10.0.0.9"])


def test_a_name_of_ours_has_no_ipv6_and_an_unknown_one_does_not_exist(table: Path) -> None:
    assert local(table, "payment.default.svc.cluster.local", "AAAA") == ("NOERROR", [])
    assert local(table, "nobody.default.svc.cluster.local") == ("NXDOMAIN", [])
    assert local(table, "7.0.0.10.in-addr.arpa", "PTR") == ("NXDOMAIN", [])
    assert local(table, "wild.example.test") is None
    assert local(table, "notcluster.local") is None


def test_hosts_of_service_entries_are_for_members_that_see_them() -> None:
    def seen(name: str, client: str) -> tuple[str, ...] | None:
        return NAMES.addresses(name, client)

    assert seen("bank.example.test", "10.0.2.1") == seen("bank.example.test", "10.0.2.2") == ("10.0.1.1",)
    assert seen("own.example.test", "10.0.2.1") == ("10.0.1.2",)
    assert seen("own.example.test", "10.0.2.2") is None
    assert seen("x.any.example.test", "10.0.2.1") == ("10.0.1.3",)
    assert seen("any.example.test", "10.0.2.1") is None
    assert seen("x.wild.example.test", "10.0.2.1") == ("10.0.0.9",), "a name of the mesh comes first"
    for client in ("", "10.0.2.9"):
        assert seen("bank.example.test", client) is None, "who has no sidecar asks the machine's resolver"


def test_another_name_is_followed_also_to_hosts_elsewhere(table: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(DnsTable(names={"www.example.test": ("192.0.2.1",)}).as_json())

    async def asked(resolver: Resolver, name: str) -> tuple[str, list[str]]:
        wire = await resolver.answer(dns.message.make_query(name, "A").to_wire(), tcp=False)
        assert wire is not None
        reply = dns.message.from_wire(wire)
        # The members of a set come in any order.
        found = [text for rrset in reply.answer for text in sorted(r.to_text() for r in rrset)]
        return dns.rcode.to_text(reply.rcode()), found

    async def body() -> None:
        sockets = listen("127.0.0.1", 0)
        upstream = ("127.0.0.1", sockets[0].getsockname()[1])
        server = asyncio.ensure_future(serve(Resolver(table=TableFile(elsewhere)), sockets))
        resolver = Resolver(table=TableFile(table), upstreams=(upstream,))
        try:
            assert await asked(resolver, "bank.default.svc.cluster.local") == (
                "NOERROR",
                ["www.example.test.", "192.0.2.1"],
            )
            assert await asked(resolver, "Pay.default.svc.cluster.local") == (
                "NOERROR",
                ["payment.default.svc.cluster.local.", "10.0.0.7", "10.0.0.8"],
            )
            code, found = await asked(resolver, "round.default.svc.cluster.local")
            assert (code, set(found)) == ("NXDOMAIN", {"round.default.svc.cluster.local."}), "it ends"
        finally:
            server.cancel()
            await asyncio.gather(server, return_exceptions=True)

    run(body())


def test_sidecars_learn_where_hosts_really_are(table: Path) -> None:
    query = dns.message.make_query("bank.example.test", "A")
    program = Resolver(table=TableFile(table)).local(query, "10.0.2.1")
    assert program is not None
    assert program.answer[0][0].to_text() == "10.0.1.1"
    assert Resolver(table=TableFile(table), direct=True).local(query, "10.0.2.1") is None


def test_the_table_is_read_anew_and_a_broken_one_changes_nothing(table: Path) -> None:
    names = TableFile(table)
    assert names.now().addresses("payment.default.svc.cluster.local") == ("10.0.0.7", "10.0.0.8")
    for broken in ("{", "[]", "{}", '{"names": {"x": ["no address"]}}'):
        table.write_text(broken)
        assert names.now().addresses("payment.default.svc.cluster.local") == ("10.0.0.7", "10.0.0.8")
    fresh = table.with_suffix(".tmp")
    fresh.write_text('{"names": {"Other.test.": ["10.0.0.1"]}}')
    fresh.replace(table)
    assert names.now().addresses("payment.default.svc.cluster.local") is None
    assert names.now().addresses("other.test") == ("10.0.0.1",)


def test_speaks_udp_and_tcp_and_forwards_what_is_not_ours(table: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(DnsTable(names={"www.example.test": ("192.0.2.1",)}).as_json())

    async def body() -> None:
        upstream_sockets = listen("127.0.0.1", 0)
        sockets = listen("127.0.0.1", 0)
        port = sockets[0].getsockname()[1]
        upstream = ("127.0.0.1", upstream_sockets[0].getsockname()[1])
        servers = [
            asyncio.ensure_future(serve(Resolver(table=TableFile(elsewhere)), upstream_sockets)),
            asyncio.ensure_future(serve(Resolver(table=TableFile(table), upstreams=(upstream,)), sockets)),
        ]
        try:
            for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
                mine = dns.message.make_query("payment.default.svc.cluster.local", "A")
                assert len((await ask(mine, "127.0.0.1", port=port, timeout=5)).answer[0]) == 2
                other = dns.message.make_query("www.example.test", "A")
                reply = await ask(other, "127.0.0.1", port=port, timeout=5)
                assert reply.answer[0][0].to_text() == "192.0.2.1"
        finally:
            for server in servers:
                server.cancel()
            await asyncio.gather(*servers, return_exceptions=True)

    run(body())


def test_no_upstream_is_servfail_and_garbage_is_left_unanswered(table: Path) -> None:
    async def body() -> None:
        resolver = Resolver(table=TableFile(table))
        query = dns.message.make_query("www.example.test", "A")
        wire = await resolver.answer(query.to_wire(), tcp=False)
        assert wire is not None
        assert dns.message.from_wire(wire).rcode() == dns.rcode.SERVFAIL
        assert await resolver.answer(b"\x00\x01garbage", tcp=False) is None
        assert await resolver.answer(dns.message.make_response(query).to_wire(), tcp=False) is None

    run(body())


def test_a_question_that_got_lost_is_asked_again(table: Path) -> None:
    async def body() -> None:
        datagrams, streams = listen("127.0.0.1", 0)
        streams.close()
        datagrams.setblocking(False)
        loop = asyncio.get_running_loop()

        async def forgetful() -> None:
            lost, _ = await loop.sock_recvfrom(datagrams, 4096)
            wire, sender = await loop.sock_recvfrom(datagrams, 4096)
            assert lost[2:] == wire[2:]
            reply = dns.message.make_response(dns.message.from_wire(wire))
            await loop.sock_sendto(datagrams, reply.to_wire(), sender)

        upstream = asyncio.ensure_future(forgetful())
        resolver = Resolver(table=TableFile(table), upstreams=(("127.0.0.1", datagrams.getsockname()[1]),))
        query = dns.message.make_query("www.example.test", "A")
        try:
            wire = await resolver.answer(query.to_wire(), tcp=False)
            await upstream
        finally:
            datagrams.close()
        assert wire is not None
        assert dns.message.from_wire(wire).rcode() == dns.rcode.NOERROR

    run(body())


def test_a_long_answer_is_truncated_on_udp_only(tmp_path: Path) -> None:
    path = tmp_path / "dns.json"
    path.write_text(
        DnsTable(names={"big.svc.cluster.local": tuple(f"10.0.1.{n}" for n in range(1, 200))}).as_json()
    )

    async def body() -> None:
        resolver = Resolver(table=TableFile(path))
        query = dns.message.make_query("big.svc.cluster.local", "A").to_wire()
        short, whole = await resolver.answer(query, tcp=False), await resolver.answer(query, tcp=True)
        assert short is not None
        assert whole is not None
        assert len(short) <= 512
        assert dns.message.from_wire(short).flags & dns.flags.TC
        assert len(dns.message.from_wire(whole).answer[0]) == 199

    run(body())
