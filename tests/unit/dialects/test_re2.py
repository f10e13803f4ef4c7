"""Regular expressions that Envoy would refuse are told from those that it takes."""

from __future__ import annotations

import pytest

from meshgate.dialects.re2 import regex_problem, substitution_problem


@pytest.mark.parametrize(
    "text",
    [
        "", ".*", "^/a/[^/]+$", "(?i)abc", "(?i:abc)d", "(?P<x>a)", "(?<x>a)", r"\pN+", r"\p{Greek}+",
        "[[:alpha:]]+", "[]a]", "[^]]", r"\Qa.b(\E", r"a\z", "[a++]", r"\x{e9}", "a{1000}", "a+?",
    ],
)  # fmt: skip
def test_what_re2_takes_is_no_problem(text: str) -> None:
    assert regex_problem(text) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("(?=x)", "has (?=x, which RE2 does not know (no lookaround)"),
        ("a(?<!b)", "has (?<!, which RE2 does not know (no lookaround)"),
        ("(?>a)", "has (?>a, which RE2 does not know (no lookaround)"),
        (r"(a)\1", r"refers back to a group (\1), which RE2 cannot do"),
        (r"\u0041", r"has \u, which RE2 does not know"),
        (r"\x{1F600}", r"has \x{1F600}, but Envoy matches bytes, up to \xFF"),
        ("a++", "has a possessive repeat (++), which RE2 does not know"),
        ("a{1001}", "repeats more than 1000 times"),
        ("a\\", "ends with a lone backslash"),
        ("[a", "is not a regular expression: unterminated character set at position 0"),
        ("*", "is not a regular expression: nothing to repeat at position 0"),
        ("a" * 1025, "has 1025 characters, at most 1024 are allowed"),
    ],
)
def test_what_re2_refuses_is_named(text: str, problem: str) -> None:
    assert regex_problem(text) == problem


@pytest.mark.parametrize("text", ["", "/b", r"/b/\1", r"\0", r"a\\b"])
def test_a_substitution_may_name_the_groups_that_there_are(text: str) -> None:
    assert substitution_problem("^/a/(.*)$", text) == ""


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (r"\2", "names group 2 of an expression that has 1"),
        (r"\x", r"has a lone backslash; write \\ for one, or \1 for a group"),
        ("a\\", r"has a lone backslash; write \\ for one, or \1 for a group"),
        ("a\nb", "must not have control characters"),
    ],
)
def test_a_substitution_that_would_not_work_is_named(text: str, problem: str) -> None:
    assert substitution_problem("(a)", text) == problem
