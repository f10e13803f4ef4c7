"""The readers of the C filters' settings: whatever comes, they read it or refuse it, and nothing leaks."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from meshgate.native import LIBRARY
from meshgate.policies.native import items
from tests.native.sanitized import built, said

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")

WINDOWS = (-1, 2, -1, 5, -1, -1)
CONSUMERS = items(["x-key", 2, "a", 1, "x-consumer-id", "1", "b", 2, "x-consumer-id", "2", "x-gone", ""])
LIMITS = items([1, "rule", "consumer", "", 429, "Too many", 0, *WINDOWS, 1, "ada", *WINDOWS])
KEYS = items([1, 1, 2, "apikey", "x-key"]) + LIMITS


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    files = sorted(path.name for path in LIBRARY.parent.glob("*.c") if path.name != "module.c")
    return built("reading", tmp_path_factory.mktemp("reading"), *files)


def test_reads_what_the_control_plane_writes(reader: Path) -> None:
    empty = items(["x-key", 0])
    assert (
        said(reader, [("c", CONSUMERS), ("k", KEYS), ("l", LIMITS), ("c", empty), ("l", items([0]))])
        == ["read"] * 5
    )


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("c", b""),
        ("c", b"5:x-ke"),
        ("c", b"x"),
        ("c", b"99999999999999999999999:x"),
        ("c", b"-1:x"),
        ("c", items(["x-key", 1])),
        ("c", items(["x-key", "many"])),
        ("c", items(["x-key", -1])),
        ("c", items(["x-key", 10**9])),
        ("c", items(["x-key", 2, "a", 0, "a", 0])),
        ("c", CONSUMERS + b"0:"),
        ("c", items(["x-key", 1, "a", 17, *["x", "y"] * 17])),
        ("k", b""),
        ("k", items([2, 1, 0, 0])),
        ("k", items([1, 1, 2, "apikey"])),
        ("k", items([1, 1, 101])),
        ("k", items([1, 1, 1, "apikey"])),
        ("k", KEYS + b"0:"),
        ("l", LIMITS[:-3]),
        ("l", LIMITS + b"1:x"),
        ("l", items([1, "rule", "nobody", "", 429, "", 0, *WINDOWS, 0])),
        ("l", items([1, "rule", "ip", "", 1000, "", 0, *WINDOWS, 0])),
        ("l", items([1, "rule", "ip", "", 429, "", 2, *WINDOWS, 0])),
        ("l", items([1, "rule", "ip", "", 429, "", 0, -2, *WINDOWS[1:], 0])),
        ("l", items([1, "rule", "ip", "", 429, "", 0, 10**30, *WINDOWS[1:], 0])),
        ("l", items([101])),
    ],
)
def test_refuses_what_does_not_fit(reader: Path, kind: str, text: bytes) -> None:
    assert said(reader, [(kind, text)]) == ["refused"]


def test_nothing_that_comes_is_read_beyond_its_end(reader: Path) -> None:
    """Good settings with bytes changed, lost and doubled; AddressSanitizer looks on."""
    chance = random.Random(20261128)
    texts: list[tuple[str, bytes]] = []
    for _ in range(4000):
        kind, good = chance.choice((("c", CONSUMERS), ("k", KEYS), ("l", LIMITS)))
        text = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            at = chance.randrange(len(text))
            match chance.randrange(3):
                case 0:
                    text[at] = chance.choice(b"0123456789:-a\0\xff")
                case 1:
                    del text[at : at + chance.randint(1, 6)]
                case _:
                    text[at:at] = text[at : at + chance.randint(1, 6)]
            if not text:
                break
        texts.append((kind, bytes(text)))
    answers = said(reader, texts)
    assert len(answers) == len(texts)
    assert {"read", "refused"} == set(answers)
