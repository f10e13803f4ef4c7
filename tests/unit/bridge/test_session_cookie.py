"""Sealed sessions: nothing but what was sealed opens, cookies of any length come back, ages."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.bridge.session_cookie import (
    CHUNK_BYTES,
    Age,
    CookieForm,
    Cookies,
    Lifetimes,
    Sealer,
    Times,
    read_cookie,
    remove_cookie,
    set_cookie,
)
from meshgate.core.secret import Secret

SECRET = Secret.of("a secret that nobody else knows")
SEALER = Sealer(SECRET, "session")
FORM = CookieForm(name="session")


def _held(lines: tuple[str, ...]) -> Cookies:
    """What a browser has afterwards."""
    pairs = [line.split("; ")[0].partition("=") for line in lines if "Max-Age=0" not in line]
    return tuple((name, value) for name, _, value in pairs)


@given(st.binary(max_size=500), st.text(max_size=20))
def test_what_was_sealed_opens_for_what_it_was_bound_to_alone(content: bytes, bound_to: str) -> None:
    text = SEALER.seal(content, bound_to)
    assert SEALER.open(text, bound_to) == content
    assert SEALER.open(text, bound_to + "x") is None
    assert Sealer(SECRET, "openid-connect").open(text, bound_to) is None
    assert Sealer(Secret.of("another"), "session").open(text, bound_to) is None
    assert SEALER.seal(content, bound_to) != text


@given(st.data())
def test_a_changed_text_does_not_open(data: st.DataObject) -> None:
    text = SEALER.seal(b"alice", "app")
    at = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from("ABCxyz019-_"))
    changed = text[:at] + letter + text[at + 1 :]
    assert SEALER.open(changed, "app") == (b"alice" if changed == text else None)


@pytest.mark.parametrize("text", ["", "AQ", "%%%", "AQAA" * 20, "ü", "Ag" + "A" * 80])
def test_rubbish_does_not_open(text: str) -> None:
    assert SEALER.open(text, "app") is None


@given(st.integers(0, 4 * CHUNK_BYTES))
def test_values_of_any_length_come_back(length: int) -> None:
    lines = set_cookie(FORM, "v" * length)
    assert read_cookie(FORM, _held(lines)) == "v" * length
    assert all(len(line) < 4096 for line in lines)


def test_a_value_that_no_client_keeps_is_refused() -> None:
    with pytest.raises(ValueError, match="too large"):
        set_cookie(FORM, "v" * (CHUNK_BYTES * 9 + 1))


def test_a_part_that_is_missing_or_of_another_value_is_noticed() -> None:
    held = _held(set_cookie(FORM, "v" * (CHUNK_BYTES + 1)))
    assert [name for name, _ in held] == ["session", "session2"]
    assert read_cookie(FORM, held[:1]) is None
    assert read_cookie(FORM, held[1:]) is None
    for value in ("", "abc", "0.abc", "10.abc", "².abc", ".abc"):
        assert read_cookie(FORM, (("session", value),)) is None


def test_of_two_cookies_of_a_name_the_first_counts() -> None:
    assert read_cookie(FORM, (("session", "1.a"), ("session", "1.b"))) == "a"


def test_what_is_left_of_a_longer_value_goes() -> None:
    old = _held(set_cookie(FORM, "v" * (2 * CHUNK_BYTES + 1)))
    lines = set_cookie(FORM, "new", old)
    assert [line.split("=")[0] for line in lines] == ["session", "session2", "session3"]
    assert _held(lines) == (("session", "1.new"),)
    assert [line.split("=")[0] for line in remove_cookie(FORM, old)] == ["session", "session2", "session3"]
    assert remove_cookie(FORM, ()) == ()


def test_attributes() -> None:
    (plain,) = set_cookie(FORM, "v")
    assert plain == "session=1.v; Path=/; SameSite=Strict; Secure; HttpOnly"
    form = CookieForm(
        name="s", path="/app", domain="shop.example", same_site="Default", http_only=False, secure=False
    )
    (other,) = set_cookie(form, "v", max_age_s=60)
    assert other == "s=1.v; Max-Age=60; Path=/app; Domain=shop.example"
    (gone,) = remove_cookie(form, (("s", "1.v"),))
    assert gone == "s=; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; Path=/app; Domain=shop.example"


LIFETIMES = Lifetimes(idling_s=900, rolling_s=3600, absolute_s=86400)


@pytest.mark.parametrize(
    ("times", "age"),
    [
        (Times(created=1000, renewed=1000, used=1000), Age.FRESH),
        (Times(created=1000, renewed=1000, used=930), Age.TOUCH),
        (Times(created=1000, renewed=1000, used=99), Age.ENDED),
        (Times(created=-1800, renewed=-1800, used=1000), Age.RENEW),
        (Times(created=-2700, renewed=-2700, used=1000), Age.ENDED),
        (Times(created=-85500, renewed=1000, used=1000), Age.ENDED),
        (Times(created=2000, renewed=1000, used=1000), Age.ENDED),
    ],
)
def test_ages(times: Times, age: Age) -> None:
    assert times.age(LIFETIMES, 1000) is age


def test_a_session_without_ends_lasts() -> None:
    times = Times.starting(0)
    assert times.age(Lifetimes(idling_s=0, rolling_s=0, absolute_s=0), 1e9) is Age.FRESH


def test_use_and_renewal_do_not_move_the_absolute_end() -> None:
    times = Times.starting(0).touched(500).renewed_at(3000)
    assert times == Times(created=0, renewed=3000, used=3000)
