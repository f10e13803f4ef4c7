from __future__ import annotations

import asyncio
import json
from pathlib import Path

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from meshgate.runtime.dns import Resolver, Table, listen, serve
from tests.unit.runtime.tools import run

NAMES = {
    "payment.default.svc.cluster.local": ["10.0.0.7", "10.0.0.8"],
    "empty.default.svc.cluster.local": [],
    "*.wild.example.test": ["10.0.0.9"],
}


@pytest.fixture
def table(tmp_path: Path) -> Path:
    path = tmp_path / "dns.json"
    path.write_text(json.dumps(NAMES))
    return path


def local(table: Path, name: str, kind: str = "A") -> tuple[str, list[str]] | None:
    """The code and the addresses of an answer that needs nobody else."""
    reply = Resolver(table=Table(table)).local(dns.message.make_query(name, kind))
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


def test_the_table_is_read_anew_and_a_broken_one_changes_nothing(table: Path) -> None:
    names = Table(table)
    assert names.addresses("payment.default.svc.cluster.local") == ("10.0.0.7", "10.0.0.8")
    for broken in ("{", "[]", '{"x": ["no address"]}'):
        table.write_text(broken)
        assert names.addresses("payment.default.svc.cluster.local") == ("10.0.0.7", "10.0.0.8")
    fresh = table.with_suffix(".tmp")
    fresh.write_text('{"Other.test.": ["10.0.0.1"]}')
    fresh.replace(table)
    assert names.addresses("payment.default.svc.cluster.local") is None
    assert names.addresses("other.test") == ("10.0.0.1",)


def test_speaks_udp_and_tcp_and_forwards_what_is_not_ours(table: Path, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere.json"
    elsewhere.write_text(json.dumps({"www.example.test": ["192.0.2.1"]}))

    async def body() -> None:
        upstream_sockets = listen("127.0.0.1", 0)
        sockets = listen("127.0.0.1", 0)
        port = sockets[0].getsockname()[1]
        upstream = ("127.0.0.1", upstream_sockets[0].getsockname()[1])
        servers = [
            asyncio.ensure_future(serve(Resolver(table=Table(elsewhere)), upstream_sockets)),
            asyncio.ensure_future(serve(Resolver(table=Table(table), upstreams=(upstream,)), sockets)),
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
        resolver = Resolver(table=Table(table))
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
        resolver = Resolver(table=Table(table), upstreams=(("127.0.0.1", datagrams.getsockname()[1]),))
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
    path.write_text(json.dumps({"big.svc.cluster.local": [f"10.0.1.{n}" for n in range(1, 200)]}))

    async def body() -> None:
        resolver = Resolver(table=Table(path))
        query = dns.message.make_query("big.svc.cluster.local", "A").to_wire()
        short, whole = await resolver.answer(query, tcp=False), await resolver.answer(query, tcp=True)
        assert short is not None
        assert whole is not None
        assert len(short) <= 512
        assert dns.message.from_wire(short).flags & dns.flags.TC
        assert len(dns.message.from_wire(whole).answer[0]) == 199

    run(body())
