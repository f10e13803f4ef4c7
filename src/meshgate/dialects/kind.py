"""What a dialect says about each of its kinds, and what lowering one object gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from meshgate.core.diagnostics import Diagnostic
from meshgate.dialects.document import Document
from meshgate.model.declared import Declared, SecretObject
from meshgate.model.names import Name

_NOTHING = Declared()


@dataclass(frozen=True, slots=True, kw_only=True)
class Lowered:
    """A fragment of what is declared, and what is to be said about it.

    An object whose diagnostics hold an error is replaced by a `Broken` unless the fragment
    is marked `keep` (a part of it stays closed and the rest works).
    """

    declared: Declared = _NOTHING
    diagnostics: tuple[Diagnostic, ...] = ()
    keep: bool = False
    """The fragment holds despite errors: it closes what they are about by itself."""


FindSecret = Callable[[Name], SecretObject | None]
"""The Secret of that name; None where there is none that can be used."""


def _needs_nothing(document: Document) -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class KindParser:
    """One kind of one API group."""

    group: str
    kind: str
    versions: frozenset[str]
    """Supported versions of the group, e.g. `v1`, `v1beta1`."""
    namespaced: bool
    lower: Callable[[Document], Lowered]
    """Pure; the document's version is one of `versions`."""
    plural: str
    short_names: tuple[str, ...] = ()
    """As kubectl takes them, e.g. `svc`."""
    joins: Callable[[Document], bool] = _needs_nothing
    """Whether an object is only whole together with Secrets."""
    lower_joined: Callable[[Document, FindSecret], Lowered] | None = None
    """`lower` for such an object; pure too."""
