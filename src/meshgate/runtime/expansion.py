"""Kubernetes' `$(NAME)` in commands and environment values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_REFERENCE = re.compile(r"\$\$|\$\(([A-Za-z_.-][A-Za-z0-9_.-]*)\)")


def expand(text: str, env: Mapping[str, str]) -> str:
    """Puts values in place of `$(NAME)`; an unknown name stays as written, `$$` is one `$`."""

    def value(found: re.Match[str]) -> str:
        name = found.group(1)
        if name is None:
            return "$"
        return env.get(name, found.group(0))

    return _REFERENCE.sub(value, text)


def expand_all(texts: Sequence[str], env: Mapping[str, str]) -> tuple[str, ...]:
    """The same for each word of a command."""
    return tuple(expand(text, env) for text in texts)


def expand_environment(given: Mapping[str, str], known: Mapping[str, str]) -> dict[str, str]:
    """`given` with references to `known` and to what stands before it in `given`."""
    env = dict(known)
    for name, text in given.items():
        env[name] = expand(text, env)
    return env
