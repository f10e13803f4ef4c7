"""What libyaml cannot read, in words of the user's text: what is wrong, where, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass

import yaml

from meshgate.dialects.compose import MAX_DEPTH, Mark

_NO_SPACE = re.compile(r"^\s*[\w-]+:[^\s/:\\]", re.MULTILINE)
"""A key whose colon has no space behind it, and that is no address."""
_CLOSING = {"]": "[", "}": "{"}
_OTHERS = (
    ("block sequence entries", "no list item is allowed here", "begin the list on a line of its own"),
    ("did not find expected node content", "a value is missing here", "write one, and close every [ and {"),
    ("did not find expected alphabetic", "no name stands behind this & or *", "put the text in quotes"),
    (
        "did not find expected <document start>",
        "the object ends before this",
        "begin another with ---",
    ),
    ("found unknown escape", "the backslash stands before what is no escape", "double it"),
    ("did not find expected hexdecimal", "the backslash stands before what is no escape", "double it"),
    ("found undefined tag", "tags (`!`) are not supported", "put the text in quotes"),
)
"""How libyaml's words begin, ours, and the remedy."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SyntaxProblem:
    """One thing that is no YAML; line and column from 0."""

    code: str = "MG1001"
    line: int
    column: int
    message: str
    remedy: str = ""


def syntax_problem(error: yaml.MarkedYAMLError, text: str, lines_before: int) -> SyntaxProblem:
    """The error that was met in `text`, before which the file has so many lines."""
    opened, met = error.context_mark, error.problem_mark or error.context_mark
    problem = error.problem or ""
    if met is None:
        return SyntaxProblem(line=0, column=0, message=_raw(error))
    if "nesting depth" in problem:
        # libyaml 0.2.6 has a limit of its own, and meets it before ours while it looks for a key.
        return _at(met, f"more than {MAX_DEPTH} levels deep", "use fewer", code="MG1002")
    if "start any token" in problem or "tab character" in problem:
        return _odd_start(met, text)
    if problem.startswith(("mapping values", "mapping keys")):
        unspaced = _NO_SPACE.search(text[: met.index].rpartition("\n---")[2]) is not None
        quote = "put text that has a colon in quotes, or mend the indentation"
        return _at(met, "no colon is allowed here", "write a space behind each colon" if unspaced else quote)
    if problem.startswith("could not find expected ':'"):
        remedy = "write KEY: VALUE, or indent it as far as the text that it belongs to"
        return _at(opened or met, "this is no key with a colon behind it", remedy)
    if "quoted scalar" in (error.context or "") and problem.startswith("found unexpected"):
        return _at(opened or met, "this quotation mark is never closed", "close it")
    line = lines_before + (opened or met).line + 1
    if (closing := problem[-2:-1]) in _CLOSING:
        message = f"the {_CLOSING[closing]} of line {line} is not closed before this"
        return _at(met, message, f"write {closing} before it, or a comma")
    if problem.startswith(("did not find expected key", "did not find expected '-'")):
        return _unlike_the_others(met, text, line, of_list="'-'" in problem)
    for begin, message, remedy in _OTHERS:
        if problem.startswith(begin):
            return _at(met, message, remedy)
    return _at(met, _raw(error))


def _unlike_the_others(met: Mark, text: str, line: int, *, of_list: bool) -> SyntaxProblem:
    """What stands where a further item or key should."""
    if text[: met.index].rpartition("\n")[2].rstrip().endswith(("'", '"')):
        remedy = "double a quotation mark that belongs to the text"
        return _at(met, "text stands behind the closing quotation mark", remedy)
    if of_list:
        message = f"this is no further item of the list that begins in line {line}"
        return _at(met, message, "begin it with a hyphen, as far in as the others")
    return _at(
        met, f"this is no further key of the object that begins in line {line}", "mend the indentation"
    )


def _odd_start(met: Mark, text: str) -> SyntaxProblem:
    if text[met.index : met.index + 1] == "\t":
        return _at(met, "a tab stands here", "indent with spaces")
    return _at(met, f"no value can begin with {text[met.index : met.index + 1]!r}", "put the text in quotes")


def _at(mark: Mark, message: str, remedy: str = "", code: str = "MG1001") -> SyntaxProblem:
    return SyntaxProblem(code=code, line=mark.line, column=mark.column, message=message, remedy=remedy)


def _raw(error: yaml.MarkedYAMLError) -> str:
    return ", ".join(part for part in (error.context, error.problem) if part)
