"""The manifests in the pages and in examples/ mean what the pages say, without complaint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from meshgate.core.diagnostics import Severity
from meshgate.pipeline import build, read_texts
from tests.docs.pages import PAGES, ROOT, Block, blocks, followed, name

CAPABILITIES = (
    "hello",
    "routing",
    "ingress",
    "mtls",
    "authorization",
    "jwt",
    "key-auth",
    "openid-connect",
    "rate-limiting",
    "caching",
    "lua",
    "load-balancing",
    "gateway-api",
)


def _said(texts: dict[str, str]) -> list[str]:
    """Warnings and errors about these files, as `meshgate analyze` prints them."""
    documents, problems = read_texts(texts)
    found = (*problems, *build(documents, allow_lua=True).diagnostics)
    return [str(d) for d in found if d.severity is not Severity.INFO]


def _standing_alone(page: Path) -> list[tuple[Block, str]]:
    """The page's own manifests, each with what the page says about it."""
    return [
        (block, after.text if after is not None and after.language == "diagnostics" else "")
        for block, after in followed(page)
        if block.language == "yaml" and not block.file
    ]


@pytest.mark.parametrize("page", [p for p in PAGES if _standing_alone(p)], ids=name)
def test_what_a_page_says_about_its_manifests(page: Path) -> None:
    for block, expected in _standing_alone(page):
        assert _said({"example.yaml": block.text}) == expected.splitlines(), f"{name(page)}:{block.line}"


@pytest.mark.parametrize("page", [p for p in PAGES if any(b.file for b in blocks(p))], ids=name)
def test_what_a_page_quotes_is_in_the_file(page: Path) -> None:
    for block in blocks(page):
        if block.file:
            assert block.text in (ROOT / block.file).read_text(), f"{name(page)}:{block.line}"


@pytest.mark.parametrize("capability", CAPABILITIES)
def test_an_example_has_no_mistakes_but_the_one_that_its_page_shows(capability: str) -> None:
    files = sorted((ROOT / "examples" / capability).glob("*.yaml"))
    assert files
    said = _said({str(f.relative_to(ROOT)): f.read_text() for f in files})
    shown = [
        line
        for page in PAGES
        for b in blocks(page)
        if b.language == "diagnostics"
        for line in b.text.splitlines()
    ]
    assert [line for line in said if line not in shown] == []


def test_every_capability_has_a_page_that_quotes_its_example() -> None:
    quoted = {b.file.split("/")[1] for page in PAGES for b in blocks(page) if b.file.startswith("examples/")}
    assert set(CAPABILITIES) - quoted == set()


_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", [p for p in PAGES if _LINK.search(p.read_text())], ids=name)
def test_links_lead_somewhere(page: Path) -> None:
    text = page.read_text()
    missing = []
    for target in _LINK.findall(text):
        path, _, anchor = target.partition("#")
        if "://" in path:
            continue
        file = page.parent / path if path else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in _anchors(file)):
            missing.append(target)
    assert missing == []


def _anchors(page: Path) -> set[str]:
    """GitHub's names of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^a-z0-9_ -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_every_page_is_linked_from_the_readme_or_another_page() -> None:
    linked = {
        (page.parent / target.partition("#")[0]).resolve()
        for page in PAGES
        for target in _LINK.findall(page.read_text())
        if "://" not in target
    }
    pages = [page for page in PAGES if page.parent == ROOT / "docs"]
    assert [name(page) for page in pages if page.resolve() not in linked] == []
