"""docs/diagnostics.md: how a diagnostic reads, and every code."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.core.codes import CODES

HEAD = """
# Diagnostics

GENERATED

What is wrong in a manifest, or has no effect, is told in one line each:

    k.yaml:6:17: error MG2103 KongPlugin shop/a config.minute: must be >= 1, got -5; remove it for no limit

That is the file, line and column; how bad it is; a code that never changes its meaning; the
object; the field; the rule and the value; and, after the semicolon, what to do about it.

- **error**: the object is left out, or what it guards answers 503. A running meshgate keeps
  the object's last good form, and everything else goes on.
- **warning**: the object works, the named part of it does not, or not as you may expect.
- **info**: a field that most manifests have and that means nothing on one machine.

`meshgate analyze PATH...` shows them without starting anything and exits with 1 where there
is an error; `-o json` is for programs. A running meshgate shows them in `meshgate status`.
"""

_RANGES = (
    ("MG1", "Reading and shape"),
    ("MG20", "Values of one object"),
    ("MG21", "Kong plugins and credentials"),
    ("MG22", "Ingress"),
    ("MG30", "Links between objects"),
    ("MG25", "Importing declarative files of Kong"),
    ("MG31", "What works and may not be meant (`meshgate analyze`)"),
    ("MG4", "The local runtime"),
    ("MG9", "Meshgate itself"),
)


def lines() -> Iterator[str]:
    """The page's lines after its head."""
    for prefix, title in _RANGES:
        yield from (f"## {title}", "", "| code | means |", "|---|---|")
        yield from (f"| `{code}` | {means} |" for code, means in CODES.items() if code.startswith(prefix))
        yield ""
