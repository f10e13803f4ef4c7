"""Checks CEL expressions before Envoy sees them: it refuses a whole listener for one that is wrong.

Grammar of cel-spec v0.20; of the functions those that Envoy 1.40 has without further settings.
Macros over lists (`all`, `exists`, `map`, `filter`) are off in Envoy.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from meshgate.dialects.re2 import regex_problem

_TOKEN = re.compile(
    r"""\s*(?:
    (?P<string>[rRbB]{0,2}(?:'''(?:[^\\]|\\.)*?'''|\"\"\"(?:[^\\]|\\.)*?\"\"\"|'(?:[^'\\\n]|\\.)*'|"(?:[^"\\\n]|\\.)*"))
    |(?P<number>0x[0-9a-fA-F]+u?|\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\d+u?|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>\|\||&&|<=|>=|==|!=|[-+*/%!<>?:.,()\[\]{}])
    )""",
    re.VERBOSE | re.DOTALL,
)
_ATTRIBUTE_NAMES = """
    request response connection upstream source destination metadata filter_state
    upstream_filter_state xds
"""
_ATTRIBUTES = frozenset(_ATTRIBUTE_NAMES.split())
_LITERALS = frozenset({"true", "false", "null"})
_FREE = frozenset(
    ("size", "int", "uint", "double", "timestamp", "duration", "bytes", "type", "dyn", "has", "matches")
)
_STRINGS = frozenset({"string", "lowerAscii", "upperAscii", "replace", "split", "join"})
"""Need a setting that only log filters have."""
_MEMBER_NAMES = """
    size contains startsWith endsWith matches getFullYear getMonth getDate getDayOfMonth getDayOfWeek
    getDayOfYear getHours getMinutes getSeconds getMilliseconds
"""
_MEMBER = frozenset(_MEMBER_NAMES.split())
_MACROS = frozenset({"all", "exists", "exists_one", "map", "filter"})
_LEVELS = (("||",), ("&&",), ("<", "<=", ">", ">=", "==", "!=", "in"), ("+", "-"), ("*", "/", "%"))
MAX_LENGTH = 4096
_MAX_DEPTH = 64


class _Wrong(Exception):
    """What is wrong with the expression."""


@dataclass(slots=True)
class Checked:
    """What a check found."""

    problem: str = ""
    """Empty: Envoy takes it."""
    unknown: tuple[str, ...] = ()
    """Names that are no attribute of Envoy's: they never have a value."""


def check_cel(text: str, *, strings: bool) -> Checked:
    """Looks through one expression; `strings` where Envoy's functions for strings are switched on."""
    if len(text) > MAX_LENGTH:
        return Checked(problem=f"must have at most {MAX_LENGTH} characters")
    try:
        parser = _Parser(list(_tokens(text)), strings)
        parser.whole()
    except _Wrong as wrong:
        return Checked(problem=str(wrong))
    return Checked(unknown=tuple(sorted(parser.unknown)))


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    end, length = 0, len(text.rstrip())
    while end < length:
        found = _TOKEN.match(text, end)
        if found is None or found.lastgroup is None:
            raise _Wrong(f"is no CEL: nothing can begin with {text[end:].strip()[:12]!r}")
        yield found.lastgroup, found.group(found.lastgroup)
        end = found.end()


@dataclass(slots=True)
class _Parser:
    """Recursive descent, one method per level of precedence."""

    tokens: list[tuple[str, str]]
    strings: bool
    unknown: set[str] = field(default_factory=set)
    at: int = 0
    depth: int = 0

    def whole(self) -> None:
        self.expression()
        if self.at < len(self.tokens):
            raise _Wrong(f"is no CEL: unexpected {self.tokens[self.at][1]!r}")

    def expression(self) -> None:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise _Wrong("is nested too deeply")
        self._binary(0)
        if self._skip("?"):
            self._binary(0)
            self._expect(":")
            self.expression()
        self.depth -= 1

    def _binary(self, level: int) -> None:
        if level == len(_LEVELS):
            self._unary()
            return
        self._binary(level + 1)
        while self._peek() in _LEVELS[level] and self._kind() in ("sign", "name"):
            self.at += 1
            self._binary(level + 1)

    def _unary(self) -> None:
        while self._peek() in ("!", "-") and self._kind() == "sign":
            self.at += 1
        self._primary()
        while True:
            if self._skip("["):
                self.expression()
                self._expect("]")
            elif self._skip("."):
                name = self._name()
                if self._skip("("):
                    self._member(name)
            else:
                return

    def _primary(self) -> None:
        kind, text = self._next()
        match kind, text:
            case "string" | "number", _:
                pass
            case "name", _:
                self._reference(text)
            case "sign", "(":
                self.expression()
                self._expect(")")
            case "sign", "[":
                self._list("]")
            case "sign", "{":
                self._map()
            case _:
                raise _Wrong(f"is no CEL: unexpected {text or 'end'!r}")

    def _reference(self, name: str) -> None:
        if not self._skip("("):
            if name == "re" and self._skip("."):
                function = self._name()
                self._expect("(")
                self._call(f"re.{function}", known=function in ("extract", "capture"))
            elif name not in _LITERALS and name not in _ATTRIBUTES:
                self.unknown.add(name)
        elif name == "has":
            begin = self.at
            self.expression()
            last = [text for _, text in self.tokens[max(begin, self.at - 2) : self.at]]
            if last[:1] != ["."]:
                raise _Wrong("has() takes a field like request.host; write 'name' in map for a key")
            self._expect(")")
        else:
            known = name in _FREE or (name == "string" and self.strings)
            self._call(name, known=known)

    def _member(self, name: str) -> None:
        if name in _MACROS:
            raise _Wrong(f"{name}() is switched off in Envoy")
        if name == "matches" and self._kind() == "string":
            literal = self.tokens[self.at][1]
            problem = regex_problem(literal.lstrip("rRbB").strip("'\""))
            if problem:
                raise _Wrong(f"the pattern {literal} {problem}")
        self._call(name, known=name in _MEMBER or (name in _STRINGS and self.strings))

    def _call(self, name: str, *, known: bool) -> None:
        if not known:
            raise _Wrong(f"Envoy has no function {name}() here")
        self._list(")")

    def _list(self, end: str) -> None:
        while not self._skip(end):
            self.expression()
            if self._peek() != end:
                self._expect(",")

    def _map(self) -> None:
        while not self._skip("}"):
            self.expression()
            self._expect(":")
            self.expression()
            if self._peek() != "}":
                self._expect(",")

    def _peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def _kind(self) -> str:
        return self.tokens[self.at][0] if self.at < len(self.tokens) else ""

    def _next(self) -> tuple[str, str]:
        if self.at >= len(self.tokens):
            raise _Wrong("is no CEL: it ends too early")
        self.at += 1
        return self.tokens[self.at - 1]

    def _name(self) -> str:
        kind, text = self._next()
        if kind != "name":
            raise _Wrong(f"is no CEL: unexpected {text!r}")
        return text

    def _skip(self, sign: str) -> bool:
        if self._kind() == "sign" and self._peek() == sign:
            self.at += 1
            return True
        return False

    def _expect(self, sign: str) -> None:
        if not self._skip(sign):
            raise _Wrong(f"is no CEL: expected {sign!r}, found {self._peek() or 'the end'!r}")
