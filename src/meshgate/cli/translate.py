"""`meshgate translate`: the Envoy configuration that manifests come to."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

import typer
from google.protobuf.json_format import MessageToJson

from meshgate.cli.errors import CliError
from meshgate.cli.offline import take_offline
from meshgate.cli.options import AllowLua, Structured
from meshgate.cli.printing import as_json, as_yaml
from meshgate.cli.up import IsolationChoice
from meshgate.core.diagnostics import Severity
from meshgate.model.proxy import Isolation
from meshgate.model.reader import Reader
from meshgate.pipeline import build, read_texts
from meshgate.sources.descriptors import DescriptorFiles
from meshgate.sources.manifests import read_paths
from meshgate.translate.self_contained import self_contained


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command()(translate)


def translate(
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="Manifests: files, folders, -.")],
    proxy: Annotated[str, typer.Option("--proxy", metavar="gateway|DEPLOYMENT[.NS]", help="Whose.")],
    output: Annotated[Structured, typer.Option("-o", "--output", help="Format.")] = Structured.YAML,
    isolation: Annotated[
        IsolationChoice, typer.Option(help="As for `up`; auto means ports.")
    ] = IsolationChoice.AUTO,
    allow_lua: AllowLua = False,
) -> None:
    """Print a proxy's whole configuration, as Envoy gets it.

    For reading, and for `envoy --mode validate`.

    Addresses, certificates and keys in it are placeholders.

    Example: meshgate translate --proxy gateway manifests.
    """
    texts, unreadable = read_paths(paths)
    documents, unread = read_texts(texts)
    built = build(documents, allow_lua=allow_lua)
    descriptors, undescribed = DescriptorFiles().read(built.model, built.declared)
    errors = [
        d for d in (*unreadable, *unread, *built.diagnostics, *undescribed) if d.severity is Severity.ERROR
    ]
    for diagnostic in errors:
        typer.echo(str(diagnostic), err=True)
    if unreadable and not texts:
        raise CliError("there is nothing to translate")
    kept_apart = Isolation.NETNS if isolation is IsolationChoice.NETNS else Isolation.PORTS
    offline = take_offline(replace(built.model, descriptors=descriptors), kept_apart)
    config = self_contained(Reader(offline.model), offline.proxy(proxy))
    data = json.loads(MessageToJson(config, preserving_proto_field_name=True))
    typer.echo(as_yaml(data) if output is Structured.YAML else as_json(data), nl=False)
