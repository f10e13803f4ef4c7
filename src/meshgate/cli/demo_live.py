"""`meshgate demo`: the shop under traffic, live until Ctrl-C; without a terminal, a line per second."""

from __future__ import annotations

import contextlib
import os
import select
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor

from rich.console import Console
from rich.live import Live

from meshgate.cli.demo_certificates import Certificate, certificate_of
from meshgate.cli.demo_http import ADDRESS, Load
from meshgate.cli.demo_screen import Shown, line, screen
from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_traffic import RATE, Mix, Stats
from meshgate.cli.errors import CliError
from meshgate.sources.backend import StatusReport

_FRAME_S = 0.25
_LINE_S = 1.0
_CERTIFICATES_S = 5.0
_SERVICES = ("backend-service", "checkout", "my-service", "payment", "user-service")
_WEIGHTS = ((50, 50), (0, 100), (90, 10))


def show(shop: Shop, console: Console) -> None:
    """Sends traffic and shows what becomes of it, until `q` is pressed or an interrupt comes."""
    url = f"http://{ADDRESS}:{shop.port}"
    stats = Stats()
    over = threading.Event()
    with Watch(shop, over) as watch, Load(shop.port, Mix().choose, stats.take, RATE):
        try:
            if console.is_terminal and sys.stdin.isatty():
                _show_screen(url, stats, watch, Actions(shop, watch))
            else:
                console.print(f"gateway {url}; Ctrl-C ends")
                while not over.wait(_LINE_S):
                    console.print(line(Shown(url=url, stats=stats, report=watch.report)), markup=False)
        finally:
            over.set()


def _show_screen(url: str, stats: Stats, watch: Watch, actions: Actions) -> None:
    def draw() -> Shown:
        return Shown(
            url=url,
            stats=stats,
            report=watch.report,
            notes=tuple(watch.notes),
            certificates=watch.certificates,
            keys=actions.keys,
        )

    with _single_keys(), Live(screen(draw()), screen=True, auto_refresh=False, console=Console()) as live:
        while True:
            readable, _, _ = select.select([sys.stdin], [], [], _FRAME_S)
            if readable:
                key = os.read(sys.stdin.fileno(), 1).decode(errors="replace")
                if key in ("q", ""):
                    return
                actions.press(key)
            live.update(screen(draw()), refresh=True)


class Watch:
    """Asks the control plane for its status every second, in a thread, for it may be away."""

    def __init__(self, shop: Shop, over: threading.Event) -> None:
        self._shop, self._over = shop, over
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.report: StatusReport | None = None
        """The newest; None while the control plane is away."""
        self.certificates: Mapping[str, Certificate] = {}
        """What each service's first pod showed a moment ago."""
        self._look_again = 0.0
        self.notes: deque[str] = deque(maxlen=5)
        """What happened, the newest last."""

    def __enter__(self) -> Watch:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(10.0)

    def note(self, text: str) -> None:
        """Adds to what happened."""
        self.notes.append(f"{time.strftime('%H:%M:%S')}  {text}")

    def _run(self) -> None:
        while not self._over.is_set():
            before = self.report
            try:
                self.report = self._shop.status()
            except CliError as error:
                self.report = None
                if before is not None:
                    self.note(f"the control plane is away ({error.message}); traffic goes on")
            else:
                self._compare(before, self.report)
                self._look_at_certificates()
            self._over.wait(_LINE_S)

    def _look_at_certificates(self) -> None:
        if time.monotonic() < self._look_again:
            return
        self._look_again = time.monotonic() + _CERTIFICATES_S
        found = {}
        for service in _SERVICES:
            with contextlib.suppress(CliError, OSError):
                found[service] = certificate_of(*self._shop.address_of(service))
        self.certificates = found

    def _compare(self, before: StatusReport | None, now: StatusReport) -> None:
        if before is None:
            self.note(f"control plane: pid {now.pid}")
            return
        if now.pid != before.pid:
            self.note(f"control plane: back as pid {now.pid}")
        ready = {pod.name: pod.ready for pod in before.pods}
        for pod in now.pods:
            if ready.get(pod.name) != pod.ready:
                said = "is ready" if pod.ready else f"is not ready: {pod.message or pod.phase}"
                self.note(f"{pod.name} {said}")


class Actions:
    """What keys do: break something, or change a weight. One at a time, off the drawing thread."""

    def __init__(self, shop: Shop, watch: Watch) -> None:
        self._shop, self._watch = shop, watch
        self._pool = ThreadPoolExecutor(1)
        self._weights = iter(_WEIGHTS * 1000)
        self._do: Mapping[str, tuple[str, Callable[[], str]]] = {
            "w": ("change user-service's weights", self._weight),
            "a": ("kill -9 my-service", lambda: f"killed pid {shop.kill('my-service', 'my-service')}"),
            "s": ("kill -9 checkout's sidecar", lambda: f"killed pid {shop.kill('checkout', 'istio-proxy')}"),
            "c": ("kill -9 the control plane", lambda: f"killed pid {shop.kill_control_plane()}"),
        }

    @property
    def keys(self) -> Mapping[str, str]:
        """Key -> what it does."""
        return {**{key: said for key, (said, _) in self._do.items()}, "q": "end"}

    def press(self, key: str) -> None:
        """Begins what the key does; any other key does nothing."""
        if key in self._do:
            self._pool.submit(self._run, *self._do[key])

    def _weight(self) -> str:
        v1, v2 = next(self._weights)
        self._shop.set_weights(v1, v2)
        return f"saved {v1}/{v2}"

    def _run(self, said: str, action: Callable[[], str]) -> None:
        try:
            self._watch.note(f"{said}: {action()}")
        except (CliError, OSError, KeyError) as error:
            self._watch.note(f"{said}: not possible now ({error})")


@contextlib.contextmanager
def _single_keys() -> Iterator[None]:
    """Keys arrive when they are pressed and are not shown; Ctrl-C stays what it is."""
    import termios
    import tty

    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
