"""Ages, columns and YAML as kubectl prints them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import yaml

from meshgate.cli.printing import age, as_yaml, columns

NOW = datetime(2026, 11, 20, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "0s"),
        (0, "0s"),
        (119, "119s"),
        (120, "2m"),
        (185, "3m5s"),
        (3600, "60m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 600, "3h10m"),
        (9 * 3600 + 600, "9h"),
        (47 * 3600, "47h"),
        (48 * 3600, "2d"),
        (50 * 3600, "2d2h"),
        (40 * 86400, "40d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    assert age((NOW - timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ"), NOW) == text


def test_an_age_that_nobody_knows() -> None:
    assert age("<none>", NOW) == "<unknown>"


def test_columns_fit_their_widest_cell_and_no_terminal_code_gets_through() -> None:
    text = columns(("NAME", "X"), [("a-long-name", "1"), ("b\x1b[2J", "")])
    assert text == "NAME          X\na-long-name   1\nb?[2J\n"


def test_yaml_reads_back_and_has_no_aliases() -> None:
    shared = {"k": "two\nlines\n"}
    data = {"z": shared, "a": [shared, "yes", "1", None, 1.5, "ä"]}
    text = as_yaml(data)
    assert yaml.safe_load(text) == data
    assert "&" not in text
    assert text.startswith("a:")
