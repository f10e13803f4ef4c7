"""Tells a regular expression that Envoy's RE2 would refuse, before Envoy does.

One bad expression makes Envoy refuse everything delivered with it, so it must be found
here. There is no RE2 for Python among our dependencies; what Perl's syntax has beyond RE2
is looked for by hand (github.com/google/re2/wiki/Syntax), the rest is tried with `re`.
Tried against Envoy 1.40, which also bounds the size of the compiled program: to 100 unless
its runtime key `re2.max_program_size.error_level` is raised (Istio sets 32768).
"""

from __future__ import annotations

import re
import warnings

MAX_LENGTH = 1024
"""Characters; Istio's limit for expressions in match rules."""

_GROUP = re.compile(r"\(\?(?:P?<[A-Za-z_]\w*>|[imsU]*(?:-[imsU]+)?[:)])")
_RE2_ESCAPES = frozenset("abBdDsSwWfnrtvxAzQEC0pP")
_REPEAT = re.compile(r"\{(\d+)(?:,(\d*))?\}")
_MAX_REPEAT = 1000
_WIDE = re.compile(r"\\x\{([0-9a-fA-F]+)\}")
_NAMED_CLASS = re.compile(r"\[:\^?[a-z]+:\]")
_UNICODE_CLASS = re.compile(r"\\[pP](?:\{\^?\w+\}|\w)")


def regex_problem(text: str) -> str:
    """What is wrong with a regular expression, or an empty string."""
    if len(text) > MAX_LENGTH:
        return f"has {len(text)} characters, at most {MAX_LENGTH} are allowed"
    problem = _beyond_re2(text)
    if problem:
        return problem
    try:
        _compiled(text)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is not a regular expression: {str(error)[:120]}"
    return ""


def substitution_problem(regex: str, text: str) -> str:
    """What is wrong with the text that replaces matches of a valid `regex`, or an empty string.

    Envoy 1.40 takes a reference to a group that is not there and then leaves paths as they are.
    """
    if any(ord(c) < 32 or c == "\x7f" for c in text):
        return "must not have control characters"
    groups = _compiled(regex).groups
    for escape in re.findall(r"\\(.?)", text, flags=re.DOTALL):
        if escape.isascii() and escape.isdigit():
            if int(escape) > groups:
                return f"names group {escape} of an expression that has {groups}"
        elif escape != "\\":
            return "has a lone backslash; write \\\\ for one, or \\1 for a group"
    return ""


def _compiled(text: str) -> re.Pattern[str]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # `[[`: not nested in RE2 either
        return re.compile(_as_python(text))


def _beyond_re2(text: str) -> str:
    """A construct of Perl or Python that RE2 does not have."""
    index, in_class, quoted = 0, False, False
    while index < len(text):
        char, following = text[index], text[index + 1 : index + 2]
        if quoted:
            quoted = not text.startswith("\\E", index)
            index += 1 if quoted else 2
            continue
        if char == "\\":
            if not following:
                return "ends with a lone backslash"
            if following in "123456789":
                return f"refers back to a group (\\{following}), which RE2 cannot do"
            if following.isalnum() and following not in _RE2_ESCAPES:
                return f"has \\{following}, which RE2 does not know"
            wide = _WIDE.match(text, index)
            if wide is not None and len(wide[1].lstrip("0")) > 2:
                return f"has {wide[0]}, but Envoy matches bytes, up to \\xFF"
            quoted = following == "Q"
            unicode_class = _UNICODE_CLASS.match(text, index)
            index = unicode_class.end() if unicode_class else index + 2
            continue
        if in_class:
            in_class = char != "]"
        elif char == "[":
            in_class = True
            index += 2 if following == "^" else 1
            index += text[index : index + 1] == "]"
            continue
        elif text.startswith("(?", index) and _GROUP.match(text, index) is None:
            return f"has {text[index : index + 4]}, which RE2 does not know (no lookaround)"
        elif char in "*+?}" and following == "+":
            return f"has a possessive repeat ({char}+), which RE2 does not know"
        elif (found := _REPEAT.match(text, index)) is not None and any(
            len(n) > 4 or int(n) > _MAX_REPEAT for n in found.groups() if n
        ):
            return f"repeats more than {_MAX_REPEAT} times"
        index += 1
    return ""


def _as_python(text: str) -> str:
    """The expression with what only RE2 knows replaced by something that `re` can try."""
    text = re.sub(r"\\Q(.*?)(?:\\E|$)", lambda m: re.escape(m[1]), text, flags=re.DOTALL)
    text = _NAMED_CLASS.sub("a", text)
    text = _UNICODE_CLASS.sub("a", text)
    text = re.sub(r"\\x\{[0-9a-fA-F]+\}", "a", text)
    text = re.sub(r"\\[zC]", ".", text)
    text = re.sub(r"\(\?<([A-Za-z_])", r"(?P<\1", text)
    text = re.sub(r"\(\?[imsU]*(?:-[imsU]+)?\)", "", text)
    return re.sub(r"\(\?[imsU]*(?:-[imsU]+)?:", "(?:", text)
