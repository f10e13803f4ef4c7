"""What waits to be accepted by a proxy that ends goes to the one that takes over at the same port."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SWITCH = Path("/proc/sys/net/ipv4/tcp_migrate_req")


@contextmanager
def handing_over(switch: Path = SWITCH) -> Iterator[None]:
    """While it is open, connections that a closing socket has not accepted go to others at its port.

    Linux 5.14 and later, root: others reset them. It concerns sockets with SO_REUSEPORT, which
    Envoy's listeners have. The setting is put back as it was.
    """
    try:
        before = switch.read_text().strip()
        if before != "1":
            switch.write_text("1")
    except OSError:
        before = "1"
    try:
        yield
    finally:
        if before != "1":
            switch.write_text(before)
