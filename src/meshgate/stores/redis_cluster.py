"""A Redis Cluster, for commands that are about one key each.

redis-py's own client (8.1) closes all of its connections when a slot has moved or a node is gone, those
too on which others wait for an answer: a command that has been carried out is sent again then. Here each
node has connections of its own, and only who was told of a new node asks again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

from redis.asyncio import Redis
from redis.asyncio.client import Pipeline
from redis.crc import key_slot
from redis.exceptions import AskError, MovedError, RedisError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from meshgate.model.policies.session_store import Node
from meshgate.model.policy import RedisTarget
from meshgate.stores.redis_client import connect, disconnect

Command = Callable[[Redis], Awaitable[object]]
"""Sends one command by a client."""
_MOST_REDIRECTIONS = 5
"""Kong's default."""


class RedisCluster:
    """Asks the node that has the key. `nodes`: some of the cluster's, of which one must answer."""

    def __init__(self, target: RedisTarget, nodes: Sequence[Node], *, connections: int) -> None:
        self._target, self._seeds, self._connections = target, tuple(nodes), connections
        self._clients: dict[Node, Redis] = {}
        self._owners: dict[int, Node] = {}
        self._stale = True
        self._learning = asyncio.Lock()

    async def ask(self, key: str, command: Command) -> object:
        """What the command about the key gives; raises redis-py's errors."""
        slot = key_slot(key.encode())
        if self._stale:
            await self._learn()
        node = self._owners.get(slot, self._seeds[0])
        for _ in range(_MOST_REDIRECTIONS):
            try:
                return await command(self._client(node))
            except MovedError as moved:
                node = self._owners[slot] = _named(moved.host, moved.port, node)
                self._stale = True
            except AskError as there:
                return await self._ask_there(_named(there.host, there.port, node), command)
            except (RedisConnectionError, RedisTimeoutError, OSError):
                # It may have been replaced; where the others know of nothing new, it is away.
                before, self._stale = node, True
                await self._learn()
                node = self._owners.get(slot, before)
                if node == before:
                    raise
        return await command(self._client(node))

    async def close(self) -> None:
        """Ends all connections."""
        for client in self._clients.values():
            await disconnect(client)
        self._clients.clear()

    async def _ask_there(self, node: Node, command: Command) -> object:
        """Asks for a key that is on its way to the node."""
        async with self._client(node).pipeline(transaction=False) as pipeline:
            pipeline.execute_command("ASKING")
            _queue(pipeline, command)
            return (await pipeline.execute())[-1]

    def _client(self, node: Node) -> Redis:
        if node not in self._clients:
            host, port = node
            target = replace(self._target, host=host, port=port)
            self._clients[node] = connect(target, connections=self._connections)
        return self._clients[node]

    async def _learn(self) -> None:
        """Which node has which keys, as the first says that answers; nothing new where none does."""
        async with self._learning:
            if not self._stale:
                return
            nodes = tuple(dict.fromkeys((*self._seeds, *self._owners.values())))
            # One that is silent must not use up the time of the others.
            share_s = self._target.timeout_ms / 1000 / (len(nodes) + 1)
            for node in nodes:
                try:
                    async with asyncio.timeout(share_s):
                        found = await self._client(node).cluster("SLOTS")
                    self._owners = dict(_owners(found, node))
                except (RedisError, OSError, ValueError, TypeError, IndexError):
                    continue
                self._stale = False
                self._seeds = tuple(dict.fromkeys((node, *self._seeds)))
                return


def _owners(found: object, asked: Node) -> Iterator[tuple[int, Node]]:
    """(slot, node) of an answer that has a list for each range: first, last, its master, the replicas."""
    for first, last, master, *_ in found if isinstance(found, list) else ():
        node = _named(master[0], master[1], asked)
        yield from ((slot, node) for slot in range(first, last + 1))


def _named(host: object, port: object, asked: Node) -> Node:
    """A node that does not know its own name is where it was asked."""
    text = host.decode() if isinstance(host, bytes) else str(host or "")
    return text or asked[0], int(str(port))


def _queue(pipeline: Pipeline, command: Command) -> None:
    """A pipeline has a client's methods; it sends when it is executed."""
    command(pipeline)
