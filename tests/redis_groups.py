"""Several real Redis together: a master that Sentinel watches, and a cluster."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.redis_server import RedisServer

DEADLINE_S = 60.0
SLOTS = 16_384


def until(holds: Callable[[], bool], what: str) -> None:
    """Asks again and again."""
    deadline = time.monotonic() + DEADLINE_S
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@dataclass(frozen=True, slots=True)
class Watched:
    """A master, its replica, and the sentinel that knows them as `shop`."""

    master: RedisServer
    replica: RedisServer
    sentinel: RedisServer

    def fail_over(self) -> None:
        """The replica becomes the master; done when the old one follows it.

        Sentinel would tell the old one some ten seconds later.
        """
        until(lambda: self._said("SENTINEL", "failover", "shop").startswith(b"+OK"), "no failover began")
        new = str(self.replica.port).encode()
        until(lambda: new in self._said("SENTINEL", "master", "shop"), "no new master")
        assert self.master.command("REPLICAOF", self.replica.host, str(self.replica.port)) == b"+OK\r\n"

    def _said(self, *words: str) -> bytes:
        return self.sentinel.command(*words)


@contextmanager
def watched_by_sentinel(folder: Path, password: str) -> Iterator[Watched]:
    """All three running, the replica up to date."""
    with ExitStack() as stack:

        def start(name: str, *options: str) -> RedisServer:
            at = folder / name
            at.mkdir()
            server = RedisServer(at, password=password, options=("--masterauth", password, *options))
            server.start()
            stack.callback(server.kill)
            return server

        master = start("master")
        replica = start("replica", "--replicaof", master.host, str(master.port))
        until(lambda: b"state=online" in master.command("INFO", "replication"), "no replica")
        sentinel = _Sentinel(folder / "sentinel", master, password)
        sentinel.start()
        stack.callback(sentinel.kill)
        known = f"port\r\n$5\r\n{replica.port}".encode()
        until(lambda: known in sentinel.command("SENTINEL", "replicas", "shop"), "the replica is not known")
        yield Watched(master, replica, sentinel)


class _Sentinel(RedisServer):
    """Sentinel writes what it learns into its settings, so it has a file of them."""

    def __init__(self, folder: Path, master: RedisServer, password: str) -> None:
        folder.mkdir()
        super().__init__(folder)
        self._settings = folder / "sentinel.conf"
        self._settings.write_text(
            f"port {self.port}\nbind {self.host}\ndir {folder}\n"
            f"sentinel monitor shop {master.host} {master.port} 1\nsentinel auth-pass shop {password}\n"
            "sentinel down-after-milliseconds shop 60000\n"
        )

    def _command_line(self) -> list[str]:
        return [str(self._binary), str(self._settings), "--sentinel"]


@contextmanager
def cluster_of_three(folder: Path) -> Iterator[list[RedisServer]]:
    """Three masters that share all slots."""
    with ExitStack() as stack:
        nodes: list[RedisServer] = []
        for number in range(3):
            node = _member(folder / f"node-{number}")
            stack.callback(node.kill)
            nodes.append(node)
        for number, node in enumerate(nodes):
            share = SLOTS // len(nodes) + 1
            slots = map(str, range(number * share, min((number + 1) * share, SLOTS)))
            assert node.command("CLUSTER", "ADDSLOTS", *slots) == b"+OK\r\n"
            for other in nodes:
                assert other.command("CLUSTER", "MEET", node.host, str(node.port)) == b"+OK\r\n"
        for node in nodes:
            until(lambda node=node: _is_whole(node), "the cluster does not come together")  # type: ignore[misc]
        yield nodes


def _member(folder: Path) -> RedisServer:
    """One node. Redis 6.2 talks to the others at the port that is 10,000 higher, which somebody may have."""
    folder.mkdir()
    for _ in range(1_000):
        node = RedisServer(folder, options=("--cluster-enabled", "yes"))
        if not _is_free(node.port + 10_000):
            continue
        try:
            node.start()
        except RuntimeError as error:
            if "Failed listening on port" not in str(error):
                raise
        else:
            return node
    raise RuntimeError("no two ports are free")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _is_whole(node: RedisServer) -> bool:
    said = node.command("CLUSTER", "INFO")
    return b"cluster_state:ok" in said and b"cluster_known_nodes:3" in said


def steps_of_a_move(nodes: list[RedisServer], key: str) -> Iterator[Callable[[], None]]:
    """A key's slot goes to another node than the last: first the key, then the slot."""
    slot = nodes[0].command("CLUSTER", "KEYSLOT", key).strip(b":\r\n").decode()
    ids = [node.command("CLUSTER", "MYID").split(b"\r\n")[1].decode() for node in nodes]
    (owner,) = (n for n, node in enumerate(nodes) if node.command("EXISTS", key) == b":1\r\n")
    target = 1 if owner == 0 else 0

    def done(node: RedisServer, *words: str) -> None:
        said = node.command(*words)
        assert said == b"+OK\r\n", said

    def the_key() -> None:
        done(nodes[target], "CLUSTER", "SETSLOT", slot, "IMPORTING", ids[owner])
        done(nodes[owner], "CLUSTER", "SETSLOT", slot, "MIGRATING", ids[target])
        done(nodes[owner], "MIGRATE", nodes[target].host, str(nodes[target].port), key, "0", "20000")

    def the_slot() -> None:
        for number in (target, owner):
            done(nodes[number], "CLUSTER", "SETSLOT", slot, "NODE", ids[target])

    yield the_key
    yield the_slot
