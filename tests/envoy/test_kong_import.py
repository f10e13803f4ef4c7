"""The example of a kong.yaml as a gateway: services get what Kong would send them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from meshgate.dialects.kong.declarative import convert
from tests.envoy.kong_edge import Ask, asked

pytestmark = pytest.mark.envoy

EXAMPLE = Path(__file__).parents[2] / "examples" / "import" / "kong.yaml"
KEY = ("x-api-key", "alice-s-example-key")


def test_the_example_does_what_kong_would(tmp_path: Path) -> None:
    text = "".join(f"---\n{yaml.safe_dump(m)}" for m in convert(EXAMPLE.read_text(), "kong.yaml").manifests)
    host = ("host", "shop.example")
    orders, old, stock, stranger, nowhere = asked(
        text,
        (
            Ask("/orders/7?x=1", headers=(host, KEY)),
            Ask("/legacy/12", headers=(KEY,)),
            Ask("/stock/4"),
            Ask("/orders/7", headers=(host,)),
            Ask("/orders/7", headers=(("host", "other.example"), KEY)),
        ),
        tmp_path,
    )
    assert (orders.seen.path, orders.seen.headers["host"]) == ("/v1/7?x=1", ["127.0.0.1:9301"])
    assert orders.seen.headers["x-consumer-username"] == ["alice"]
    assert "x-api-key" not in orders.seen.headers
    assert old.seen.path == "/v1/legacy/12"
    assert (stock.seen.path, stock.seen.headers["host"]) == ("/4", ["stock-upstream"])
    assert stock.header("x-ratelimit-limit-minute") == "600"
    assert (stranger.status, nowhere.status) == (401, 404)
