"""What a session says, and sessions that the bridge keeps itself or has seen end."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
from dataclasses import dataclass, replace
from pathlib import Path

from meshgate.bridge.remembering import Remembered
from meshgate.bridge.request import Identity
from meshgate.bridge.session_cookie import Times
from meshgate.bridge.session_file import SessionFile, mark
from meshgate.core.clock import Clock
from meshgate.core.secret import Secret
from meshgate.model.consumer import Consumer

MOST = 100_000
"""Sessions that are kept at once, and that are known to have ended."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Content:
    """Who it is, and since when."""

    id: str
    consumer: str
    """The consumer's id."""
    credential: str
    groups: tuple[str, ...] | None
    times: Times

    def is_of(self, identity: Identity) -> bool:
        """Whether it is of the same consumer by the same credential."""
        consumer = identity.consumer.id if identity.consumer is not None else ""
        return (self.consumer, self.credential) == (consumer, _credential(identity))

    def written(self) -> bytes:
        """As it is sealed."""
        times = [self.times.created, self.times.renewed, self.times.used]
        said = [self.id, self.consumer, self.credential, self.groups, times]
        return json.dumps(said, separators=(",", ":")).encode()

    @classmethod
    def read(cls, raw: bytes) -> Content | None:
        """What `written` made; None for anything else, which only an older version could have sealed."""
        try:
            match json.loads(raw):
                case [str(id), str(consumer), str(credential), groups, [created, renewed, used]]:
                    return cls(
                        id=id,
                        consumer=consumer,
                        credential=credential,
                        groups=tuple(map(str, groups)) if groups is not None else None,
                        times=Times(created=float(created), renewed=float(renewed), used=float(used)),
                    )
        except (ValueError, TypeError):
            return None
        return None


def new_session(identity: Identity, consumer: Consumer, now: float) -> Content:
    """A session that begins."""
    return Content(
        id=secrets.token_urlsafe(32),
        consumer=consumer.id,
        credential=_credential(identity),
        groups=identity.groups,
        times=Times.starting(now),
    )


def _credential(identity: Identity) -> str:
    """Kong takes the consumer for a credential that has no name."""
    return identity.credential or (identity.consumer.id if identity.consumer is not None else "")


class Sessions:
    """Outlives configurations and, where there is a folder for it, the bridge."""

    def __init__(self, clock: Clock, state: Path | None = None) -> None:
        self._clock, self._state = clock, state
        self.made_up_secret = Secret(os.urandom(32))
        """Where a policy has none."""
        self._kept: Remembered[tuple[str, str], Content] = Remembered(clock, MOST)
        self._ended: Remembered[str, bool] = Remembered(clock, MOST)
        self._file: SessionFile | None = None
        self._opening = asyncio.Lock()

    async def get(self, cookie: str, id: str) -> Content | None:
        """A session that is kept."""
        found = self._kept.get((cookie, id))
        file = await self._opened()
        if found is not None or file is None or self._ended.get(mark(id)):
            return found
        raw = await asyncio.to_thread(file.get, cookie, id, self._now)
        read = Content.read(raw) if raw is not None else None
        return replace(read, id=id) if read is not None else None

    async def keep(self, cookie: str, content: Content, seconds: float) -> None:
        """Keeps it, in place of what it was."""
        self._kept.put((cookie, content.id), content, seconds)
        if (file := await self._opened()) is not None:
            raw, now = replace(content, id="").written(), self._now
            await asyncio.to_thread(file.keep, cookie, content.id, raw, now + seconds, now)

    async def end(self, id: str, seconds: float) -> None:
        """Nobody is known by it any more."""
        self._ended.put(mark(id), True, seconds)
        if (file := await self._opened()) is not None:
            await asyncio.to_thread(file.end, id, self._now + seconds)

    async def has_ended(self, id: str) -> bool:
        """Whether somebody has said goodbye."""
        await self._opened()
        return self._ended.get(mark(id)) is not None

    @property
    def _now(self) -> float:
        return self._clock.now().timestamp()

    async def _opened(self) -> SessionFile | None:
        """The file, made at its first use; what has ended before is known from then on."""
        if self._file is None and self._state is not None:
            async with self._opening:
                if self._file is None:
                    file = await asyncio.to_thread(SessionFile, self._state / "sessions.db")
                    now = self._now
                    for digest, ends in (await asyncio.to_thread(file.ended, now)).items():
                        self._ended.put(digest, True, ends - now)
                    self._file = file
        return self._file
