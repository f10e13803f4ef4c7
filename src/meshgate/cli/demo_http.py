"""The demo's HTTP client: one request, many at once, or a steady load while something happens."""

from __future__ import annotations

import http.client
import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from types import TracebackType

from meshgate.cli.printing import text_in

ADDRESS = "127.0.0.1"
TIMEOUT_S = 5.0
_MAX_BODY_BYTES = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A request to the gateway."""

    path: str
    host: str = ""
    """The Host header; empty for the address itself."""
    headers: Mapping[str, str] = field(default_factory=dict)

    def with_headers(self, **headers: str) -> Ask:
        """The same with more headers; `_` in a name stands for `-`."""
        more = {name.replace("_", "-"): value for name, value in headers.items()}
        return replace(self, headers={**self.headers, **more})


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back."""

    status: int
    """0 where nothing came; then `error` says why."""
    began: float
    """Monotonic seconds."""
    ended: float
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    error: str = ""

    @property
    def json(self) -> object:
        """The body as JSON; None where it is none."""
        try:
            found: object = json.loads(self.body)
        except ValueError:
            return None
        return found

    @property
    def version(self) -> str:
        """Which version of a service of the shop answered; empty for any other answer."""
        return text_in(self.json, "version", default="") if self.status == http.client.OK else ""

    @property
    def said(self) -> str:
        """Status and message on one line."""
        if not self.status:
            return self.error
        body = self.json
        for name in ("message", "exp"):
            if message := text_in(body, name, default=""):
                return f"{self.status} {message!r}"
        return str(self.status)


class Connection:
    """Asks the gateway, one request after the other, over a connection that is kept."""

    def __init__(self, port: int, timeout_s: float = TIMEOUT_S) -> None:
        self._http = http.client.HTTPConnection(ADDRESS, port, timeout=timeout_s)

    def ask(self, ask: Ask) -> Answer:
        """The answer; never raises for what the other side does."""
        headers = {**ask.headers, **({"Host": ask.host} if ask.host else {})}
        began = time.monotonic()
        try:
            self._http.request("GET", ask.path, headers=headers)
            response = self._http.getresponse()
            body = response.read(_MAX_BODY_BYTES)
        except (OSError, http.client.HTTPException) as error:
            self._http.close()
            reason = str(error) or type(error).__name__
            return Answer(status=0, began=began, ended=time.monotonic(), error=reason)
        names = {name.lower(): value for name, value in response.getheaders()}
        return Answer(status=response.status, headers=names, body=body, began=began, ended=time.monotonic())

    def close(self) -> None:
        """Lets the connection go."""
        self._http.close()


def ask_once(port: int, ask: Ask, timeout_s: float = TIMEOUT_S) -> Answer:
    """One request over a connection of its own."""
    connection = Connection(port, timeout_s)
    try:
        return connection.ask(ask)
    finally:
        connection.close()


def ask_many(
    port: int, ask: Ask, times: int, threads: int = 4, timeout_s: float = TIMEOUT_S
) -> tuple[Answer, ...]:
    """The answers to `times` equal requests, sent by `threads` clients at once."""

    def part(number: int) -> list[Answer]:
        connection = Connection(port, timeout_s)
        try:
            return [connection.ask(ask) for _ in range(number)]
        finally:
            connection.close()

    share, rest = divmod(times, threads)
    with ThreadPoolExecutor(threads) as pool:
        parts = pool.map(part, [share + (index < rest) for index in range(threads)])
        return tuple(answer for answers in parts for answer in answers)


class Load:
    """Sends requests at a steady rate while the `with` block runs; bounded by its rate and threads."""

    def __init__(
        self, port: int, choose: Callable[[], Ask], taken: Callable[[Ask, Answer], None], rate: float
    ) -> None:
        """`choose` gives each request, `taken` gets each answer, both from several threads."""
        self._port, self._choose, self._taken = port, choose, taken
        self._interval_s = 1.0 / rate
        self._over = threading.Event()
        self._lock = threading.Lock()
        self._next = 0.0
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(4)]

    def __enter__(self) -> Load:
        self._next = time.monotonic()
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(TIMEOUT_S + 1)

    def _run(self) -> None:
        connection = Connection(self._port)
        while not self._over.wait(self._until_next_s()):
            ask = self._choose()
            self._taken(ask, connection.ask(ask))
        connection.close()

    def _until_next_s(self) -> float:
        """Takes the next place in time; what was missed is not made up for."""
        now = time.monotonic()
        with self._lock:
            self._next = max(self._next + self._interval_s, now)
            return self._next - now
