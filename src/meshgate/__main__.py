"""`python -m meshgate`."""

from __future__ import annotations

from meshgate.cli import main

if __name__ == "__main__":
    main()
