"""Steps of the tour about change and failure: a weight edited live, and kill -9 of everything."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from functools import partial
from threading import Lock

from meshgate.cli.demo_http import Answer, Ask, Connection, Load
from meshgate.cli.demo_shop import Shop
from meshgate.cli.demo_steps import API, SHOP, Finding, Findings, milliseconds
from meshgate.cli.demo_steps_traffic import USERS
from meshgate.cli.errors import CliError

_RATE = 200.0
_SETTLE_S = 10.0
_LONGEST_EDIT_S = 1.0
_BACK_S = 20.0
_IN_A_ROW = 50


class Watched:
    """Answers of a load, as they came."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._answers: list[Answer] = []

    def take(self, ask: Ask, answer: Answer) -> None:
        """For `Load`."""
        with self._lock:
            self._answers.append(answer)

    @property
    def answers(self) -> tuple[Answer, ...]:
        """All until now, in the order in which they ended."""
        with self._lock:
            return tuple(self._answers)

    @property
    def failed(self) -> tuple[Answer, ...]:
        """Those that a user would have noticed."""
        return tuple(a for a in self.answers if a.status != 200)

    def last_of_others(self, version: str, deadline_s: float) -> float | None:
        """When the last request that another version answered began; None if they do not cease."""
        until = time.monotonic() + deadline_s
        while time.monotonic() < until:
            answers = self.answers
            if len(answers) >= _IN_A_ROW and all(a.version == version for a in answers[-_IN_A_ROW:]):
                return max((a.began for a in answers if a.version != version), default=0.0)
            time.sleep(0.02)
        return None

    def summary(self) -> str:
        """Counts and latencies on one line."""
        failed = self.failed
        times = [a.ended - a.began for a in self.answers]
        first = f" (first: {failed[0].said})" if failed else ""
        return (
            f"{len(times):,} requests, {len(failed)} failed{first},"
            f" p50 {milliseconds(times, 50):.1f} ms, p99 {milliseconds(times, 99):.1f} ms"
        )


def edit_weight(shop: Shop) -> Findings:
    """A save is in force within a second, and nobody notices."""
    watched = Watched()
    with Load(shop.port, lambda: USERS, watched.take, _RATE):
        _wait(lambda: len(watched.answers) >= _IN_A_ROW, _SETTLE_S)
        yield _edit(shop, watched, "v2")
    yield Finding(
        asked=f"the load of {_RATE:.0f}/s meanwhile", came=watched.summary(), held=not watched.failed
    )


def _edit(shop: Shop, watched: Watched, version: str) -> Finding:
    """Gives a version everything; the time from the save to the last request that went elsewhere."""
    weights = (100, 0) if version == "v1" else (0, 100)
    saved = shop.set_weights(*weights)
    last = watched.last_of_others(version, _SETTLE_S)
    asked = f"save weights {weights[0]}/{weights[1]} in seed/04, under load"
    if last is None:
        return Finding(asked=asked, came=f"not in force after {_SETTLE_S:.0f} s", held=False)
    took = max(last - saved, 0.0)
    return Finding(asked=asked, came=f"in force after {1000 * took:.0f} ms", held=took <= _LONGEST_EDIT_S)


def kill_workloads(shop: Shop) -> Findings:
    """An application and a sidecar die; both are back by themselves."""
    for said, deployment, container, ask in (
        ("the application my-service", "my-service", "my-service", Ask(path="/anything", host=API)),
        ("checkout's sidecar", "checkout", "istio-proxy", Ask(path="/", host=SHOP)),
    ):
        began = time.monotonic()
        pid = shop.kill(deployment, container)
        failed = _until_back(shop, ask)
        took = time.monotonic() - began
        new = shop.pids().get((deployment, container), pid)
        held = failed is not None and new != pid
        came = f"pid {new}, answers again after {took:.1f} s; {failed} refused meanwhile (one replica)"
        yield Finding(
            asked=f"kill -9 {pid}, {said}", came=came if held else f"not back after {took:.1f} s", held=held
        )


def _until_back(shop: Shop, ask: Ask) -> int | None:
    """Asks until ten answers in a row are good and all pods ready; how many were not; None: never."""
    connection = Connection(shop.port)
    good = failed = 0
    until = time.monotonic() + _BACK_S
    try:
        while time.monotonic() < until:
            answered = connection.ask(ask).status == 200
            good, failed = (good + 1, failed) if answered else (0, failed + 1)
            if good >= 10 and failed + good > 10 and all(pod.ready for pod in shop.status().pods):
                return failed
            time.sleep(0.02)
    finally:
        connection.close()
    return None


def kill_control_plane(shop: Shop) -> Findings:
    """Traffic does not need it; it comes back, takes over what runs, and is obeyed."""
    before = shop.pids()
    watched = Watched()
    with Load(shop.port, lambda: USERS, watched.take, _RATE):
        began = time.monotonic()
        pid = shop.kill_control_plane()
        back = False
        for said, condition in (("it answers again", _answers), ("every proxy follows it again", _is_back)):
            back = _wait(partial(condition, shop, pid), _BACK_S)
            came = f"{said} after {time.monotonic() - began:.1f} s"
            yield Finding(
                asked=f"kill -9 {pid}, the control plane", came=came if back else f"not {came}", held=back
            )
        if back:
            same = shop.pids() == before
            came = "the very processes from before" if same else "some were started again"
            yield Finding(asked="applications and sidecars", came=came, held=same)
            yield _edit(shop, watched, "v1")
    yield Finding(
        asked=f"the load of {_RATE:.0f}/s meanwhile", came=watched.summary(), held=not watched.failed
    )


def _answers(shop: Shop, killed: int) -> bool:
    with contextlib.suppress(CliError):
        return shop.status().pid != killed
    return False


def _is_back(shop: Shop, killed: int) -> bool:
    with contextlib.suppress(CliError):
        report = shop.status()
        in_step = sum(proxy.synced for proxy in report.proxies)
        ready = all(pod.ready for pod in report.pods) and in_step >= sum(pod.meshed for pod in report.pods)
        return ready and report.pid != killed
    return False


def _wait(condition: Callable[[], bool], deadline_s: float) -> bool:
    until = time.monotonic() + deadline_s
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True
