"""Lets the bridge's traffic through a machine that forwards nothing by default.

Docker sets the policy of `ip filter FORWARD` to drop, and where the kernel shows bridged
packets to the firewall (`bridge-nf-call-iptables`) even pods of one bridge would not reach
one another. Our two rules carry the bridge's name in their comment and go when it goes.
"""

from __future__ import annotations

import contextlib
import json

from meshgate.runtime.commands import CommandFailed, run

_CHAIN = ("ip", "filter", "FORWARD")


async def _forward_chain() -> tuple[bool, tuple[tuple[int, str], ...]]:
    """Whether the chain drops by default, and each rule's handle and comment."""
    try:
        listed = json.loads(await run(("nft", "-j", "-a", "list", "chain", *_CHAIN)))
    except CommandFailed:
        return False, ()
    drops, rules = False, []
    for entry in listed.get("nftables", ()):
        if "chain" in entry:
            drops = entry["chain"].get("policy") == "drop"
        if "rule" in entry:
            rules.append((entry["rule"]["handle"], entry["rule"].get("comment", "")))
    return drops, tuple(rules)


async def open_forwarding(bridge: str) -> None:
    """Accepts what comes from the bridge, and the answers to it, where the policy is to drop."""
    drops, rules = await _forward_chain()
    if not drops or any(comment == bridge for _, comment in rules):
        return
    chain = " ".join(_CHAIN)
    mark = f'accept comment "{bridge}"'
    await run(
        ("nft", "-f", "-"),
        f'insert rule {chain} oifname "{bridge}" ct state established,related {mark}\n'
        f'insert rule {chain} iifname "{bridge}" {mark}\n',
    )


async def close_forwarding(bridge: str) -> None:
    """Takes our rules out again; nobody else's are touched."""
    _, rules = await _forward_chain()
    for handle, comment in rules:
        if comment == bridge:
            with contextlib.suppress(CommandFailed):
                await run(("nft", "delete", "rule", *_CHAIN, "handle", str(handle)))
