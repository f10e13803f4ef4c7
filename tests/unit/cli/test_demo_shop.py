"""The demo's shop with a real meshgate: whatever happens, nothing stays behind."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from meshgate.cli.demo_http import Ask, ask_once
from meshgate.cli.demo_leftovers import Leftovers, Marks, look_for
from meshgate.cli.demo_shop import SPLIT_FILE, Shop, find_shop
from meshgate.cli.errors import CliError
from meshgate.model.proxy import Isolation

DEADLINE_S = 120.0
with_servers = [pytest.mark.e2e, pytest.mark.envoy, pytest.mark.redis]


def test_the_copy_is_edited_and_not_the_checkout() -> None:
    shop = Shop(None, None, None)
    try:
        before = (find_shop() / SPLIT_FILE).read_text()
        shop.set_weights(30, 70)
        assert (find_shop() / SPLIT_FILE).read_text() == before
        edited = (shop.folder / SPLIT_FILE).read_text()
        assert edited == before.replace("weight: 90", "weight: 30").replace("weight: 10", "weight: 70")
    finally:
        assert shop.close() == Leftovers()
    assert not shop.folder.exists()


def test_without_a_checkout_it_says_where_it_looked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("meshgate.__file__", str(tmp_path / "lib" / "site" / "meshgate" / "__init__.py"))
    with pytest.raises(CliError, match="examples/shop"):
        find_shop()


def test_a_port_that_somebody_has_is_refused_at_once() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(CliError, match="is taken"):
        Shop(None, None, taken.getsockname()[1])


class TestRunning:
    pytestmark = with_servers

    def test_what_outlives_a_killed_meshgate_is_ended(self, tmp_path: Path) -> None:
        shop = Shop(tmp_path / "state", Isolation.PORTS, None)
        marks = Marks.of(shop.state, shop.folder)
        try:
            shop.start()
            shop.wait_until_ready()
            assert ask_once(shop.port, Ask(path="/api/users")).status == 200
            assert not look_for(marks).namespaces
            shop.kill_guard()
            shop.kill_control_plane()
            assert look_for(marks).processes
        finally:
            shop.close()
        assert not look_for(marks)

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
    def test_an_interrupted_tour_leaves_nothing(self, tmp_path: Path, number: signal.Signals) -> None:
        state = tmp_path / "state"
        arguments = ("demo", "--once", "--isolation", "ports", "--state", str(state))
        with subprocess.Popen(
            (sys.executable, "-m", "meshgate", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1", "TMPDIR": str(tmp_path)},
        ) as tour:
            assert tour.stdout is not None
            for line in tour.stdout:
                if line.startswith(" 3 "):
                    tour.send_signal(number)
                    break
            rest = tour.stdout.read()
            assert tour.wait(DEADLINE_S) == 130, rest
        assert "Cleaning up" in rest
        assert not look_for(Marks.of(state, tmp_path))
        assert list(tmp_path.glob("meshgate-demo-*")) == []
