"""Clients of the gateway: one question, many at once, load while something happens; what came back."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.e2e.waiting import until

Headers = Sequence[tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back; status 0 where nothing did."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    at: float = 0.0
    """When it had come, on the monotonic clock."""

    def header(self, name: str) -> str | None:
        """The value of a header that must not be there twice."""
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) < 2, f"{name} came {len(found)} times: {found}"
        return found[0] if found else None

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)

    @property
    def version(self) -> str:
        """Which version of a service answered; empty where none did."""
        return str(self.json().get("version", "")) if self.status == 200 else ""

    @property
    def seen(self) -> Mapping[str, str]:
        """The request's headers as the service saw them."""
        found: dict[str, str] = self.json()["headers"]
        return found


class Client:
    """One kept connection to a gateway; after a failure the next question opens a new one."""

    def __init__(self, port: int, host: str = "127.0.0.1", connect_to: str = "127.0.0.1") -> None:
        self._port, self._host, self._address = port, host, connect_to
        self._connection: http.client.HTTPConnection | None = None

    def ask(self, path: str = "/", headers: Headers = (), method: str = "GET") -> Answer:
        """One request; headers go out as they are given, also twice."""
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self._address, self._port, timeout=60)
        try:
            self._connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
            self._connection.putheader("Host", self._host)
            for name, value in headers:
                self._connection.putheader(name, value)
            self._connection.endheaders()
            reply = self._connection.getresponse()
            body = reply.read()
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return Answer(status=0, body=repr(error).encode(), at=time.monotonic())
        if reply.will_close:
            self.close()
        return Answer(status=reply.status, headers=tuple(reply.getheaders()), body=body, at=time.monotonic())

    def close(self) -> None:
        """Ends the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


_BREATH_S = 0.002


class Load:
    """Clients that ask again and again while the `with` block runs; every answer is kept.

    Between two questions each takes a breath, or the load would keep what it looks at from going on.
    """

    def __init__(
        self, port: int, host: str, path: str = "/", headers: Headers = (), clients: int = 4
    ) -> None:
        self._question = (path, headers)
        self._clients = [Client(port, host) for _ in range(clients)]
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(c,)) for c in self._clients]
        self.answers: list[Answer] = []

    def _run(self, client: Client) -> None:
        while not self._over.is_set():
            self.answers.append(client.ask(*self._question))
            self._over.wait(_BREATH_S)
        client.close()

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        self.more(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(timeout=30)

    def more(self, count: int) -> list[Answer]:
        """Waits for that many further answers and returns them."""
        start = len(self.answers)
        until(lambda: len(self.answers) >= start + count, f"{count} more answers")
        return self.answers[start : start + count]

    def failed(self) -> list[Answer]:
        """All that were not 200."""
        return [answer for answer in self.answers if answer.status != 200]


def ask_many(
    count: int, client: Callable[[int], Client], path: str, headers: Headers = (), clients: int = 8
) -> list[Answer]:
    """`count` answers from that many clients at once, `client(n)` being the n-th."""
    answers: list[Answer] = []
    numbers = iter(range(count))
    lock = threading.Lock()

    def run(own: Client) -> None:
        while True:
            with lock:
                if next(numbers, None) is None:
                    break
            answers.append(own.ask(path, headers))
        own.close()

    threads = [threading.Thread(target=run, args=(client(n),)) for n in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=120)
    assert len(answers) == count
    return answers


def versions(answers: Iterable[Answer]) -> Counter[str]:
    """How often each version answered."""
    return Counter(answer.version for answer in answers)


def statuses(answers: Iterable[Answer]) -> Counter[int]:
    """How often each status came."""
    return Counter(answer.status for answer in answers)


def assert_split(counted: Mapping[str, int], percent: Mapping[str, float], total: int) -> None:
    """Holds the counts to within three standard errors of their share of `total`."""
    print(f"of {total}: {dict(counted)}, asked for {dict(percent)}%")
    assert sum(counted.values()) == total, dict(counted)
    for version, share in percent.items():
        ratio = share / 100
        error = (total * ratio * (1 - ratio)) ** 0.5
        assert abs(counted.get(version, 0) - total * ratio) <= 3 * error, (version, dict(counted))
