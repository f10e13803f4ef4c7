"""YAML (and JSON, which is YAML) text to documents, safe against whatever the text holds.

libyaml's events are composed here with an explicit stack, so that no input can exhaust
Python's, and with limits on all that can grow: depth, nodes, expansion of aliases, length
of a scalar, size of the text. Plain scalars mean what PyYAML's safe loader makes of them
(YAML 1.1), except that dates stay text, as in Kubernetes.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import yaml
from yaml._yaml import CParser

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin
from meshgate.dialects.compose import ComposeError, Composer, Data, Problem
from meshgate.dialects.document import Document, Json, Source
from meshgate.dialects.foreign import told_of_templates
from meshgate.dialects.unfolding import unfold
from meshgate.dialects.yaml_errors import syntax_problem

MAX_TEXT_BYTES = 16 * 1024 * 1024
"""Of one file. Kubernetes itself takes objects of 1.5 MiB."""

MAX_PROBLEMS = 20
"""Unreadable documents or characters reported per file; a file that is worse is not YAML."""

MAX_DIAGNOSTICS = 1000
"""Of all kinds, per file."""

_BAD_CHARACTER = re.compile(
    "[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]"
)
_DOCUMENT_START = re.compile(r"^---(?=\s|$)", re.MULTILINE)
_JSON_SURROGATES = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}")


_Take = Callable[["Value"], Iterable[Diagnostic]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What one YAML document holds."""

    data: Json
    source: Source
    problem: str
    """Why it is only good to be named, though it can be read; empty: it is good."""


def read_documents(text: str, file: str) -> tuple[tuple[Document, ...], tuple[Diagnostic, ...]]:
    """The objects of a text, Lists unfolded (MG1001 to MG1004, MG2002, MG2004).

    A document that cannot be read is left out and reading goes on after the next `---`.
    """
    documents: list[Document] = []

    def take(value: Value) -> tuple[Diagnostic, ...]:
        found, said = unfold(value.data, file, value.source, value.problem)
        documents.extend(found)
        return said

    diagnostics = _read(text, file, take)
    return tuple(documents), tuple(told_of_templates(text, diagnostics))


def read_values(
    text: str, file: str, lines_before: int = 0
) -> tuple[tuple[Value, ...], tuple[Diagnostic, ...]]:
    """The same before anything is known of objects: for what is no manifest, or stands inside of one."""
    values: list[Value] = []

    def take(value: Value) -> tuple[Diagnostic, ...]:
        values.append(value)
        return ()

    diagnostics = _read(text, file, take, lines_before)
    return tuple(values), tuple(diagnostics)


def _read(text: str, file: str, take: _Take, lines_before: int = 0) -> list[Diagnostic]:
    if len(text) > MAX_TEXT_BYTES:
        message = f"it is longer than {MAX_TEXT_BYTES} characters"
        return [_error("MG1002", Origin(file, 1, 1), message, "split the file")]
    if text.count("\n%TAG") > MAX_PROBLEMS:
        # libyaml compares each of them with every other.
        message = "tag directives (`%TAG`) are not supported"
        return [_error("MG1001", Origin(file, 1, 1), message, "remove them")]
    reader = _FileReader(text, file, take, lines_before)
    reader.read()
    return reader.diagnostics


def _error(code: str, origin: Origin, message: str, remedy: str = "") -> Diagnostic:
    return Diagnostic(severity=Severity.ERROR, code=code, origin=origin, message=message, remedy=remedy)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """What is left of the text from some line on."""

    text: str
    start: int
    """Index in the whole text."""
    line: int
    """Lines before it."""


class _FileReader:
    def __init__(self, text: str, file: str, take: _Take, lines_before: int) -> None:
        self.diagnostics: list[Diagnostic] = []
        self._file, self._take, self._lines_before = file, take, lines_before
        text = text.removeprefix("\ufeff")
        if text.lstrip()[:1] in ("{", "["):
            text = _JSON_SURROGATES.sub(_join_surrogates, text)
        self._bad = [m.start() for m in _BAD_CHARACTER.finditer(text)]
        for index in self._bad[:MAX_PROBLEMS]:
            line, column = _line_and_column(text, index)
            message = f"the character U+{ord(text[index]):04X} is not allowed here"
            self._report("MG1001", lines_before + line, column, message, "remove it")
        self._text = _BAD_CHARACTER.sub("\ufffd", text) if self._bad else text

    def read(self) -> None:
        part: _Part | None = _Part(text=self._text, start=0, line=self._lines_before)
        for _ in range(MAX_PROBLEMS):
            if part is None:
                return
            part = self._read_until_error(part)
        if part is not None:
            self._report("MG1002", part.line, 0, "too many errors; the rest of the file was not read")

    def _read_until_error(self, part: _Part) -> _Part | None:
        """Reads documents up to the first that fails; what follows that one, or None."""
        reached = 0
        try:
            composer = Composer(CParser(part.text))
            while (composed := composer.next_document()) is not None:
                if len(self.diagnostics) >= MAX_DIAGNOSTICS:
                    line = part.line + composed.start.line
                    self._report("MG1002", line, 0, "too many errors; the rest of the file was not read")
                    return None
                start = composed.start.index - composed.start.column
                source = Source(
                    text=part.text[start : composed.end],
                    line=part.line + composed.start.line + 1,
                    root=composed.root,
                )
                reached = composed.end
                self._add(composed.data, composed.problems, source, part.start + start)
            return None
        except ComposeError as error:
            mark = error.mark
            self._report(error.code, part.line + mark.line, mark.column, str(error), error.remedy)
            reached = max(reached, mark.index)
        except yaml.MarkedYAMLError as error:
            reached = max(reached, self._marked(error, part))
        except (yaml.YAMLError, ValueError) as error:
            # Not met in trials: libyaml's reader refuses only what was replaced before.
            self._report("MG1001", part.line, 0, str(error).splitlines()[0][:200])
            return None
        following = _DOCUMENT_START.search(part.text, reached)
        if following is None:
            return None
        skipped = part.text.count("\n", 0, following.start())
        return _Part(
            text=part.text[following.start() :],
            start=part.start + following.start(),
            line=part.line + skipped,
        )

    def _marked(self, error: yaml.MarkedYAMLError, part: _Part) -> int:
        """Reports a syntax error; the index where it was met."""
        found = syntax_problem(error, part.text, part.line)
        self._report(found.code, part.line + found.line, found.column, found.message, found.remedy)
        met = error.problem_mark or error.context_mark
        return met.index if met is not None else 0

    def _add(self, data: Data, problems: tuple[Problem, ...], source: Source, start: int) -> None:
        for problem in problems:
            origin_line = source.line - 1 + problem.line
            self._report(problem.code, origin_line, problem.column, problem.message, problem.remedy)
        summary = problems[0].message if problems else ""
        first_bad = bisect_left(self._bad, start)
        if first_bad < len(self._bad) and self._bad[first_bad] < start + len(source.text):
            summary = "it has a character that is not allowed"
        if data is None and not summary:
            return  # an empty document
        self.diagnostics.extend(self._take(Value(data=data, source=source, problem=summary)))

    def _report(self, code: str, line: int, column: int, message: str, remedy: str = "") -> None:
        origin = Origin(self._file, line + 1, column + 1)
        self.diagnostics.append(_error(code, origin, message, remedy))


def _line_and_column(text: str, index: int) -> tuple[int, int]:
    """From 0, as libyaml counts them."""
    return text.count("\n", 0, index), index - (text.rfind("\n", 0, index) + 1)


def _join_surrogates(match: re.Match[str]) -> str:
    """One character for the two escapes that JSON writes for it; YAML knows no such pairs."""
    escapes = match.group()
    return (int(escapes[2:6], 16).to_bytes(2, "big") + int(escapes[8:12], 16).to_bytes(2, "big")).decode(
        "utf-16-be"
    )
