"""What the config of every plugin has in common: names in Kong's style, checked text, reports."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import AfterValidator, ConfigDict

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import FieldPath, Origin
from meshgate.dialects.document import Document
from meshgate.dialects.schema import Spec, fault, problem

_TOKEN = re.compile(r"[!#$&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110's, without the percent sign, by which Envoy's formats begin."""


class Config(Spec):
    """A `config`, or a record in it; fields are read as they are named, in snake_case."""

    model_config = ConfigDict(alias_generator=None)

    REMEDIES: ClassVar[Mapping[str, str]] = {}
    """Field -> what to do about a value that is not allowed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Collects what is wrong with one plugin's config."""

    document: Document
    said: list[Diagnostic]
    path: FieldPath = ("config",)
    """Where the config is in the document."""

    def error(self, code: str, field: FieldPath, message: str, remedy: str = "") -> None:
        """An error at a field of the config."""
        self._add(Severity.ERROR, code, field, message, remedy)

    def warn(self, code: str, field: FieldPath, message: str, remedy: str = "") -> None:
        """A warning at a field of the config."""
        self._add(Severity.WARNING, code, field, message, remedy)

    def origin(self) -> Origin:
        """Where the config is written."""
        return self.document.locate(self.path)

    def _add(self, severity: Severity, code: str, field: FieldPath, message: str, remedy: str) -> None:
        path = self.path + field
        self.said.append(problem(self.document, code, path, message, severity=severity, remedy=remedy))


def _header(text: str) -> str:
    if not _TOKEN.fullmatch(text):
        raise fault("MG2103", "must be a header name")
    return text.lower()


def _shown_header(text: str) -> str:
    _header(text)
    return text


def _word(text: str) -> str:
    if not text or not text.isprintable() or " " in text:
        raise fault("MG2103", "must be a name without spaces")
    return text


def _line(text: str) -> str:
    if not text.isprintable():
        raise fault("MG2103", "must be one line without control characters")
    return text


def _quotable(text: str) -> str:
    if not text.isprintable() or '"' in text or "\\" in text or "%" in text:
        raise fault("MG2103", "must be one line without quotes, backslashes or percent signs")
    return text


HeaderName = Annotated[str, AfterValidator(_header)]
"""An HTTP header's name, in lower case after reading."""
ShownHeaderName = Annotated[str, AfterValidator(_shown_header)]
"""An HTTP header's name that somebody gets to see as it is written; `*` is one too."""
Word = Annotated[str, AfterValidator(_word)]
"""A parameter's, cookie's or claim's name."""
Line = Annotated[str, AfterValidator(_line)]
"""Text for people to read."""
Quotable = Annotated[str, AfterValidator(_quotable)]
"""Text that goes into a quoted part of a header."""
