"""At which real ports the listeners of a Gateway are served on this machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from meshgate.model.gateway import HTTP_PORT, HTTPS_PORT


def real_ports(ports: Iterable[int], http_port: int, https_port: int) -> Mapping[int, int]:
    """Port of a listener -> port that clients connect to, for the listeners of one address.

    80 and 443 are served at the gateway's own HTTP and HTTPS port (443 nowhere where that is
    0), any other as it is; where that is taken by then, at the next one that is free.
    """
    wanted = sorted(set(ports))
    found: dict[int, int] = {}
    if HTTP_PORT in wanted:
        found[HTTP_PORT] = http_port
    if HTTPS_PORT in wanted and https_port:
        found[HTTPS_PORT] = https_port
    for port in wanted:
        if port in (HTTP_PORT, HTTPS_PORT):
            continue
        real = port
        while real in found.values() or (real != port and real in wanted):
            real = real + 1 if real < 65535 else 1024
        found[port] = real
    return found
