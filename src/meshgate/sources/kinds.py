"""How people name kinds: `po`, `svc`, `deployments.apps`, `vs,dr`, `all`."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from meshgate.core.diagnostics import ObjectRef
from meshgate.dialects.registry import KIND_PARSERS
from meshgate.dialects.wording import did_you_mean
from meshgate.sources.backend import AdminError


@dataclass(frozen=True, slots=True, kw_only=True)
class KindName:
    """One kind and the names it goes by."""

    group: str
    kind: str
    plural: str
    short_names: tuple[str, ...] = ()
    namespaced: bool = True
    read_only: bool = False
    """Made by Meshgate: it can be looked at only."""
    generated: bool = False
    """Meshgate makes objects of it, beside those that users write."""

    @property
    def resource(self) -> str:
        """`deployments.apps`."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def of(self, name: str) -> str:
        """`deployment.apps/web`, as kubectl reports a change."""
        singular = self.kind.lower()
        return f"{singular}.{self.group}/{name}" if self.group else f"{singular}/{name}"

    def ref(self, namespace: str, name: str) -> ObjectRef:
        """The identity of one object of this kind."""
        return ObjectRef(self.kind, namespace if self.namespaced else "", name, self.group)


_GENERATED = frozenset({("", "Service"), ("", "Endpoints"), ("discovery.k8s.io", "EndpointSlice")})
"""Kinds of which some objects come from `Backend.generated_objects`."""

KINDS = (
    KindName(group="", kind="Pod", plural="pods", short_names=("po",), read_only=True, generated=True),
    *(
        KindName(
            group=parser.group,
            kind=parser.kind,
            plural=parser.plural,
            short_names=parser.short_names,
            namespaced=parser.namespaced,
            generated=(parser.group, parser.kind) in _GENERATED,
        )
        for parser in KIND_PARSERS.values()
    ),
)

_ALL = ("Pod", "Service", "DaemonSet", "Deployment", "StatefulSet")
"""What kubectl's `all` comes to here."""


def find_kind(group: str, kind: str) -> KindName:
    """The names of a kind; for one that no dialect knows they are guessed."""
    found = next((k for k in KINDS if (k.group, k.kind) == (group, kind)), None)
    return found or KindName(group=group, kind=kind, plural=f"{kind.lower()}s")


def resolve(written: str, there: Collection[tuple[str, str]] = ()) -> KindName:
    """The kind that a user means; `not_found` for an unknown one.

    Of two groups with such a kind (both have a Gateway) the first by name is meant, as
    kubectl does it; but the other where only of that one there are objects (`there`).
    """
    text = written.lower()
    name, _, group = text.partition(".")
    found = [
        kind
        for kind in KINDS
        if name in (kind.plural, kind.kind.lower(), *kind.short_names)
        and (not group or group in (kind.group, f"{kind.group.partition('.')[2]}"))
    ]
    found.sort(key=lambda kind: kind.group)
    for kind in (*(k for k in found if (k.group, k.kind) in there), *found):
        return kind
    known = sorted({n for kind in KINDS for n in (kind.plural, kind.kind.lower())})
    raise AdminError(
        "not_found", f'the server doesn\'t have a resource type "{written}"', did_you_mean(text, known)
    )


def resolve_all(written: str, there: Collection[tuple[str, str]] = ()) -> tuple[KindName, ...]:
    """The kinds of a list with commas; `all` stands for what runs."""
    kinds: dict[KindName, None] = {}
    for part in filter(None, written.split(",")):
        if part.lower() == "all":
            kinds.update({kind: None for wanted in _ALL for kind in KINDS if kind.kind == wanted})
        else:
            kinds[resolve(part, there)] = None
    if not kinds:
        raise AdminError("invalid", "no kind was named", "name one, such as pods or all")
    return tuple(kinds)
