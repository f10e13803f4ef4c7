"""The fenced blocks of a Markdown page.

```yaml file=examples/routing/rules.yaml     a part of that file, word for word
```yaml                                      manifests by themselves
```diagnostics                               what is said about the yaml block before; none: nothing
```sh                                        commands, typed from the repository's root
```output                                    what the sh block before prints; `...` is anything
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
)

_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """One fenced block."""

    language: str
    file: str
    """What `file=` names; empty without it."""
    text: str
    line: int


def blocks(page: Path) -> tuple[Block, ...]:
    """All fenced blocks of a page, in order."""
    text = page.read_text()
    found = []
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        line = text.count("\n", 0, match.start()) + 1
        file = rest.removeprefix("file=") if rest.startswith("file=") else ""
        found.append(Block(language=language, file=file, text=match["text"], line=line))
    return tuple(found)


def followed(page: Path) -> tuple[tuple[Block, Block | None], ...]:
    """All fenced blocks, each with the one after it."""
    found = blocks(page)
    return tuple((block, found[i + 1] if i + 1 < len(found) else None) for i, block in enumerate(found))


def name(page: Path) -> str:
    """The page's path from the repository's root."""
    return str(page.relative_to(ROOT))
