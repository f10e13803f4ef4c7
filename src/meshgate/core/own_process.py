"""How Meshgate starts its own modules as processes."""

from __future__ import annotations

import sys


def own_module(module: str, *arguments: str) -> tuple[str, ...]:
    """The command that runs a module of this interpreter's, wherever it is started.

    With `-P`: a `dns.py` or `json.py` in the user's directory must not be taken for the library's.
    """
    return (sys.executable, "-P", "-m", module, *arguments)
