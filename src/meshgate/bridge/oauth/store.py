"""Codes and tokens that were handed out, in a SQLite file that outlives the process.

Only hashes are kept: whoever reads the file can use nothing of it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Engine, Float, Integer, MetaData, String, Table, create_engine, event
from sqlalchemy.pool import StaticPool

_META = MetaData()
_CODES = Table(
    "oauth2_codes",
    _META,
    Column("digest", String, primary_key=True),
    Column("plugin", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("challenge", String, nullable=False),
    Column("ends", Float, nullable=False, index=True),
)
_TOKENS = Table(
    "oauth2_tokens",
    _META,
    Column("id", Integer, primary_key=True),
    Column("digest", String, nullable=False, unique=True),
    Column("refresh_digest", String, unique=True),
    Column("plugin", String, nullable=False),
    Column("client_id", String, nullable=False),
    Column("user_id", String, nullable=False),
    Column("scope", String, nullable=False),
    Column("expires", Float, nullable=False),
    Column("ends", Float, nullable=False, index=True),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """An authorization code; good for once."""

    plugin: str
    """Which handed it out."""
    client_id: str
    user_id: str
    scope: str
    challenge: str = ""
    """PKCE's, S256; empty: without."""
    ends: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Token:
    """An access token, and the refresh token that came with it."""

    plugin: str
    """For which it is good; empty: for every plugin with `global_credentials`."""
    client_id: str
    user_id: str
    scope: str
    expires: float
    """When the access token ends; 0: never."""
    ends: float
    """When both are forgotten; 0: never."""


class TokenStore:
    """What was handed out. Every method is a transaction, and blocks: call it in a thread."""

    def __init__(self, file: Path | None) -> None:
        where = f"sqlite:///{file}" if file is not None else "sqlite://"
        options: dict[str, Any] = {} if file is not None else {"poolclass": StaticPool}
        self._engine: Engine = create_engine(where, connect_args={"check_same_thread": False}, **options)
        event.listen(self._engine, "connect", _prepared)
        _META.create_all(self._engine)

    def add_code(self, code: str, found: Code, now: float) -> None:
        """Keeps a code, and forgets what has ended."""
        with self._engine.begin() as connection:
            for table in (_CODES, _TOKENS):
                connection.execute(table.delete().where(table.c.ends > 0, table.c.ends < now))
            connection.execute(_CODES.insert().values(digest=digest(code), **_values(found, Code)))

    def code(self, code: str) -> Code | None:
        """The code, where it is known."""
        with self._engine.begin() as connection:
            row = (
                connection.execute(_CODES.select().where(_CODES.c.digest == digest(code))).mappings().first()
            )
        return Code(**_kept(row, Code)) if row is not None else None

    def use_code(self, code: str) -> bool:
        """Takes it away; false where somebody else has used it in the meantime."""
        with self._engine.begin() as connection:
            return connection.execute(_CODES.delete().where(_CODES.c.digest == digest(code))).rowcount == 1

    def add_token(self, access: str, refresh: str, found: Token, now: float) -> None:
        """Keeps a token, and forgets what has ended."""
        keys = {"digest": digest(access), "refresh_digest": digest(refresh) if refresh else None}
        with self._engine.begin() as connection:
            for table in (_CODES, _TOKENS):
                connection.execute(table.delete().where(table.c.ends > 0, table.c.ends < now))
            connection.execute(_TOKENS.insert().values(**keys, **_values(found, Token)))

    def token(self, access: str) -> Token | None:
        """By an access token."""
        return self._token(_TOKENS.c.digest == digest(access))

    def refreshable(self, refresh: str) -> Token | None:
        """By a refresh token."""
        return self._token(_TOKENS.c.refresh_digest == digest(refresh))

    def _token(self, condition: Any) -> Token | None:
        with self._engine.begin() as connection:
            row = connection.execute(_TOKENS.select().where(condition)).mappings().first()
        return Token(**_kept(row, Token)) if row is not None else None

    def replace(self, refresh: str, access: str, new_refresh: str, found: Token) -> bool:
        """A new token in an older one's place; false where somebody else was quicker."""
        values = {"digest": digest(access), "refresh_digest": digest(new_refresh), **_values(found, Token)}
        with self._engine.begin() as connection:
            where = _TOKENS.c.refresh_digest == digest(refresh)
            return connection.execute(_TOKENS.update().where(where).values(**values)).rowcount == 1

    def close(self) -> None:
        """Ends all connections."""
        self._engine.dispose()


def digest(token: str) -> str:
    """What is kept of a token. They are random and long, so that a plain hash is enough."""
    return hashlib.sha256(token.encode()).hexdigest()


def _prepared(connection: Any, record: object) -> None:
    for line in ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL", "PRAGMA busy_timeout = 2000"):
        connection.execute(line)


def _values(found: Code | Token, kind: type[Code | Token]) -> dict[str, Any]:
    return {name: getattr(found, name) for name in kind.__slots__}


def _kept(row: Mapping[Any, Any], kind: type[Code | Token]) -> dict[str, Any]:
    return {name: row[name] for name in kind.__slots__}
