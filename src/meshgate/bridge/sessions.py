"""What a session says, and sessions that the bridge keeps itself or has seen end."""

from __future__ import annotations

import json
import os
import secrets
from dataclasses import dataclass

from meshgate.bridge.remembering import Remembered
from meshgate.bridge.request import Identity
from meshgate.bridge.session_cookie import Times
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
    """Outlives configurations, not the bridge."""

    def __init__(self, clock: Clock) -> None:
        self.made_up_secret = Secret(os.urandom(32))
        """Where a policy has none."""
        self._kept: Remembered[tuple[str, str], Content] = Remembered(clock, MOST)
        self._ended: Remembered[str, bool] = Remembered(clock, MOST)

    def get(self, cookie: str, id: str) -> Content | None:
        """A session that is kept."""
        return self._kept.get((cookie, id))

    def keep(self, cookie: str, content: Content, seconds: float) -> None:
        """Keeps it, in place of what it was."""
        self._kept.put((cookie, content.id), content, seconds)

    def end(self, id: str, seconds: float) -> None:
        """Nobody is known by it any more."""
        self._ended.put(id, True, seconds)

    def has_ended(self, id: str) -> bool:
        """Whether somebody has said goodbye."""
        return self._ended.get(id) is not None
