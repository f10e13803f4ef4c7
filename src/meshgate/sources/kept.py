"""What must outlive the control plane: one SQLite file, readable by its owner only.

It holds what was done through the API, the last good version of objects whose file is
broken at present, and the identity (creation time, generation) of every object.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool

from meshgate.core.diagnostics import ObjectRef
from meshgate.dialects.document import Document, Json, Source

_metadata = sa.MetaData()


def _key() -> list[sa.Column[str]]:
    names = ("api_group", "kind", "namespace", "name")
    return [sa.Column(name, sa.String, primary_key=True) for name in names]


_IDENTITIES = sa.Table(
    "identities",
    _metadata,
    *_key(),
    sa.Column("created", sa.String, nullable=False),
    sa.Column("generation", sa.Integer, nullable=False),
    sa.Column("resource_version", sa.Integer, nullable=False),
    sa.Column("content", sa.String, nullable=False),
    sa.Column("desired", sa.String, nullable=False),
)
_OVERRIDES = sa.Table(
    "overrides",
    _metadata,
    *_key(),
    sa.Column("base", sa.String, nullable=False),
    sa.Column("document", sa.Text),
    sa.Column("last_applied", sa.Text),
)
_GOOD = sa.Table(
    "good",
    _metadata,
    *_key(),
    sa.Column("source", sa.String, nullable=False),
    sa.Column("document", sa.Text, nullable=False),
)


class KeptStateError(Exception):
    """The file cannot be used until somebody acts; `remedy` says how."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(f"{message}; {remedy}")
        self.message, self.remedy = message, remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What an API server knows of an object besides what was written."""

    created: str
    """RFC 3339, UTC, whole seconds; kept across edits."""
    generation: int
    """Rises with every change outside of metadata and status."""
    resource_version: int
    """Rises with every change of anything in the store."""
    content: str
    """Hash of the whole object."""
    desired: str
    """Hash of what the generation counts."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Override:
    """The API's word on an object, which holds until its file says something new."""

    document: Document | None
    """None: deleted."""
    base: str
    """Hash of the file's version that it stands before; empty where no file has the object."""
    last_applied: Mapping[str, Json] | None = None
    """What `apply` was last given, so that the next one knows what was taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Everything in the file."""

    identities: Mapping[ObjectRef, Identity]
    overrides: Mapping[ObjectRef, Override]
    good: Mapping[ObjectRef, tuple[str, Document]]
    """Source and last good version."""


class KeptState:
    """The open file. Writes block for a moment; they are rare and small."""

    def __init__(self, path: Path | None) -> None:
        """None keeps nothing (tests, offline commands). Raises `KeptStateError`."""
        self._path = path
        try:
            if path is not None:
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                # Made before SQLite makes it, which would follow the umask.
                os.close(os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
                path.chmod(0o600)
            address = sa.URL.create("sqlite", database=str(path) if path else ":memory:")
            # Values may be secret; SQLAlchemy would put them into the text of its errors.
            self._engine = sa.create_engine(address, poolclass=StaticPool, hide_parameters=True)
            _metadata.create_all(self._engine)
        except (OSError, SQLAlchemyError) as error:
            raise self._broken(error) from error

    def _broken(self, error: Exception) -> KeptStateError:
        return KeptStateError(
            f"{self._path} cannot be used ({type(error).__name__})",
            "check that it is yours and the disk has room; without the file, changes made by "
            "apply, label and patch are forgotten",
        )

    def load(self) -> Kept:
        """Everything in the file."""
        try:
            with self._engine.connect() as db:
                identities = {_ref(row): _identity(row) for row in db.execute(sa.select(_IDENTITIES))}
                overrides = {_ref(row): _override(row) for row in db.execute(sa.select(_OVERRIDES))}
                good = {
                    _ref(row): (row.source, _load(_ref(row), row.document))
                    for row in db.execute(sa.select(_GOOD))
                }
        except (SQLAlchemyError, ValueError, KeyError, TypeError) as error:
            raise self._broken(error) from error
        return Kept(identities=identities, overrides=overrides, good=good)

    def write(
        self,
        *,
        identities: Mapping[ObjectRef, Identity | None],
        overrides: Mapping[ObjectRef, Override | None],
        good: Mapping[ObjectRef, tuple[str, Document] | None],
    ) -> None:
        """All of this or nothing; None removes an entry."""
        if not (identities or overrides or good):
            return
        try:
            with self._engine.begin() as db:
                _put(db, _IDENTITIES, ((r, _of_identity(i) if i else None) for r, i in identities.items()))
                _put(db, _OVERRIDES, ((r, _of_override(o) if o else None) for r, o in overrides.items()))
                _put(
                    db,
                    _GOOD,
                    ((r, {"source": g[0], "document": _dump(g[1])} if g else None) for r, g in good.items()),
                )
        except SQLAlchemyError as error:
            raise self._broken(error) from error

    def close(self) -> None:
        """Closes the file."""
        self._engine.dispose()


_Values = Mapping[str, object]


def _put(db: sa.Connection, table: sa.Table, entries: Iterable[tuple[ObjectRef, _Values | None]]) -> None:
    gone, there = [], []
    for ref, values in entries:
        key = {"k_group": ref.group, "k_kind": ref.kind, "k_namespace": ref.namespace, "k_name": ref.name}
        gone.append(key)
        if values is not None:
            there.append(
                {
                    "api_group": ref.group,
                    "kind": ref.kind,
                    "namespace": ref.namespace,
                    "name": ref.name,
                    **values,
                }
            )
    if gone:
        c = table.c
        db.execute(
            sa.delete(table).where(
                c.api_group == sa.bindparam("k_group"),
                c.kind == sa.bindparam("k_kind"),
                c.namespace == sa.bindparam("k_namespace"),
                c.name == sa.bindparam("k_name"),
            ),
            gone,
        )
    if there:
        db.execute(sa.insert(table), there)


def _ref(row: sa.Row[tuple[object, ...]]) -> ObjectRef:
    return ObjectRef(row.kind, row.namespace, row.name, row.api_group)


def _identity(row: sa.Row[tuple[object, ...]]) -> Identity:
    return Identity(
        created=row.created,
        generation=row.generation,
        resource_version=row.resource_version,
        content=row.content,
        desired=row.desired,
    )


def _of_identity(identity: Identity) -> _Values:
    return {
        "created": identity.created,
        "generation": identity.generation,
        "resource_version": identity.resource_version,
        "content": identity.content,
        "desired": identity.desired,
    }


def _override(row: sa.Row[tuple[object, ...]]) -> Override:
    return Override(
        document=_load(_ref(row), row.document) if row.document is not None else None,
        base=row.base,
        last_applied=json.loads(row.last_applied) if row.last_applied is not None else None,
    )


def _of_override(override: Override) -> _Values:
    return {
        "base": override.base,
        "document": _dump(override.document) if override.document else None,
        "last_applied": json.dumps(override.last_applied) if override.last_applied is not None else None,
    }


def _dump(document: Document) -> str:
    source = document.source
    return json.dumps(
        {
            "data": document.data,
            "file": document.file,
            "given": document.namespace_given,
            "text": source.text if source else None,
            "line": source.line if source else 0,
            "root": source.root if source else (0, 0),
            "base": list(document.base),
        }
    )


def _load(ref: ObjectRef, text: str) -> Document:
    stored = json.loads(text)
    data = stored["data"]
    source = None
    if stored["text"] is not None:
        line, column = stored["root"]
        source = Source(text=stored["text"], line=stored["line"], root=(line, column))
    return Document(
        ref=ref,
        api_version=data["apiVersion"],
        data=data,
        file=stored["file"],
        namespace_given=stored["given"],
        source=source,
        base=tuple(stored["base"]),
    )
