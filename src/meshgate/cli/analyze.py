"""`meshgate analyze`: says what is wrong with manifests, without running anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from meshgate.analysis import advise
from meshgate.cli.options import AllowLua, OnlyJson
from meshgate.core.diagnostics import Diagnostic, Severity, has_errors, ordered
from meshgate.pipeline import build, read_texts
from meshgate.simulate import try_patches
from meshgate.sources import admin_protocol as wire
from meshgate.sources.descriptors import DescriptorFiles
from meshgate.sources.manifests import read_paths
from meshgate.sources.object_json import line_of

_STYLES = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "cyan"}


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(analyze)


def analyze(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Manifests: files, folders, -.")],
    output: Annotated[OnlyJson | None, typer.Option("-o", "--output", help="For programs.")] = None,
    allow_lua: AllowLua = False,
) -> None:
    """Check manifests; exits with 1 where there are errors.

    Example: meshgate analyze manifests.
    """
    texts, unreadable = read_paths(paths)
    documents, unread = read_texts(texts)
    built = build(documents, allow_lua=allow_lua)
    _, undescribed = DescriptorFiles().read(built.model, built.declared)
    advice = advise(built.declared, built.model)
    tried = try_patches(built.model)
    diagnostics = ordered((*unreadable, *unread, *built.diagnostics, *undescribed, *advice, *tried))
    if output is OnlyJson.JSON:
        lines = [json.loads(wire.encode(line_of(d))) for d in diagnostics]
        typer.echo(json.dumps(lines, indent=2, ensure_ascii=False))
    else:
        _print(diagnostics, len(documents), len(texts))
    if has_errors(diagnostics):
        raise typer.Exit(1)


def _print(diagnostics: Sequence[Diagnostic], objects: int, files: int) -> None:
    console = Console(highlight=False, soft_wrap=True)
    for diagnostic in diagnostics:
        text = Text(str(diagnostic))
        text.highlight_words([f" {diagnostic.severity.value} "], _STYLES[diagnostic.severity])
        console.print(text)
    parts = []
    for severity in Severity:
        if count := sum(d.severity is severity for d in diagnostics):
            plural = "" if count == 1 or severity is Severity.INFO else "s"
            parts.append(f"{count} {severity.value}{plural}")
    counted = f"{objects} object{'s' * (objects != 1)} in {files} file{'s' * (files != 1)}"
    console.print(f"{counted}: {', '.join(parts) or 'nothing to say'}")
