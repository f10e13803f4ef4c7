"""What is no YAML is told where it is, in words of the text, with what to do."""

from __future__ import annotations

import pytest

from meshgate.dialects.yaml_text import read_documents

COLON = "put text that has a colon in quotes, or mend the indentation"
_KEY = "write KEY: VALUE, or indent it as far as the text that it belongs to"
_DOUBLE = "double a quotation mark that belongs to the text"
_VALUE = "a value is missing here; write one, and close every [ and {"
_HYPHEN = "begin it with a hyphen, as far in as the others"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\ta: b", "1:1: a tab stands here; indent with spaces"),
        ("a: |\n\tb", "2:1: a tab stands here; indent with spaces"),
        ("a: @b", "1:4: no value can begin with '@'; put the text in quotes"),
        ("a: *.b", "1:5: no name stands behind this & or *; put the text in quotes"),
        ("a: b\n c: d", f"2:3: no colon is allowed here; {COLON}"),
        ("a: b: c", f"1:5: no colon is allowed here; {COLON}"),
        ("a: http://b: c", f"1:12: no colon is allowed here; {COLON}"),
        ("a:b\nc:d\ne: f", "3:2: no colon is allowed here; write a space behind each colon"),
        ("a: - b", "1:4: no list item is allowed here; begin the list on a line of its own"),
        ("a: |\nb\nc: d", f"2:1: this is no key with a colon behind it; {_KEY}"),
        ('a: "b\nc: d', "1:4: this quotation mark is never closed; close it"),
        ("a: 'b'c'", f"1:7: text stands behind the closing quotation mark; {_DOUBLE}"),
        ('a: "\\q"', "1:5: the backslash stands before what is no escape; double it"),
        ("a: {b: c\nd: e", "2:2: the { of line 1 is not closed before this; write } before it, or a comma"),
        ("a: [b\nc: d", "2:2: the [ of line 1 is not closed before this; write ] before it, or a comma"),
        ("a: [", f"2:1: {_VALUE}"),
        ("a: ]", f"1:4: {_VALUE}"),
        ("{a: b}}", "1:7: the object ends before this; begin another with ---"),
        ("- a\nb: c", f"2:1: this is no further item of the list that begins in line 1; {_HYPHEN}"),
        (
            "a:\n    b: 1\n  c: 2",
            "3:3: this is no further key of the object that begins in line 1; mend the indentation",
        ),
        (
            "x: [\n---\na: {b\nc: d",
            "4:2: the { of line 3 is not closed before this; write } before it, or a comma",
        ),
    ],
)
def test_what_is_no_yaml(text: str, expected: str) -> None:
    _, diagnostics = read_documents(text, "f")
    said = [str(d) for d in diagnostics if d.code == "MG1001"]
    assert said[-1] == f"f:{expected.replace(': ', ': error MG1001: ', 1)}"
