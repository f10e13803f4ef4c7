"""Sessions of `storage: kong`, and those that have ended, in a SQLite file that outlives the process.

Ids are kept as hashes: whoever reads the file can be nobody by it.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Engine, Float, LargeBinary, MetaData, String, Table, create_engine, event
from sqlalchemy.dialects.sqlite import insert

_META = MetaData()
_KEPT = Table(
    "sessions",
    _META,
    Column("digest", String, primary_key=True),
    Column("id_digest", String, nullable=False, index=True),
    Column("content", LargeBinary, nullable=False),
    Column("ends", Float, nullable=False, index=True),
)
_ENDED = Table(
    "ended_sessions",
    _META,
    Column("digest", String, primary_key=True),
    Column("ends", Float, nullable=False, index=True),
)


class SessionFile:
    """Every method is a transaction, and blocks: call it in a thread. Times are seconds since 1970."""

    def __init__(self, file: Path) -> None:
        self._engine: Engine = create_engine(
            f"sqlite:///{file}", connect_args={"check_same_thread": False, "timeout": 2}
        )
        event.listen(self._engine, "connect", _prepared)
        _META.create_all(self._engine)

    def get(self, cookie: str, id: str, now: float) -> bytes | None:
        """What is kept of a session; None where it has ended."""
        with self._engine.begin() as connection:
            where = (_KEPT.c.digest == _digest(cookie, id), _KEPT.c.ends > now)
            found = connection.execute(_KEPT.select().where(*where)).mappings().first()
        return bytes(found["content"]) if found is not None else None

    def keep(self, cookie: str, id: str, content: bytes, ends: float, now: float) -> None:
        """Keeps it, in place of what it was, unless it has ended; forgets what is over."""
        values = {
            "digest": _digest(cookie, id),
            "id_digest": _digest(id),
            "content": content,
            "ends": ends,
        }
        with self._engine.begin() as connection:
            for table in (_KEPT, _ENDED):
                connection.execute(table.delete().where(table.c.ends <= now))
            gone = connection.execute(_ENDED.select().where(_ENDED.c.digest == _digest(id))).first()
            if gone is None:
                made = insert(_KEPT).values(**values)
                connection.execute(made.on_conflict_do_update(index_elements=["digest"], set_=values))

    def end(self, id: str, ends: float) -> None:
        """Nobody is known by it any more, whatever cookie names it."""
        with self._engine.begin() as connection:
            connection.execute(_KEPT.delete().where(_KEPT.c.id_digest == _digest(id)))
            values = {"digest": _digest(id), "ends": ends}
            made = insert(_ENDED).values(**values)
            connection.execute(made.on_conflict_do_update(index_elements=["digest"], set_=values))

    def ended(self, now: float) -> dict[str, float]:
        """Marks (see `mark`) of sessions that have ended before their time, and how long they count."""
        with self._engine.begin() as connection:
            rows = connection.execute(_ENDED.select().where(_ENDED.c.ends > now)).mappings()
            return {row["digest"]: row["ends"] for row in rows}


def mark(id: str) -> str:
    """Stands for a session's id."""
    return _digest(id)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _prepared(connection: Any, record: object) -> None:
    for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA busy_timeout = 2000"):
        connection.execute(line)
