"""`python -m meshgate.app '<options as JSON>'`: see `process.main`."""

from __future__ import annotations

import gc
import sys


def main() -> int:
    """Loads the control plane, then runs it."""
    # Nothing that loading makes is garbage: to look for some costs a tenth of the start, and later
    # each collection would look through all of it again.
    gc.disable()
    from meshgate.app import process

    gc.freeze()
    gc.enable()
    return process.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
