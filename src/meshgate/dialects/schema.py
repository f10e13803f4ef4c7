"""Checking an object against a kind's fields: pydantic underneath, diagnostics on top.

A kind's fields are subclasses of `Spec`. `check` first walks the object along them (nulls
count as absent, as in Kubernetes; unknown and unsupported fields are named and taken out),
then pydantic checks types and values; each error comes back as a `Diagnostic` with its
position, rule, value and remedy. Values of `SecretText`, and of models with
`HIDE_VALUES`, are never shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, ClassVar, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Strict, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails, PydanticCustomError

from meshgate.core.codes import CODES
from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath, format_path
from meshgate.core.secret import Secret
from meshgate.core.units import parse_duration_ms
from meshgate.dialects.document import Document, Json
from meshgate.dialects.shape import shape_of
from meshgate.dialects.type_errors import explain, real_path
from meshgate.dialects.wording import did_you_mean, show

__all__ = [
    "DurationMs",
    "IntOrString",
    "Items",
    "SecretText",
    "Spec",
    "check",
    "did_you_mean",
    "fault",
    "problem",
    "show",
]

MAX_FINDINGS = 50
"""Diagnostics about one object; more would only bury the first."""

T = TypeVar("T")


class Spec(BaseModel):
    """Fields of one object level; named in Python style, read in camelCase."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        alias_generator=to_camel,
        # Aliases only: what a user writes is camelCase.
        validate_by_name=False,
        validate_by_alias=True,
        arbitrary_types_allowed=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
        # When the first object of the kind comes: most of some 370 models are not used by most manifests.
        defer_build=True,
    )

    IGNORED: ClassVar[Mapping[str, str]] = {}
    """Known fields (camelCase -> why) without effect here that most manifests have: one INFO per object."""
    UNSUPPORTED: ClassVar[Mapping[str, str]] = {}
    """Known fields (camelCase -> what that means) without effect: a warning each, MG1103."""
    UNSUPPORTED_SECURITY: ClassVar[Mapping[str, str]] = {}
    """Known fields whose lack would open something: an error each, MG1104."""
    SILENT: ClassVar[Mapping[str, object]] = {}
    """Fields of `UNSUPPORTED` -> the value that says nothing, as dumps write it: it is taken in silence."""
    HIDE_VALUES: ClassVar[bool] = False
    """Never show any value of this object (Secrets)."""


M = TypeVar("M", bound=Spec)

Items = Annotated[tuple[T, ...], Strict(False)]
"""A list; `Items[str]` is a tuple of strict strings."""


def fault(code: str, message: str, remedy: str = "") -> PydanticCustomError:
    """An error to raise in a validator; becomes a diagnostic of that code at the field.

    `message` holds the rule alone; the value is added to it unless it is secret.
    """
    assert code in CODES
    return PydanticCustomError("meshgate", "{message}", {"code": code, "message": message, "remedy": remedy})


def _secret(value: object) -> Secret:
    if isinstance(value, Secret):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("secret", "must be a string (the value is not shown)")
    return Secret.of(value)


SecretText = Annotated[Secret, BeforeValidator(_secret)]
"""Text that is hidden at once and never shown in a diagnostic."""


def _duration_ms(value: object) -> float:
    milliseconds = parse_duration_ms(value) if isinstance(value, str) else None
    if milliseconds is None:
        raise fault("MG2002", "must be a duration", "write it like 30s, 1m30s or 250ms")
    return milliseconds


DurationMs = Annotated[float, BeforeValidator(_duration_ms)]
"""A Go duration as text, in milliseconds."""


def _int_or_string(value: object) -> int | str:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise fault("MG2001", "must be a number or a name")
    return value


IntOrString = Annotated[int | str, BeforeValidator(_int_or_string)]
"""Kubernetes' IntOrString: a port's number or its name."""


def check(model: type[M], document: Document, path: FieldPath = ()) -> tuple[M | None, list[Diagnostic]]:
    """The object (or what is at `path` in it) as `model`, and what is wrong with it.

    None where there are errors. Codes MG1102 to MG1104, MG2001 to MG2003 and those of `fault`.
    """
    findings = _Findings(document, path, hide=model.HIDE_VALUES)
    cleaned = findings.clean(model, _at(document.data, path), ())
    findings.report_ignored()
    value: M | None = None
    try:
        value = model.model_validate(cleaned)
    except ValidationError as error:
        details = error.errors(include_url=False, include_context=True)
        for detail in details[:MAX_FINDINGS]:
            findings.report(detail)
    if any(d.severity is Severity.ERROR for d in findings.diagnostics):
        value = None
    return value, findings.diagnostics


def problem(
    document: Document,
    code: str,
    path: FieldPath,
    message: str,
    *,
    severity: Severity = Severity.ERROR,
    remedy: str = "",
    key: bool = False,
) -> Diagnostic:
    """A diagnostic about a field of a document; `key` points to the field's name."""
    return Diagnostic(
        severity=severity,
        code=code,
        origin=document.locate(path, key=key),
        message=message,
        object=document.ref,
        field=path,
        remedy=remedy,
    )


def written(document: Document, path: FieldPath) -> Json:
    """What stands at a path, also where no model takes it; `{}` where nothing does."""
    return _at(document.data, path)


def _at(data: Json, path: FieldPath) -> Json:
    for part in path:
        if isinstance(data, Mapping) and isinstance(part, str):
            data = data.get(part)
        elif isinstance(data, list | tuple) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            return None
    return {} if data is None else data


def _says_nothing(value: Json, default: object) -> bool:
    return value is None or (type(value) is type(default) and value == default)


@dataclass(slots=True)
class _Findings:
    document: Document
    base: FieldPath
    hide: bool
    diagnostics: list[Diagnostic] = field(default_factory=list)
    ignored: list[FieldPath] = field(default_factory=list)

    def clean(self, model: type[Spec], data: Json, path: FieldPath) -> Json:
        """`data` without nulls and without the fields that `model` does not take, which are named."""
        if not isinstance(data, Mapping):
            return data
        shape = shape_of(model)
        result: dict[str, Json] = {}
        for name, value in data.items():
            if name not in shape:
                known = {**model.UNSUPPORTED, **model.UNSUPPORTED_SECURITY}
                if not (name in known and _says_nothing(value, model.SILENT.get(name))):
                    self._not_taken(model, name, (*path, name), known=shape)
            elif value is not None:
                if name in model.IGNORED:
                    self.ignored.append((*self.base, *path, name))
                child = shape[name]
                inner = (*path, name)
                if child is None:
                    result[name] = value
                elif child.many is None:
                    result[name] = self.clean(child.model, value, inner)
                else:
                    result[name] = self._clean_many(child.model, child.many, value, inner)
        return result

    def _clean_many(self, model: type[Spec], many: str, value: Json, path: FieldPath) -> Json:
        if many == "list" and isinstance(value, list | tuple):
            return [self.clean(model, item, (*path, i)) for i, item in enumerate(value)]
        if many == "map" and isinstance(value, Mapping):
            return {k: self.clean(model, item, (*path, k)) for k, item in value.items()}
        return value

    def _not_taken(self, model: type[Spec], name: str, path: FieldPath, known: Iterable[str]) -> None:
        if len(self.diagnostics) >= MAX_FINDINGS:
            return
        if name in model.IGNORED:
            self.ignored.append(self.base + path)
        elif (note := model.UNSUPPORTED.get(name)) is not None:
            self._add("MG1103", path, note or "has no effect", Severity.WARNING)
        elif (note := model.UNSUPPORTED_SECURITY.get(name)) is not None:
            self._add("MG1104", path, note or "is not supported", Severity.ERROR)
        else:
            choices = [*known, *model.IGNORED, *model.UNSUPPORTED, *model.UNSUPPORTED_SECURITY]
            remedy = did_you_mean(name, choices)
            if name.startswith("-"):
                remedy = f"write a space behind the hyphen: - {name[1:]}"
            self._add("MG1102", path, "unknown field", Severity.ERROR, remedy)

    def _add(self, code: str, path: FieldPath, message: str, severity: Severity, remedy: str = "") -> None:
        full = self.base + path
        self.diagnostics.append(
            problem(self.document, code, full, message, severity=severity, remedy=remedy, key=True)
        )

    def report_ignored(self) -> None:
        """One line for all the fields that most manifests have and that mean nothing here."""
        if not self.ignored:
            return
        shown = ", ".join(format_path(path) for path in self.ignored[:12])
        more = f" and {len(self.ignored) - 12} more" if len(self.ignored) > 12 else ""
        first = self.ignored[0]
        self.diagnostics.append(
            problem(
                self.document,
                "MG1103",
                first,
                f"not used here: {shown}{more}",
                severity=Severity.INFO,
                key=True,
            )
        )

    def report(self, detail: ErrorDetails) -> None:
        """One pydantic error as a diagnostic."""
        path = self.base + real_path(_at(self.document.data, self.base), detail["loc"])
        code, rule, remedy = explain(detail)
        kind = detail["type"]
        shown = "" if kind in ("missing", "secret") or self.hide else f", got {show(detail['input'])}"
        diagnostic = problem(self.document, code, path, rule + shown, remedy=remedy)
        if diagnostic not in self.diagnostics:
            self.diagnostics.append(diagnostic)
