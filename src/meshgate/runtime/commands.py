"""Runs the machine's `ip` and `nft`, with a deadline, and says what went wrong."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterable, Sequence

import structlog

_log = structlog.get_logger(__name__)
_DEADLINE_S = 15
_SLOW_S = 2
"""Kernel locks that others hold may keep `ip` and `nft` waiting: said, for nothing else would show it."""


class CommandFailed(Exception):
    """A command ended with an error; the text names it and holds its last words."""


def run_blocking(argv: Sequence[str], stdin: str = "") -> str:
    """The command's stdout; raises `CommandFailed`. Blocks for up to 15 s."""
    began = time.monotonic()
    try:
        done = subprocess.run(
            argv, input=stdin, capture_output=True, text=True, timeout=_DEADLINE_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as failed:
        raise CommandFailed(f"{' '.join(argv)}: {failed}") from failed
    if (took_s := time.monotonic() - began) > _SLOW_S:
        _log.warning("command_slow", command=" ".join(argv), took_s=round(took_s, 1))
    if done.returncode != 0:
        raise CommandFailed(f"{' '.join(argv)}: {done.stderr.strip() or f'exit code {done.returncode}'}")
    return done.stdout


async def run(argv: Sequence[str], stdin: str = "") -> str:
    """`run_blocking` in a thread of its own."""
    return await asyncio.to_thread(run_blocking, argv, stdin)


async def ip_batch(lines: Iterable[str], netns: str = "") -> None:
    """Runs several `ip` commands in one process, inside a namespace where one is named."""
    inside = ("-n", netns) if netns else ()
    await run(("ip", *inside, "-batch", "-"), "".join(f"{line}\n" for line in lines))
