"""What goes into the object store, and what it holds."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from meshgate.core.diagnostics import Diagnostic, ObjectRef
from meshgate.dialects.document import Document, Json
from meshgate.sources.kept import Identity
from meshgate.sources.merging import encoded_secret, with_metadata

API = "api"
"""The source of objects that no file has."""

_UID_SPACE = uuid.UUID("3f1c6f0e-50f4-5be6-9d0c-0d8f3f7f5a11")


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceText:
    """What a file holds now; no documents and no diagnostics where it is gone or empty."""

    documents: tuple[Document, ...] = ()
    diagnostics: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Something that was written and is not in force."""

    source: str
    ref: ObjectRef | None
    """None where the file cannot be read so far that it names an object."""
    diagnostics: tuple[Diagnostic, ...]
    last_good: bool
    """An older version is in force instead; otherwise what refers to the object is closed."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StoredObject:
    """One object in force."""

    ref: ObjectRef
    document: Document
    """With `metadata.creationTimestamp`; positions lead to its file."""
    source: str
    """`file:<path>` or `api`."""
    identity: Identity
    changed_by_api: bool

    @property
    def uid(self) -> str:
        """The same for the same object for as long as it lives."""
        ref = self.ref
        name = f"{ref.group}/{ref.kind}/{ref.namespace}/{ref.name}@{self.identity.created}"
        return str(uuid.uuid5(_UID_SPACE, name))

    def view(self) -> dict[str, Json]:
        """The object as an API server answers it."""
        members: dict[str, Json] = {
            "name": self.ref.name,
            "uid": self.uid,
            "resourceVersion": str(self.identity.resource_version),
            "generation": self.identity.generation,
            "creationTimestamp": self.identity.created,
        }
        if self.ref.namespace:
            members["namespace"] = self.ref.namespace
        data = self.document.data
        if (self.ref.group, self.ref.kind) == ("", "Secret"):
            data = encoded_secret(data)
        return with_metadata(data, members)
