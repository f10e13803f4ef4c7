"""docs/analyze.md: istioctl's messages and ours."""

from __future__ import annotations

from collections.abc import Iterator

from meshgate.analysis import advise
from meshgate.core.codes import CODES
from meshgate.core.diagnostics import Diagnostic, ordered
from meshgate.pipeline import build, read_texts
from tests.docs.analysis_cases import CASES, ELSEWHERE, Case

HEAD = """
# Analyzing manifests

GENERATED

`meshgate analyze PATH...` reads manifests as `meshgate up` would and says what is wrong with them,
and what works and may not be meant, each with file, line, code and remedy
([all codes](diagnostics.md)). It starts nothing and exits with 1 where there is an error.

```sh
.venv/bin/meshgate analyze examples/routing
```

It finds what `istioctl analyze` finds. Each line of the table is a manifest that a test analyzes:
"""


def analyzed(case: Case) -> tuple[Diagnostic, ...]:
    """All that is said about the case."""
    documents, problems = read_texts({"in.yaml": case.manifest})
    built = build(documents)
    return ordered((*problems, *built.diagnostics, *advise(built.declared, built.model)))


def lines() -> Iterator[str]:
    """The page below its head."""
    yield from ("| istioctl | here | what is said |", "|---|---|---|")
    for case in CASES:
        said = next(d for d in analyzed(case) if d.code == case.ours)
        about = f"{said.object.kind}: " if said.object else ""
        yield f"| {case.theirs} | `{case.ours}` {CODES[case.ours]} | {about}{_cell(said)} |"
    yield from (
        "",
        "What cannot arise here, or is not looked for:",
        "",
        "| istioctl | why not |",
        "|---|---|",
    )
    yield from (f"| {theirs} | {why} |" for theirs, why in ELSEWHERE)


def _cell(said: Diagnostic) -> str:
    text = f"{said.message}; {said.remedy}" if said.remedy else said.message
    return " ".join(text.split()).replace("|", "\\|")
