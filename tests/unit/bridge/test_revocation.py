"""What authorities say of their certificates, asked of a real server over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from meshgate.bridge.revocation import FAILURE_S, Revocations
from meshgate.model.policies.client_certificate import Authority, MtlsAuth, Revocation
from tests.certificates import Pair, authority, named
from tests.unit.bridge.tools import StandingClock

ROOT, STRANGER = authority("root"), authority("stranger")
NOW = datetime.now(UTC)
STRICT = MtlsAuth(
    authorities=(Authority(id="root"),),
    revocation=Revocation.STRICT,
    revocation_timeout_ms=2000,
    revocation_cache_s=600,
)
LENIENT = MtlsAuth(authorities=(Authority(id="root"),), revocation_timeout_ms=2000, revocation_cache_s=600)


@dataclass(slots=True)
class Says:
    """What the authority's server says, and how often it was asked."""

    ocsp: Callable[[bytes], bytes] | None = None
    crl: bytes | None = None
    asked: list[str] = field(default_factory=list)

    async def on_ocsp(self, request: web.Request) -> web.Response:
        self.asked.append("ocsp")
        question = await request.read()
        return web.Response(body=self.ocsp(question)) if self.ocsp else web.Response(status=503)

    async def on_crl(self, request: web.Request) -> web.Response:
        self.asked.append("crl")
        return web.Response(body=self.crl) if self.crl is not None else web.Response(status=404)


Scenario = Callable[[Revocations, StandingClock, str], Awaitable[None]]


def _with_server(says: Says, scenario: Scenario) -> None:
    async def run() -> None:
        app = web.Application()
        app.router.add_post("/ocsp", says.on_ocsp)
        app.router.add_get("/crl", says.on_crl)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        clock = StandingClock(NOW)
        async with aiohttp.ClientSession() as session:
            await scenario(Revocations(clock, lambda: session), clock, f"http://127.0.0.1:{port}")
        await runner.cleanup()

    asyncio.run(run())


def _client(at: str, *, answers: bool = True, lists: bool = True, signer: Pair = ROOT) -> Pair:
    extensions: list[x509.ExtensionType] = []
    if answers:
        place = x509.UniformResourceIdentifier(f"{at}/ocsp")
        method = AuthorityInformationAccessOID.OCSP
        extensions.append(x509.AuthorityInformationAccess([x509.AccessDescription(method, place)]))
    if lists:
        names = [x509.UniformResourceIdentifier(f"{at}/crl")]
        extensions.append(x509.CRLDistributionPoints([x509.DistributionPoint(names, None, None, None)]))
    return signer.signs(named("client"), *extensions)


def _answer(
    client: x509.Certificate,
    status: ocsp.OCSPCertStatus,
    *,
    signer: Pair = ROOT,
    at: datetime = NOW,
    until: datetime | None = NOW + timedelta(hours=1),
    certificates: tuple[x509.Certificate, ...] = (),
) -> bytes:
    revoked = at if status is ocsp.OCSPCertStatus.REVOKED else None
    builder = ocsp.OCSPResponseBuilder().add_response(
        client, ROOT.certificate, SHA1(), status, at, until, revoked, None
    )
    builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, signer.certificate)
    if certificates:
        builder = builder.certificates(certificates)
    return builder.sign(signer.key, SHA256()).public_bytes(Encoding.DER)


def _list(*revoked: x509.Certificate, signer: Pair = ROOT, until: timedelta = timedelta(hours=1)) -> bytes:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(ROOT.certificate.subject)
        .last_update(NOW - timedelta(hours=2))
        .next_update(NOW + until)
    )
    for one in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(one.serial_number).revocation_date(NOW)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(signer.key, SHA256()).public_bytes(Encoding.DER)


def _chain(client: Pair) -> tuple[x509.Certificate, ...]:
    return client.certificate, ROOT.certificate


def test_what_ocsp_says_counts_before_lists_and_is_remembered() -> None:
    says = Says()

    async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
        good, bad = _client(at), _client(at)
        said = {
            good.certificate.serial_number: _answer(good.certificate, ocsp.OCSPCertStatus.GOOD),
            bad.certificate.serial_number: _answer(bad.certificate, ocsp.OCSPCertStatus.REVOKED),
        }
        says.ocsp = lambda question: said[ocsp.load_der_ocsp_request(question).serial_number]
        for policy in (STRICT, LENIENT):
            assert not await revocations.taken_back(_chain(good), policy)
            assert await revocations.taken_back(_chain(bad), policy)
        assert says.asked == ["ocsp", "ocsp"]
        clock.forward(601)
        assert not await revocations.taken_back(_chain(good), STRICT)
        assert says.asked == ["ocsp", "ocsp", "ocsp"]

    _with_server(says, scenario)


def test_lists() -> None:
    says = Says()

    async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
        good, bad = _client(at), _client(at, answers=False)
        says.crl = _list(bad.certificate)
        assert not await revocations.taken_back(_chain(good), STRICT)
        assert await revocations.taken_back(_chain(bad), LENIENT)
        assert says.asked == ["ocsp", "crl"]

    _with_server(says, scenario)


def test_answers_that_do_not_count() -> None:
    says = Says()
    entitled = ROOT.signs(named("responder"), x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]))

    async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
        good = ocsp.OCSPCertStatus.GOOD
        ordinary = ROOT.signs(named("ordinary"))
        other = _client(at)

        async def taken_back(make: Callable[[x509.Certificate], bytes]) -> bool:
            client = _client(at, lists=False)
            says.ocsp = lambda _: make(client.certificate)
            assert not await revocations.taken_back(_chain(client), LENIENT)
            return await revocations.taken_back(_chain(client), STRICT)

        assert not await taken_back(lambda c: _answer(c, good))
        assert not await taken_back(
            lambda c: _answer(c, good, signer=entitled, certificates=(entitled.certificate,))
        )
        bad: list[Callable[[x509.Certificate], bytes]] = [
            lambda c: b"nonsense",
            lambda c: ocsp.OCSPResponseBuilder.build_unsuccessful(
                ocsp.OCSPResponseStatus.TRY_LATER
            ).public_bytes(Encoding.DER),
            lambda c: _answer(c, ocsp.OCSPCertStatus.UNKNOWN),
            lambda c: _answer(other.certificate, good),
            lambda c: _answer(c, good, signer=STRANGER),
            lambda c: _answer(c, good, signer=STRANGER, certificates=(STRANGER.certificate,)),
            lambda c: _answer(c, good, signer=ordinary, certificates=(ordinary.certificate,)),
            lambda c: _answer(c, good, at=NOW - timedelta(hours=3), until=NOW - timedelta(hours=2)),
            lambda c: _answer(c, good, at=NOW + timedelta(hours=1), until=NOW + timedelta(hours=2)),
            lambda c: _answer(c, good, at=NOW - timedelta(days=2), until=None),
        ]
        for make in bad:
            assert await taken_back(make)

    _with_server(says, scenario)


def test_lists_that_do_not_count() -> None:
    for wrong in (
        b"nonsense",
        _list(signer=STRANGER),
        _list(until=timedelta(hours=-1)),
    ):
        says = Says(crl=wrong)

        async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
            client = _client(at, answers=False)
            assert not await revocations.taken_back(_chain(client), LENIENT)
            assert await revocations.taken_back(_chain(client), STRICT)

        _with_server(says, scenario)


def test_an_authority_that_is_away_is_left_alone_for_a_while() -> None:
    says = Says()

    async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
        client = _client(at, lists=False)
        assert not await revocations.taken_back(_chain(client), LENIENT)
        assert await revocations.taken_back(_chain(client), STRICT)
        assert says.asked == ["ocsp"]
        says.ocsp = lambda _: _answer(client.certificate, ocsp.OCSPCertStatus.REVOKED)
        clock.forward(FAILURE_S + 1)
        assert await revocations.taken_back(_chain(client), LENIENT)

    _with_server(says, scenario)


def test_who_says_nothing_is_good_unless_that_must_be_known() -> None:
    async def scenario(revocations: Revocations, clock: StandingClock, at: str) -> None:
        silent = _client("ldap://directory.example")
        unasked = _client(at, answers=False, lists=False)
        for client in (silent, unasked):
            assert not await revocations.taken_back(_chain(client), LENIENT)
            assert await revocations.taken_back(_chain(client), STRICT)

    _with_server(Says(), scenario)
