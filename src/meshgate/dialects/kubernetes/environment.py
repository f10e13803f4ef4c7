"""Environment variables of a container: values, and where they are taken from."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath
from meshgate.dialects.document import Document
from meshgate.dialects.schema import Items, Spec, fault, problem, show
from meshgate.model.workload import EnvKind, EnvRef, EnvVar

_OF_THE_POD = {
    "metadata.name": "POD_NAME",
    "metadata.namespace": "POD_NAMESPACE",
    "status.podIP": "POD_IP",
    "status.podIPs": "POD_IP",
}
"""Field path -> variable that the runtime gives every container, whose value it knows then."""

_NODE = "localhost"
"""There is one machine, and pods know it by no other name."""
_KEYED = re.compile(r"metadata\.(labels|annotations)\['([^']{1,317})'\]")


def _variable(text: str) -> str:
    if not text or "=" in text or "\0" in text or len(text) > 1000:
        raise fault("MG2004", "must be a variable's name without '='")
    return text


def _value(text: str) -> str:
    if "\0" in text:
        raise fault("MG2002", "must not hold the character U+0000")
    return text


class KeyRef(Spec):
    name: str
    key: Annotated[str, Field(min_length=1)]
    optional: bool = False


class FieldRef(Spec):
    api_version: str = "v1"
    field_path: str


class ValueFrom(Spec):
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {
        "resourceFieldRef": "is not supported; the variable is not set",
        "fileKeyRef": "is not supported; the variable is not set",
    }

    secret_key_ref: KeyRef | None = None
    config_map_key_ref: KeyRef | None = None
    field_ref: FieldRef | None = None


class EnvEntry(Spec):
    name: Annotated[str, AfterValidator(_variable)]
    value: Annotated[str, AfterValidator(_value)] | None = None
    value_from: ValueFrom | None = None


class WholeRef(Spec):
    name: str
    optional: bool = False


class EnvFromEntry(Spec):
    prefix: str = ""
    secret_ref: WholeRef | None = None
    config_map_ref: WholeRef | None = None


class PodFacts:
    """What `fieldRef` may ask of the pod template, as far as it is known before a pod runs."""

    def __init__(
        self, service_account: str, labels: Mapping[str, str], annotations: Mapping[str, str]
    ) -> None:
        self.service_account = service_account
        self._keyed = {"labels": labels, "annotations": annotations}

    def value(self, field_path: str) -> str | None:
        """The value, `$(NAME)` for what the runtime knows, or None for what nobody knows here."""
        if field_path in _OF_THE_POD:
            return f"$({_OF_THE_POD[field_path]})"
        if field_path in ("spec.serviceAccountName", "spec.serviceAccount"):
            return self.service_account
        if field_path == "spec.nodeName":
            return _NODE
        keyed = _KEYED.fullmatch(field_path)
        return self._keyed[keyed[1]].get(keyed[2], "") if keyed else None


class EnvironmentLowering:
    """Lowers one container's `env` and `envFrom`; references to other objects stay references."""

    def __init__(self, document: Document, facts: PodFacts, at: FieldPath) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._document, self._facts, self._at = document, facts, at

    def env(self, entries: Items[EnvEntry]) -> tuple[EnvVar, ...]:
        """In order; the last of a name wins when the container starts."""
        lowered = (self._entry(e, (*self._at, "env", i)) for i, e in enumerate(entries))
        return tuple(variable for variable in lowered if variable is not None)

    def env_from(self, entries: Items[EnvFromEntry]) -> tuple[EnvRef, ...]:
        refs: list[EnvRef] = []
        for i, entry in enumerate(entries):
            at = (*self._at, "envFrom", i)
            if (entry.secret_ref is None) == (entry.config_map_ref is None):
                self._error("MG2006", at, "needs either secretRef or configMapRef")
            elif entry.secret_ref is not None:
                refs.append(self._whole(EnvKind.SECRET, entry.secret_ref, entry.prefix, at))
            elif entry.config_map_ref is not None:
                refs.append(self._whole(EnvKind.CONFIG_MAP, entry.config_map_ref, entry.prefix, at))
        return tuple(refs)

    def _whole(self, kind: EnvKind, ref: WholeRef, prefix: str, at: FieldPath) -> EnvRef:
        return EnvRef(
            kind=kind,
            name=ref.name,
            optional=ref.optional,
            prefix=prefix,
            origin=self._document.locate(at),
        )

    def _entry(self, entry: EnvEntry, at: FieldPath) -> EnvVar | None:
        source = entry.value_from
        if source is None:
            return EnvVar(name=entry.name, value=entry.value or "")
        if entry.value:
            self._error("MG2006", at, "has both value and valueFrom")
        given = [
            s for s in (source.secret_key_ref, source.config_map_key_ref, source.field_ref) if s is not None
        ]
        if len(given) > 1:
            self._error("MG2006", (*at, "valueFrom"), "takes one source only")
        if source.secret_key_ref is not None:
            return self._keyed(entry.name, EnvKind.SECRET, source.secret_key_ref, at)
        if source.config_map_key_ref is not None:
            return self._keyed(entry.name, EnvKind.CONFIG_MAP, source.config_map_key_ref, at)
        if source.field_ref is not None:
            return self._field(entry.name, source.field_ref.field_path, at)
        return None  # an unsupported source, which was reported

    def _keyed(self, name: str, kind: EnvKind, ref: KeyRef, at: FieldPath) -> EnvVar:
        origin = self._document.locate((*at, "valueFrom"))
        reference = EnvRef(kind=kind, name=ref.name, key=ref.key, optional=ref.optional, origin=origin)
        return EnvVar(name=name, value="", ref=reference)

    def _field(self, name: str, field_path: str, at: FieldPath) -> EnvVar | None:
        value = self._facts.value(field_path)
        if value is None:
            self.diagnostics.append(
                problem(
                    self._document,
                    "MG4004",
                    (*at, "valueFrom", "fieldRef", "fieldPath"),
                    f"{show(field_path)} is not known here; {name} is not set",
                    severity=Severity.WARNING,
                )
            )
            return None
        if value == f"$({name})":
            return None  # the runtime sets a variable of this name and meaning anyway
        return EnvVar(name=name, value=value)

    def _error(self, code: str, at: FieldPath, message: str) -> None:
        self.diagnostics.append(problem(self._document, code, at, message))
