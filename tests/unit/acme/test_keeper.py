"""When certificates are asked for: at first, before they end, and not too soon after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

from meshgate.acme.challenge import Challenge, OrderFailed, Show
from meshgate.acme.keeper import CertificateKeeper
from meshgate.acme.storage import Issued, Storage
from meshgate.core.secret import Secret
from meshgate.identity.ca import default_gateway_certificate
from meshgate.model.policies.acme import Acme, AcmeAccount

START = datetime(2026, 11, 1, tzinfo=UTC)
PLUGIN = Acme(
    account=AcmeAccount(api_uri="https://acme.example/dir", email="a@b.example"),
    domains=("shop.example", "*.wild.example"),
    backoff_minutes=5,
)


class Hands:
    """A clock that is moved, and an authority that does as it is told."""

    def __init__(self) -> None:
        self.time = START
        self.asked: list[str] = []
        self.refuses = ""

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return (self.time - START).total_seconds()

    def order(self, host: str, settings: Acme, key: Secret, show: Show, now: datetime) -> Issued:
        self.asked.append(host)
        show(Challenge(host=host, path="/.well-known/acme-challenge/t", answer="a"))
        if self.refuses:
            raise OrderFailed(self.refuses)
        made = default_gateway_certificate(now)
        return Issued(chain_pem=made.chain_pem, key_pem=made.key)


def kept(folder: Path, hands: Hands, steps: Callable[[CertificateKeeper], None]) -> None:
    """Runs a keeper; `steps` is called each time that it has nothing to do."""
    shown: list[str] = []

    async def show(challenge: Challenge) -> None:
        shown.append(challenge.host)

    keeper = CertificateKeeper(Storage(folder), hands, show, shown.clear, lambda: None, order=hands.order)

    async def body() -> None:
        running = asyncio.create_task(keeper.run())
        steps(keeper)
        async with asyncio.timeout(20):
            while len(hands.asked) < 1 or shown:
                await asyncio.sleep(0)
        # The order has ended: what it gave, or why it gave nothing, is there.
        async with asyncio.timeout(20):
            while not (keeper.certificates() or keeper.troubles()):
                await asyncio.sleep(0)
        running.cancel()

    asyncio.run(body())
    assert shown == []


def test_which_hosts_the_domains_are_for() -> None:
    covered = [
        PLUGIN.covers(h) for h in ("shop.example", "a.wild.example", "a.b.wild.example", "wild.example")
    ]
    assert covered == [True, True, False, False]


def test_a_certificate_is_kept_for_the_next_time(tmp_path: Path) -> None:
    hands = Hands()
    kept(tmp_path, hands, lambda keeper: keeper.want({"shop.example": PLUGIN}))
    assert hands.asked == ["shop.example"]
    again = CertificateKeeper(Storage(tmp_path), hands, _nothing, lambda: None, lambda: None, hands.order)
    again.want({"shop.example": PLUGIN})
    assert set(again.certificates()) == {"shop.example"}
    assert {file.stat().st_mode & 0o777 for file in tmp_path.iterdir()} == {0o600}


def test_it_is_time_for_a_new_one_before_the_old_one_ends() -> None:
    made = default_gateway_certificate(START)
    issued = Issued(chain_pem=made.chain_pem, key_pem=made.key)
    assert not issued.due(issued.ends - timedelta(days=15), 14)
    assert issued.due(issued.ends - timedelta(days=14), 14)


def test_a_failure_is_told_and_not_repeated_at_once(tmp_path: Path) -> None:
    hands = Hands()
    hands.refuses = "rateLimited: too many"

    def steps(keeper: CertificateKeeper) -> None:
        keeper.want({"shop.example": PLUGIN})
        keeper.want({"shop.example": PLUGIN})

    kept(tmp_path, hands, steps)
    assert hands.asked == ["shop.example"]


def test_a_file_that_was_tampered_with_is_not_used(tmp_path: Path) -> None:
    storage = Storage(tmp_path)
    made, other = default_gateway_certificate(START), default_gateway_certificate(START)
    storage.keep("shop.example", PLUGIN.account, Issued(chain_pem=made.chain_pem, key_pem=other.key))
    assert storage.certificate("shop.example", PLUGIN.account) is None


async def _nothing(challenge: Challenge) -> None:
    """Shows nothing."""
