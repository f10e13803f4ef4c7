"""SHA-256 and the query of the C filters against Python's own."""

from __future__ import annotations

import ctypes
import hashlib
import shutil
import subprocess
from urllib.parse import parse_qsl, unquote_to_bytes

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.native import LIBRARY

pytestmark = pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler here")

QUERIES = st.text(alphabet="ab%=&+?1f2G6 ", max_size=40).map(str.encode)


class Bytes(ctypes.Structure):
    _fields_ = (("ptr", ctypes.c_char_p), ("length", ctypes.c_size_t))


class Parameter(ctypes.Structure):
    _fields_ = (("name", Bytes), ("value", Bytes), ("has_value", ctypes.c_bool))


def given_as(text: bytes) -> Bytes:
    return Bytes(text, len(text))


def taken(found: Bytes) -> bytes:
    return ctypes.string_at(found.ptr, found.length) if found.length else b""


@pytest.fixture(scope="module")
def texts(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    library = tmp_path_factory.mktemp("texts") / "texts.so"
    files = [str(LIBRARY.parent / name) for name in ("sha256.c", "query.c")]
    argv = ["cc", "-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared"]
    subprocess.run([*argv, *files, "-o", str(library)], check=True)
    found = ctypes.CDLL(str(library))
    found.sha256_hex.argtypes = (Bytes, ctypes.c_char_p)
    found.query_of.argtypes, found.query_of.restype = (Bytes,), Bytes
    found.next_parameter.argtypes = (ctypes.POINTER(Bytes), ctypes.POINTER(Parameter))
    found.next_parameter.restype = ctypes.c_bool
    found.unescaped.argtypes = (Bytes, ctypes.c_char_p, ctypes.c_size_t)
    found.unescaped.restype = Bytes
    found.written_as.argtypes, found.written_as.restype = (Bytes, Bytes), ctypes.c_bool
    return found


@pytest.mark.parametrize("length", [0, 1, 3, 55, 56, 57, 63, 64, 65, 119, 120, 127, 128, 1000, 4096])
def test_digests_of_each_length(texts: ctypes.CDLL, length: int) -> None:
    text = bytes(i * 7 % 256 for i in range(length))
    room = ctypes.create_string_buffer(64)
    texts.sha256_hex(given_as(text), room)
    assert room.raw.decode() == hashlib.sha256(text).hexdigest()


@given(text=st.binary(max_size=300))
@settings(max_examples=200)
def test_digests(texts: ctypes.CDLL, text: bytes) -> None:
    room = ctypes.create_string_buffer(64)
    texts.sha256_hex(given_as(text), room)
    assert room.raw.decode() == hashlib.sha256(text).hexdigest()


@given(query=QUERIES)
@settings(max_examples=500)
def test_queries_are_read_as_by_everybody(texts: ctypes.CDLL, query: bytes) -> None:
    path = b"/p?" + query
    rest, one, seen = texts.query_of(given_as(path)), Parameter(), []
    assert taken(rest) == query
    while texts.next_parameter(rest, one):
        name, value = taken(one.name), taken(one.value)
        room = ctypes.create_string_buffer(64)
        read = taken(texts.unescaped(given_as(value), room, 64))
        whole = unquote_to_bytes(name.replace(b"+", b" "))
        assert texts.written_as(given_as(name), given_as(whole))
        assert not texts.written_as(given_as(name), given_as(whole + b"x"))
        seen.append((whole, read))
    expected = query.split(b"&")
    parsed = parse_qsl(query.decode(), keep_blank_values=True, encoding="latin-1", separator="&")
    if query.endswith(b"&"):
        expected = expected[:-1]
    assert len(seen) == (len(expected) if query else 0)
    filled = [(n, v) for n, v in seen if (n, v) != (b"", b"")]
    assert filled == [(n.encode("latin-1"), v.encode("latin-1")) for n, v in parsed if (n, v) != ("", "")]


def test_room_is_never_passed(texts: ctypes.CDLL) -> None:
    room = ctypes.create_string_buffer(b"\xee" * 16, 16)
    assert taken(texts.unescaped(given_as(b"%41" * 40), room, 8)) == b"A" * 8
    assert room.raw[8:] == b"\xee" * 8
