"""The command line: one file per command, each with a `register`.

A command turns options into one call (to the running control plane, or to `pipeline` for
what needs none) and an answer into text. It must never hold state, decide what
configuration means, or let a traceback reach a user: `main` is the one border for errors.
"""

from __future__ import annotations

import errno
import io
import os
import sys

from rich.console import Console

from meshgate.cli.errors import CliError

DEBUG = "MESHGATE_DEBUG"
"""Environment variable; `1` shows the traceback of a bug."""


def main() -> None:
    """Runs `meshgate` with the process's arguments; ends the process."""
    sys.exit(run())


def run() -> int:
    """Runs the command in `sys.argv`; the exit code: 0, 1 for errors, 2 for wrong usage."""
    # Here, so that `--help` and the guard need not wait for what commands import.
    from meshgate.cli.commands import build

    debug = os.environ.get(DEBUG) == "1"
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A terminal that cannot show a letter of a manifest shows its number.
            stream.reconfigure(errors="backslashreplace")
    try:
        build(sys.argv[1:])()
        sys.stdout.flush()
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except CliError as error:
        say_error(error.message, error.remedy)
        return error.code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # Whoever read our output has enough, as in `meshgate get all | head`.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except Exception as error:
        if debug:
            raise
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            say_error(f"what must be written cannot be: {error.strerror}", "make room, and try again")
            return 1
        say_error(
            f"meshgate met a bug of its own ({type(error).__name__})",
            f"set {DEBUG}=1 to see where, and please report it",
        )
        return 70
    return 0


def say_error(message: str, remedy: str = "") -> None:
    """Prints an error as all commands do, to the standard error."""
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print("[bold red]error:[/]", end=" ")
    console.print(message, markup=False)
    if remedy:
        console.print(f"  {remedy}", markup=False)
