"""Lets the bridge's traffic through a machine that forwards, or takes in, nothing by default.

Docker sets the policy of `ip filter FORWARD` to drop, and where the kernel shows bridged
packets to the firewall (`bridge-nf-call-iptables`) even pods of one bridge would not reach
one another; `ufw` does so with `INPUT`, and pods would learn no names. Our rules carry the
bridge's name in their comment and go when it goes.
"""

from __future__ import annotations

import contextlib
import json
from dataclasses import dataclass

from meshgate.runtime.commands import CommandFailed, run
from meshgate.runtime.redirect import DIRECT_DNS_PORT, DNS_PORT

_TABLE = ("ip", "filter")
_FORWARD, _INPUT = "FORWARD", "INPUT"


@dataclass(frozen=True, slots=True)
class _Chain:
    drops: bool = False
    """By default."""
    rules: tuple[tuple[int, str], ...] = ()
    """Handle and comment of each."""


async def _chain(name: str) -> _Chain:
    try:
        listed = json.loads(await run(("nft", "-j", "-a", "list", "chain", *_TABLE, name)))
    except CommandFailed:
        return _Chain()
    drops, rules = False, []
    for entry in listed.get("nftables", ()):
        if "chain" in entry:
            drops = entry["chain"].get("policy") == "drop"
        if "rule" in entry:
            rules.append((entry["rule"]["handle"], entry["rule"].get("comment", "")))
    return _Chain(drops, tuple(rules))


async def open_firewall(bridge: str) -> None:
    """Where the policy is to drop, accepts what the bridge forwards, answers to it, and DNS questions."""
    mark = f'accept comment "{bridge}"'
    wanted = {
        _FORWARD: (f'oifname "{bridge}" ct state established,related', f'iifname "{bridge}"'),
        _INPUT: tuple(
            f'iifname "{bridge}" {protocol} dport {{ {DNS_PORT}, {DIRECT_DNS_PORT} }}'
            for protocol in ("udp", "tcp")
        ),
    }
    for name, matches in wanted.items():
        chain = await _chain(name)
        if chain.drops and not any(comment == bridge for _, comment in chain.rules):
            text = "".join(f"insert rule {' '.join(_TABLE)} {name} {match} {mark}\n" for match in matches)
            await run(("nft", "-f", "-"), text)


async def close_firewall(bridge: str) -> None:
    """Takes our rules out again; nobody else's are touched."""
    for name in (_FORWARD, _INPUT):
        for handle, comment in (await _chain(name)).rules:
            if comment == bridge:
                with contextlib.suppress(CommandFailed):
                    await run(("nft", "delete", "rule", *_TABLE, name, "handle", str(handle)))
