"""`python -m meshgate.app '<options as JSON>'`: see `process.main`."""

from __future__ import annotations

import sys

from meshgate.core.loading import without_collections


def main() -> int:
    """Loads the control plane, then runs it."""
    with without_collections():
        from meshgate.app import process
    return process.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
