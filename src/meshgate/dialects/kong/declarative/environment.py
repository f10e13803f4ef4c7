"""Variables in a declarative file, as decK writes them: `${{ env "DECK_NAME" }}`, changed by functions.

Their values go into the text before it is read, as decK does it; only variables that begin with `DECK_`
can be named. No message shows a value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from meshgate.core.diagnostics import Diagnostic, Severity
from meshgate.core.origin import Origin

_PLACEHOLDER = re.compile(r"\$\{\{(?P<inner>[^{}]*)\}\}")
_CALL = re.compile(r'\s*env\s+["`](?P<name>[^"`]+)["`](?P<functions>(?:\s*\|\s*\w+(?:\s+\d+)?)*)\s*')
_FUNCTION = re.compile(r"\|\s*(\w+)(?:\s+(\d+))?")
_PREFIX = "DECK_"
_MOST_SPACES = 1000
_SHOWN = 77
"""Characters of a long value that a message shows."""
_LEAST = 4
"""Shorter values are words like any others, or numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FilledIn:
    """A text with the values of its variables."""

    text: str
    values: Mapping[str, str]
    """By variable: those that were put in."""
    diagnostics: tuple[Diagnostic, ...]

    def without_values(self, message: str) -> str:
        """The message with the variables' names in place of what they hold."""
        for name, value in sorted(self.values.items(), key=lambda item: -len(item[1])):
            for shown in (value, repr(value)[1:-1], value[:_SHOWN]):
                message = message.replace(shown, f"${name}") if len(shown) >= _LEAST else message
        return message


def filled_in(text: str, file: str, environment: Mapping[str, str]) -> FilledIn:
    """The text with the values of its variables (MG2501 for what cannot be had, which stays as it is)."""
    said: list[Diagnostic] = []
    used: dict[str, str] = {}

    def replaced(found: re.Match[str]) -> str:
        value, problem = _value(found["inner"], environment, used)
        if problem:
            before = text[: found.start()]
            at = Origin(file, before.count("\n") + 1, found.start() - before.rfind("\n"))
            said.append(Diagnostic(severity=Severity.ERROR, code="MG2501", origin=at, message=problem))
        return found[0] if problem else value

    filled = _PLACEHOLDER.sub(replaced, text)
    return FilledIn(text=filled, values=used, diagnostics=tuple(said))


def _value(inner: str, environment: Mapping[str, str], used: dict[str, str]) -> tuple[str, str]:
    """(value, why there is none)."""
    call = _CALL.fullmatch(inner)
    if call is None:
        return "", 'must be ${{ env "DECK_NAME" }}, with functions behind | where it is to be changed'
    name = call["name"]
    if not name.startswith(_PREFIX):
        return "", f"environment variable {name} must begin with {_PREFIX}"
    if name not in environment:
        return "", f"environment variable {name} is not set"
    value = environment[name]
    for function, number in _FUNCTION.findall(call["functions"]):
        changed = _changed(value, function, number)
        if changed is None:
            return "", f"environment variable {name} cannot be changed by {function}"
        value = changed
    used[name] = environment[name]
    return value, ""


def _changed(value: str, function: str, number: str) -> str | None:
    """The value by one of decK's functions; None where it is none of them, or the value does not fit."""
    match function:
        case "toBool" if value.lower() in ("true", "false", "1", "0", "t", "f"):
            return "true" if value.lower() in ("true", "1", "t") else "false"
        case "toInt" if re.fullmatch(r"[-+]?\d{1,18}", value):
            return str(int(value))
        case "toFloat" if re.fullmatch(r"[-+]?\d{1,18}(\.\d{1,18})?", value):
            return value
        case "indent" if number and int(number) <= _MOST_SPACES:
            return value.replace("\n", "\n" + " " * int(number))
        case _:
            return None
