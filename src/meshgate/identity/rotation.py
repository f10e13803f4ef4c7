"""Certificates that are renewed at half of their life, before anybody has to wait for one.

The scheduler does no I/O and asks the time of its `Clock`; `run` is the small driver
around it. One event loop owns a `SvidManager`; it is not for use from several threads.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from meshgate.core.clock import Clock, SystemClock
from meshgate.identity.ca import AuthorityError, Svid
from meshgate.identity.spiffe import SpiffeId

DEFAULT_LIFETIME = timedelta(hours=24)
MIN_LIFETIME = timedelta(seconds=30)

_JITTER_RATIO = 0.05
"""Of the lifetime: over how long after its half the renewals are spread."""
_RETRY_RATIO = 0.02
"""Of the lifetime: how long after a failed renewal the next is tried; at most a minute."""
_LONGEST_WAIT_S = 60.0
"""The wall clock may jump (suspend, NTP), so the driver looks at it at least this often."""

_log = structlog.get_logger(__name__)


class Issuer(Protocol):
    """Signs certificates; `ca.Authority` is one."""

    def issue(self, spiffe_id: SpiffeId, *, lifetime: timedelta, now: datetime) -> Svid:
        """A new certificate; raises `AuthorityError` where none can be made now."""
        ...

    def renewed(self, now: datetime) -> Issuer:
        """The issuer to use from `now` on, itself if nothing about it is due."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    svid: Svid
    issued_at: datetime
    renew_at: datetime

    def due(self, now: datetime) -> bool:
        # Not valid yet means that the clock was set back; peers would refuse it.
        return now >= self.renew_at or now < self.svid.not_before


class SvidManager:
    """Holds one current certificate per identity in use and renews each in time."""

    def __init__(
        self, authority: Issuer, lifetime: timedelta = DEFAULT_LIFETIME, clock: Clock | None = None
    ) -> None:
        if lifetime < MIN_LIFETIME:
            raise ValueError(f"a certificate's lifetime is at least {MIN_LIFETIME}, got {lifetime}")
        self._authority = authority
        self._lifetime = lifetime
        self._clock = clock or SystemClock()
        self._entries: dict[SpiffeId, _Entry] = {}
        self._unreported: set[SpiffeId] = set()
        self._wake = asyncio.Event()

    def svid_for(self, spiffe_id: SpiffeId) -> Svid:
        """The identity's certificate, new if there is none or half of its life is over.

        Where renewal fails the old one is given as long as it is valid. Raises
        `AuthorityError` where there is none to give, `ValueError` for a foreign trust domain.
        """
        now = self._clock.now()
        entry = self._entries.get(spiffe_id)
        if entry is None or entry.svid.not_after <= now:
            renewed = self._issue(spiffe_id, now)
            if entry is not None:
                self._unreported.add(spiffe_id)
            self._entries[spiffe_id] = renewed
            self._wake.set()
            return renewed.svid
        if entry.due(now) and self._renew(spiffe_id, entry, now):
            # Whoever else holds the old one hears of it with the next rotate_due.
            self._unreported.add(spiffe_id)
            self._wake.set()
        return self._entries[spiffe_id].svid

    def svids(self) -> tuple[Svid, ...]:
        """All certificates held, by identity; issues nothing."""
        return tuple(self._entries[spiffe_id].svid for spiffe_id in sorted(self._entries))

    def retain(self, ids: Collection[SpiffeId]) -> None:
        """Forget every identity that is not in `ids`, with its key."""
        for unused in self._entries.keys() - set(ids):
            del self._entries[unused]
            self._unreported.discard(unused)

    def next_rotation(self) -> datetime | None:
        """When `rotate_due` next has something to tell; None while no identity is known."""
        return min(
            (e.issued_at if i in self._unreported else e.renew_at for i, e in self._entries.items()),
            default=None,
        )

    def rotate_due(self, now: datetime) -> frozenset[SpiffeId]:
        """Renew what is due; the identities whose certificate changed since the last call.

        Never raises for one that cannot be renewed: it is logged, keeps its certificate
        and is tried again soon.
        """
        changed, self._unreported = self._unreported, set()
        for spiffe_id, entry in list(self._entries.items()):
            if entry.due(now) and self._renew(spiffe_id, entry, now):
                changed.add(spiffe_id)
        return frozenset(changed)

    async def run(self, on_rotated: Callable[[frozenset[SpiffeId]], None]) -> None:
        """Renew for ever and tell `on_rotated` which changed; ends only by cancellation."""
        while True:
            self._wake.clear()
            if changed := self.rotate_due(self._clock.now()):
                _log.info("svids_rotated", count=len(changed))
                on_rotated(changed)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._wait_s()):
                    await self._wake.wait()

    def _wait_s(self) -> float:
        due = self.next_rotation()
        if due is None:
            return _LONGEST_WAIT_S
        return min(max((due - self._clock.now()).total_seconds(), 0.0), _LONGEST_WAIT_S)

    def _renew(self, spiffe_id: SpiffeId, entry: _Entry, now: datetime) -> bool:
        try:
            self._entries[spiffe_id] = self._issue(spiffe_id, now)
        except AuthorityError as error:
            retry_at = now + min(self._lifetime * _RETRY_RATIO, timedelta(minutes=1))
            self._entries[spiffe_id] = replace(entry, renew_at=retry_at)
            _log.error(
                "svid_rotation_failed",
                spiffe_id=str(spiffe_id),
                reason=str(error),
                valid_until=entry.svid.not_after.isoformat(),
            )
            return False
        return True

    def _issue(self, spiffe_id: SpiffeId, now: datetime) -> _Entry:
        self._authority = self._authority.renewed(now)
        svid = self._authority.issue(spiffe_id, lifetime=self._lifetime, now=now)
        # An authority near its own end gives less than was asked for.
        life = max(svid.not_after - now, MIN_LIFETIME)
        renew_at = now + life * (0.5 + _JITTER_RATIO * _spread(spiffe_id))
        return _Entry(svid=svid, issued_at=now, renew_at=renew_at)


def _spread(spiffe_id: SpiffeId) -> float:
    """A number in [0, 1) that is always the same for one identity and spreads over many."""
    digest = hashlib.sha256(str(spiffe_id).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32
