"""`meshgate import`: Kong's declarative file as manifests."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from meshgate.cli.errors import CliError
from meshgate.cli.printing import as_yaml
from meshgate.core.diagnostics import has_errors
from meshgate.dialects.kong.declarative import convert
from meshgate.sources.manifests import is_so, read


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("import")(import_)


def import_(
    file: Annotated[Path, typer.Argument(metavar="KONG.YAML", help="Of Kong or decK, format 1.1 to 3.0.")],
    namespace: Annotated[str, typer.Option("-n", "--namespace", help="Of the manifests.")] = "default",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Instead of printing them.")
    ] = None,
) -> None:
    """Turn a kong.yaml into manifests; says what is not taken over.

    Variables (${{ env "DECK_NAME" }}) get their values, as in decK. Exits with 1 where something could not
    be taken over. The manifests hold the file's credentials as Secrets: a FILE is made for its owner alone.

    Example: meshgate import kong.yaml -o manifests.yaml.
    """
    if is_so(file.is_dir):
        raise CliError(f"{file} is a folder", "name the file, such as kong.yaml")
    text, problem = read(str(file))
    if problem is not None:
        typer.echo(str(problem), err=True)
        raise typer.Exit(1)
    converted = convert(text, str(file), namespace, os.environ)
    written = "---\n".join(as_yaml(manifest) for manifest in converted.manifests)
    for diagnostic in converted.diagnostics:
        typer.echo(str(diagnostic), err=True)
    if output is None:
        typer.echo(written, nl=False)
    else:
        try:
            with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as target:
                os.fchmod(target.fileno(), 0o600)
                target.write(written)
        except OSError as error:
            raise CliError(f"{output} cannot be written: {error.strerror}", "name another with -o") from error
    if has_errors(converted.diagnostics):
        raise typer.Exit(1)
