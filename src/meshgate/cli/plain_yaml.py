"""YAML or JSON that is no manifest, read within the same limits."""

from __future__ import annotations

import yaml
from yaml._yaml import CParser

from meshgate.cli.errors import CliError
from meshgate.dialects.compose import ComposeError, Composer


def read_plain(text: str, what: str) -> object:
    """The first value in a text; raises `CliError` where there is none."""
    try:
        composed = Composer(CParser(text)).next_document()
    except (ComposeError, yaml.YAMLError, ValueError) as error:
        raise CliError(f"{what} is neither JSON nor YAML", str(error).splitlines()[0]) from error
    if composed is None:
        raise CliError(f"{what} is empty")
    if composed.problems:
        raise CliError(f"{what}: {composed.problems[0].message}", composed.problems[0].remedy)
    return composed.data
