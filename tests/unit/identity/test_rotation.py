"""When certificates are renewed, what is told about it, and what a failing authority does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.core.secret import Secret
from meshgate.identity.ca import ISSUING_LIFETIME, ROOT_LIFETIME, AuthorityError, Svid, create_authority
from meshgate.identity.rotation import DEFAULT_LIFETIME, MIN_LIFETIME, SvidManager
from meshgate.identity.spiffe import SpiffeId

START = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
A, B, C = (SpiffeId("cluster.local", "default", name) for name in "abc")
DEADLINE_S = 20.0


@dataclass(kw_only=True)
class SetClock:
    """Tells the time it was set to, and lets it run on from there if asked to."""

    at: datetime = START
    runs_since: float | None = None

    def now(self) -> datetime:
        if self.runs_since is None:
            return self.at
        return self.at + timedelta(seconds=self.monotonic() - self.runs_since)

    def monotonic(self) -> float:
        return time.monotonic()


@dataclass(kw_only=True)
class CountingIssuer:
    """An authority whose certificates are counted instead of signed, and which can be shut."""

    shut: bool = False
    issued: list[SpiffeId] = field(default_factory=list)

    def issue(self, spiffe_id: SpiffeId, *, lifetime: timedelta, now: datetime) -> Svid:
        if self.shut:
            raise AuthorityError("shut", "open it")
        self.issued.append(spiffe_id)
        return Svid(
            spiffe_id=spiffe_id,
            chain_pem=b"",
            key=Secret(b""),
            serial=str(len(self.issued)),
            not_before=now - lifetime / 10,
            not_after=now + lifetime,
        )

    def renewed(self, now: datetime) -> CountingIssuer:
        return self


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def issuer() -> CountingIssuer:
    return CountingIssuer()


@pytest.fixture
def svids(issuer: CountingIssuer, clock: SetClock) -> SvidManager:
    return SvidManager(issuer, MINUTE, clock)


def test_one_certificate_per_identity_until_half_of_its_life(svids: SvidManager, clock: SetClock) -> None:
    first = svids.svid_for(A)
    clock.at = START + MINUTE * 0.49
    assert svids.svid_for(A) is first
    assert svids.svid_for(B).spiffe_id == B
    assert svids.rotate_due(clock.now()) == frozenset()
    clock.at = START + MINUTE * 0.56
    assert svids.svid_for(A).serial != first.serial


def test_nothing_to_rotate_while_nobody_is_known(svids: SvidManager) -> None:
    assert svids.next_rotation() is None
    assert svids.rotate_due(START) == frozenset()


def test_rotation_is_told_when_and_whom(svids: SvidManager, clock: SetClock) -> None:
    old = {each: svids.svid_for(each) for each in (A, B)}
    assert svids.rotate_due(START) == frozenset()  # a first certificate is no change
    due = svids.next_rotation()
    assert due is not None
    assert START + MINUTE * 0.5 <= due <= START + MINUTE * 0.55
    assert svids.rotate_due(due - timedelta(microseconds=1)) == frozenset()
    clock.at = START + MINUTE * 0.55
    assert svids.rotate_due(clock.now()) == {A, B}
    assert svids.rotate_due(clock.now()) == frozenset()
    for each, svid in old.items():
        assert svids.svid_for(each).serial != svid.serial
        assert svids.svid_for(each).not_after == clock.now() + MINUTE


@given(
    st.sets(st.integers(0, 10**6), min_size=1, max_size=20),
    st.timedeltas(min_value=MIN_LIFETIME, max_value=timedelta(days=30)),
)
def test_renewals_are_spread_in_time_and_always_the_same(names: set[int], lifetime: timedelta) -> None:
    def moments() -> list[datetime | None]:
        found = []
        for name in sorted(names):
            manager = SvidManager(CountingIssuer(), lifetime, SetClock())
            manager.svid_for(SpiffeId("td", "n", f"s{name}"))
            found.append(manager.next_rotation())
        return found

    once = moments()
    assert once == moments()
    assert len(set(once)) == len(names)
    for moment in once:
        assert moment is not None
        assert START + lifetime * 0.5 <= moment <= START + lifetime * 0.55


def test_a_renewal_by_asking_is_told_to_the_others(svids: SvidManager, clock: SetClock) -> None:
    svids.svid_for(A)
    clock.at = START + MINUTE * 0.6
    svids.svid_for(A)
    due = svids.next_rotation()
    assert due is not None
    assert due <= clock.now()
    assert svids.rotate_due(clock.now()) == {A}
    assert svids.rotate_due(clock.now()) == frozenset()


def test_an_expired_certificate_is_never_given(svids: SvidManager, clock: SetClock) -> None:
    old = svids.svid_for(A)
    clock.at = old.not_after
    assert svids.svid_for(A).not_after > clock.now()
    assert svids.rotate_due(clock.now()) == {A}


def test_a_clock_set_back_renews_what_is_not_valid_yet(svids: SvidManager, clock: SetClock) -> None:
    svids.svid_for(A)
    clock.at = START - timedelta(hours=1)
    assert svids.rotate_due(clock.now()) == {A}
    assert svids.svid_for(A).not_before < clock.now()


def test_what_is_not_used_is_forgotten(svids: SvidManager, issuer: CountingIssuer, clock: SetClock) -> None:
    for each in (C, A, B):
        svids.svid_for(each)
    svids.retain({A, C})
    assert [svid.spiffe_id for svid in svids.svids()] == [A, C]
    issuer.issued.clear()
    assert svids.rotate_due(START + MINUTE) == {A, C}
    assert set(issuer.issued) == {A, C}
    clock.at = START + MINUTE * 1.6
    svids.svid_for(A)  # renewed, and not told yet
    svids.retain(())
    assert svids.next_rotation() is None
    assert svids.rotate_due(clock.now() + MINUTE) == frozenset()


def test_a_failing_authority_leaves_what_is_valid(
    svids: SvidManager, issuer: CountingIssuer, clock: SetClock
) -> None:
    old = svids.svid_for(A)
    issuer.shut = True
    clock.at = START + MINUTE * 0.6
    assert svids.rotate_due(clock.now()) == frozenset()
    retry = svids.next_rotation()
    assert retry is not None
    assert clock.now() < retry <= clock.now() + MINUTE * 0.05
    assert svids.svid_for(A) is old
    with pytest.raises(AuthorityError, match="open it"):
        svids.svid_for(B)
    issuer.shut = False
    assert svids.rotate_due(retry) == {A}


def test_a_failing_authority_gives_nothing_once_it_expired(
    svids: SvidManager, issuer: CountingIssuer, clock: SetClock
) -> None:
    old = svids.svid_for(A)
    issuer.shut = True
    clock.at = old.not_after
    assert svids.rotate_due(clock.now()) == frozenset()
    with pytest.raises(AuthorityError):
        svids.svid_for(A)


def test_the_lifetime_has_a_lower_limit() -> None:
    assert timedelta(hours=24) == DEFAULT_LIFETIME
    SvidManager(CountingIssuer(), timedelta(seconds=30))
    with pytest.raises(ValueError, match="lifetime"):
        SvidManager(CountingIssuer(), timedelta(seconds=29))


def test_a_real_authority_is_renewed_on_the_way(clock: SetClock) -> None:
    authority = create_authority("cluster.local", START)
    svids = SvidManager(authority, DEFAULT_LIFETIME, clock)
    early = svids.svid_for(A)
    clock.at = START + ISSUING_LIFETIME * 2
    late = svids.svid_for(A)
    assert late.not_after == clock.now() + DEFAULT_LIFETIME
    assert late.chain_pem.split(b"-----END")[1] != early.chain_pem.split(b"-----END")[1]
    clock.at = START + ROOT_LIFETIME
    with pytest.raises(AuthorityError, match="root certificate expired"):
        svids.svid_for(A)


def test_an_authority_near_its_end_is_not_asked_in_a_loop(clock: SetClock) -> None:
    end = START + ROOT_LIFETIME
    authority = create_authority("cluster.local", START)
    clock.at = end - timedelta(seconds=2)
    svids = SvidManager(authority, DEFAULT_LIFETIME, clock)
    assert svids.svid_for(A).not_after == end
    due = svids.next_rotation()
    assert due is not None
    assert due >= clock.now() + MIN_LIFETIME / 2


def test_the_driver_waits_for_the_next_rotation() -> None:
    async def scenario() -> None:
        clock = SetClock()
        svids = SvidManager(CountingIssuer(), MINUTE, clock)
        svids.svid_for(A)
        due = svids.next_rotation()
        assert due is not None
        clock.at, clock.runs_since = due - timedelta(milliseconds=50), time.monotonic()
        told: asyncio.Queue[frozenset[SpiffeId]] = asyncio.Queue()
        async with asyncio.timeout(DEADLINE_S):
            driver = asyncio.create_task(svids.run(told.put_nowait))
            assert await told.get() == {A}
        assert clock.now() >= due
        await cancelled(driver)

    asyncio.run(scenario())


def test_the_driver_wakes_for_a_new_identity_and_a_renewal_by_asking() -> None:
    async def scenario() -> None:
        clock = SetClock()
        svids = SvidManager(CountingIssuer(), DEFAULT_LIFETIME, clock)
        svids.svid_for(A)
        told: asyncio.Queue[frozenset[SpiffeId]] = asyncio.Queue()
        async with asyncio.timeout(DEADLINE_S):
            driver = asyncio.create_task(svids.run(told.put_nowait))
            await asyncio.sleep(0)  # the driver starts, and waits for twelve hours or its longest wait
            clock.at = START + DEFAULT_LIFETIME * 0.6
            svids.svid_for(B)  # new: the driver looks at the clock again
            assert await told.get() == {A}
            clock.at += DEFAULT_LIFETIME * 0.56
            svids.svid_for(C)
            svids.svid_for(A)
            assert A in await told.get()
        await cancelled(driver)

    asyncio.run(scenario())


def test_the_driver_outlives_a_failing_authority() -> None:
    async def scenario() -> None:
        clock, issuer = SetClock(), CountingIssuer()
        svids = SvidManager(issuer, MINUTE, clock)
        svids.svid_for(A)
        told: asyncio.Queue[frozenset[SpiffeId]] = asyncio.Queue()
        clock.at = START + MINUTE * 0.6
        issuer.shut = True
        async with asyncio.timeout(DEADLINE_S):
            driver = asyncio.create_task(svids.run(told.put_nowait))
            await asyncio.sleep(0)
            assert told.empty()
            issuer.shut = False
            clock.at = START + MINUTE * 0.7
            svids.svid_for(B)
            assert await told.get() == {A}
        await cancelled(driver)

    asyncio.run(scenario())


async def cancelled(task: asyncio.Task[None]) -> None:
    """Cancel, and see that nothing else ended it."""
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
