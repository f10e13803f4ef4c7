from __future__ import annotations

import socket
from pathlib import Path

import pytest

from meshgate.runtime.ports import FIRST_PORT, LAST_PORT, PortAllocator, PortsExhausted, Stretch, is_free


def test_ports_are_stable_across_restarts_and_never_given_twice(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    first = PortAllocator(path)
    ports = first.hold(["a", "b", "c"])
    assert len(set(ports.values())) == 3
    assert first.hold(["c", "a"]) == {"c": ports["c"], "a": ports["a"]}
    second = PortAllocator(path)
    assert second.hold(["b", "a", "c"]) == ports


def test_ports_in_use_or_reserved_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "ports.json"
    port = PortAllocator(path).hold(["a"])["a"]
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
        assert PortAllocator(path).hold(["a"], adopted=True) == {"a": port}
        moved = PortAllocator(path).hold(["a"])["a"]
    assert moved != port
    assert PortAllocator(path, reserved=[moved]).hold(["a"])["a"] != moved


def test_a_released_key_finds_its_port_again_while_others_avoid_it(tmp_path: Path) -> None:
    allocator = PortAllocator(tmp_path / "ports.json", is_free=lambda port: True)
    port = allocator.hold(["a"])["a"]
    allocator.release(["a"])
    others = allocator.hold([str(number) for number in range(50)])
    assert port not in others.values()
    assert allocator.hold(["a"]) == {"a": port}


def test_exhaustion_is_said(tmp_path: Path) -> None:
    allocator = PortAllocator(tmp_path / "ports.json", is_free=lambda port: port == LAST_PORT)
    assert allocator.hold(["a"]) == {"a": LAST_PORT}
    with pytest.raises(PortsExhausted, match=str(FIRST_PORT)):
        allocator.hold(["b"])


@pytest.mark.parametrize("content", ["", "[1]", '{"a": "x"}', '{"a": 80}', "{"])
def test_a_broken_file_means_no_memory(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ports.json"
    path.write_text(content)
    assert FIRST_PORT <= PortAllocator(path).hold(["a"])["a"] <= LAST_PORT


def test_no_two_begin_in_one_stretch_until_the_first_has_ended(tmp_path: Path) -> None:
    first, second = (Stretch(tmp_path / "ports.json") for _ in range(2))
    try:
        assert first.first != second.first
        assert PortAllocator(tmp_path / "ports.json", first=first.first).hold(["a"])["a"] >= first.first
    finally:
        first.close()
        second.close()
    third = Stretch(tmp_path / "ports.json")
    third.close()
    assert third.first == first.first


def test_where_all_stretches_are_taken_one_begins_all_the_same(tmp_path: Path) -> None:
    taken = [Stretch(tmp_path / "ports.json") for _ in range(40)]
    try:
        assert all(FIRST_PORT <= stretch.first <= LAST_PORT for stretch in taken)
        assert len({stretch.first for stretch in taken}) < len(taken)
    finally:
        for stretch in taken:
            stretch.close()
