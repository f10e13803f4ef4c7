"""Plain scalars mean what PyYAML's safe loader makes of them."""

from __future__ import annotations

import math
from contextlib import suppress

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from meshgate.dialects.scalars import BadScalar, plain_scalar

_ALPHABET = "0123456789+-._:exXobnfiaNtrues~ "


def _pyyaml(text: str) -> object:
    """What the safe loader's own resolver and constructor make of a plain scalar."""
    loader = yaml.SafeLoader("")
    tag = loader.resolve(yaml.ScalarNode, text, (True, False))  # type: ignore[no-untyped-call]
    return loader.construct_object(yaml.ScalarNode(tag, text))


@given(st.text(alphabet=_ALPHABET, max_size=12))
@example("0_")
@example("-0__")
@example("0b_")
def test_agrees_with_pyyaml(text: str) -> None:
    try:
        expected = _pyyaml(text)
    except (ValueError, yaml.YAMLError):
        # PyYAML itself stumbles (`0b_`, a 13th month); here it is text or refused.
        with suppress(BadScalar):
            assert isinstance(plain_scalar(text), str)
        return
    if isinstance(expected, float) and not math.isfinite(expected):
        with pytest.raises(BadScalar):
            plain_scalar(text)
    elif isinstance(expected, bool | int | float | str) or expected is None:
        found = plain_scalar(text)
        assert found == expected
        assert type(found) is type(expected)
    else:
        assert plain_scalar(text) == text, "dates stay text"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None),
        ("~", None),
        ("yes", True),
        ("OFF", False),
        ("y", "y"),
        ("0x1F", 31),
        ("0o17", "0o17"),
        ("017", 15),
        ("0b101", 5),
        ("1_000", 1000),
        ("1:30", 90),
        ("1.5e+3", 1500.0),
        ("1e3", "1e3"),
        (".5", 0.5),
        ("2026-11-20", "2026-11-20"),
        ("=", "="),
        ("1" * 101, "1" * 101),
    ],
)
def test_values(text: str, value: object) -> None:
    assert plain_scalar(text) == value


@pytest.mark.parametrize("text", [".inf", "-.INF", ".nan", "9" * 30, "-9223372036854775809", "1.0e+999"])
def test_refuses_what_json_cannot_hold(text: str) -> None:
    with pytest.raises(BadScalar) as refused:
        plain_scalar(text)
    assert text not in str(refused.value)
