from __future__ import annotations

from pathlib import Path

import pytest

from meshgate.runtime.forwarding import Forwarding


class Machine:
    """Files as the kernel has them: a setting for each device, a directory for each link."""

    def __init__(self, folder: Path) -> None:
        self.forwarding = Forwarding(
            note=folder / "run" / "forwarding.json", settings=folder / "conf", links=folder / "links"
        )
        self.add("eth0")

    def add(self, device: str) -> None:
        (self.forwarding.settings / device).mkdir(parents=True)
        (self.forwarding.settings / device / "forwarding").write_text("0\n")
        (self.forwarding.links / device).mkdir(parents=True)

    def remove(self, device: str) -> None:
        (self.forwarding.settings / device / "forwarding").unlink()
        (self.forwarding.links / device).rmdir()

    def on(self, device: str) -> bool:
        return (self.forwarding.settings / device / "forwarding").read_text().strip() == "1"


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_the_last_one_puts_back_what_the_first_one_found(machine: Machine) -> None:
    for bridge in ("mg1", "mg2"):
        machine.add(bridge)
        machine.forwarding.turn_on(bridge, "eth0")
        assert machine.on(bridge)
    machine.forwarding.let_go("mg1")
    assert machine.on("eth0"), "another one needs it"
    machine.forwarding.let_go("mg2")
    assert not machine.on("eth0")
    assert list(machine.forwarding.note.parent.iterdir()) == [], "nothing left behind"


def test_a_device_that_forwarded_before_goes_on(machine: Machine) -> None:
    machine.forwarding.settings.joinpath("eth0/forwarding").write_text("1")
    machine.add("mg1")
    machine.forwarding.turn_on("mg1", "eth0")
    machine.forwarding.let_go("mg1")
    assert machine.on("eth0")


def test_one_that_is_gone_without_a_word_keeps_nothing_on(machine: Machine) -> None:
    for bridge in ("mg1", "mg2"):
        machine.add(bridge)
        machine.forwarding.turn_on(bridge, "eth0")
    machine.remove("mg1")
    machine.forwarding.turn_on("mg2", "eth0")
    machine.forwarding.let_go("mg2")
    assert not machine.on("eth0")


def test_one_that_comes_back_finds_what_was_before_the_crash(machine: Machine) -> None:
    machine.add("mg1")
    for _ in range(2):
        machine.forwarding.turn_on("mg1", "eth0")
    machine.forwarding.let_go("mg1")
    assert not machine.on("eth0")
    machine.forwarding.let_go("mg1")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"users": 1, "before": {}}', '{"users": [], "before": []}']
)
def test_a_broken_note_is_begun_anew(machine: Machine, text: str) -> None:
    machine.forwarding.note.parent.mkdir()
    machine.forwarding.note.write_text(text)
    machine.add("mg1")
    machine.forwarding.turn_on("mg1", "eth0", "gone0")
    assert machine.on("eth0")
    machine.forwarding.let_go("mg1")
    assert not machine.on("eth0")
