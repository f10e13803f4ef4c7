"""`headers` of a VirtualService: what is set, added and removed on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pydantic import Field

from meshgate.core.diagnostics import Diagnostic
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.istio.matching import HEADER_NAME
from meshgate.dialects.schema import Items, Spec, problem, show
from meshgate.model.route import HeaderChanges

HOST_NAMES = frozenset({"host", ":authority"})
"""Names of the header whose change is a rewrite of the authority."""

_COMMAND = re.compile(r"%(?:%|[A-Z][A-Z0-9_]*(?:\([^%]*\))?(?::\d+)?%)")
"""A literal percent sign or a command, as in Envoy's access log format."""


class HeaderOperationsSpec(Spec):
    """Changes of the headers of one direction."""

    set: dict[str, str] = Field(default_factory=dict)
    add: dict[str, str] = Field(default_factory=dict)
    remove: Items[str] = ()


class HeadersSpec(Spec):
    """Istio's `Headers`."""

    request: HeaderOperationsSpec = HeaderOperationsSpec()
    response: HeaderOperationsSpec = HeaderOperationsSpec()

    def authority(self) -> str:
        """What `request.set` says about the Host header; empty where it says nothing."""
        return next((v for k, v in sorted(self.request.set.items()) if k.lower() in HOST_NAMES), "")


def lower_changes(
    spec: HeaderOperationsSpec, document: Document, path: FieldPath, said: list[Diagnostic]
) -> HeaderChanges:
    """The changes of one direction; without the Host header in `set`, which is a rewrite."""
    for verb in ("set", "add"):
        pairs: Mapping[str, str] = getattr(spec, verb)
        for name, value in pairs.items():
            here = (*path, verb, name)
            if not (path[-1] == "request" and verb == "set" and name.lower() in HOST_NAMES):
                _check_name(name, document, here, said)
            if wrong := _value_problem(value):
                said.append(problem(document, "MG2002", here, f"{wrong}, got {show(value)}"))
    for index, name in enumerate(spec.remove):
        _check_name(name, document, (*path, "remove", index), said)
    return HeaderChanges(
        set=tuple(sorted((n.lower(), v) for n, v in spec.set.items() if n.lower() not in HOST_NAMES)),
        add=tuple(sorted((n.lower(), v) for n, v in spec.add.items())),
        remove=tuple(sorted({n.lower() for n in spec.remove})),
    )


def _check_name(name: str, document: Document, path: FieldPath, said: list[Diagnostic]) -> None:
    if not HEADER_NAME.fullmatch(name):
        said.append(problem(document, "MG2004", path, f"must be a header name, got {show(name)}"))
    elif name.startswith(":") or name.lower() == "host":
        said.append(
            problem(
                document,
                "MG2002",
                path,
                f"{name} cannot be changed here",
                remedy="set the Host header in headers.request.set or use rewrite",
            )
        )


def _value_problem(value: str) -> str:
    """What Envoy would refuse in a header's value; it reads `%` as the start of a command."""
    if any(ord(c) < 32 and c != "\t" for c in value) or "\x7f" in value:
        return "must not have control characters"
    if "%" in _COMMAND.sub("", value):
        return "has a `%` that starts no command; write `%%` for a percent sign"
    return ""
