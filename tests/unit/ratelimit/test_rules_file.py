from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from meshgate.core.secret import Secret
from meshgate.model.policy import ConsumerLimits, LimitBy, Limits, LimitStore, RateLimit, RedisTarget
from meshgate.ratelimit.rules_file import parse, serialise, write_rules
from meshgate.stores.settings_file import SettingsError

text = st.text(max_size=12)
counts = st.none() | st.integers(1, 2**53)
limits = st.builds(Limits, second=counts, minute=counts, year=counts, hour=st.integers(1, 2**53))
targets = st.builds(
    RedisTarget,
    host=text.map(lambda name: f"h{name}"),
    port=st.integers(1, 65535),
    username=text,
    password=st.none() | text.map(Secret.of),
    ssl=st.booleans(),
    server_name=text,
)
rules = st.builds(
    RateLimit,
    rule_id=text.map(lambda name: f"r{name}"),
    limits=limits,
    limit_by=st.sampled_from(LimitBy),
    store=st.sampled_from(LimitStore),
    redis=targets,
    error_message=text,
    error_code=st.integers(100, 599),
    consumer_limits=st.lists(st.builds(ConsumerLimits, consumer_id=text, limits=limits), max_size=3).map(
        tuple
    ),
)


@given(st.lists(rules, unique_by=lambda rule: rule.rule_id, max_size=4))
def test_what_is_written_is_read(given_rules: list[RateLimit]) -> None:
    assert dict(parse(serialise(given_rules))) == {rule.rule_id: rule for rule in given_rules}


def document(**changes: object) -> str:
    rule = {"rule_id": "r", "limits": {"minute": 5}, **changes}
    return json.dumps({"format": 1, "rules": [rule]})


def test_defaults_are_kongs() -> None:
    (rule,) = parse(document()).values()
    assert rule == RateLimit(rule_id="r", limits=Limits(minute=5))
    assert (rule.limit_by, rule.store, rule.fault_tolerant) == (LimitBy.CONSUMER, LimitStore.LOCAL, True)
    assert (rule.error_code, rule.error_message) == (429, "API rate limit exceeded")


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "list named rules"),
        ('{"format": 2, "rules": []}', "format must be 1"),
        (document(limits={}), r"rules\[0\].limits: at least one"),
        (document(limits={"minute": 0}), r"limits.minute: must be a whole number"),
        (document(limits={"minute": True}), r"limits.minute"),
        (document(limits={"week": 3, "day": 1}), "unknown field 'week'"),
        (document(limit_by="moon"), "limit_by or store"),
        (document(store="redis"), "redis: required"),
        (document(store="redis", redis={}), "host: must be a string"),
        (document(redis={"host": "h", "password": 5}), "password: must be a string"),
        (document(error_code=99), "error_code"),
        (document(rule_id=""), "must not be empty"),
        (document(consumer_limits={}), "must be a list"),
        (
            document(consumer_limits=[{"consumer_id": "c", "limits": {}}]),
            r"consumer_limits\[0\].limits: at least one",
        ),
        (json.dumps({"format": 1, "rules": [{"rule_id": "r", "limits": {"day": 1}}] * 2}), "used twice"),
    ],
)
def test_broken_files_say_where(broken: str, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        parse(broken)


def test_a_broken_file_never_shows_a_password() -> None:
    with pytest.raises(SettingsError) as caught:
        parse(document(redis={"host": "h", "password": "s3cret", "port": "s3cret"}))
    assert "s3cret" not in str(caught.value)
    assert "s3cret" not in repr(caught.value.__cause__)


def test_the_file_is_private_and_replaced_in_one_step(tmp_path: Path) -> None:
    path = tmp_path / "rules.json"
    secret = RedisTarget(host="h", password=Secret.of("s3cret"))
    write_rules(path, [RateLimit(rule_id="a", limits=Limits(day=1), store=LimitStore.REDIS, redis=secret)])
    before = path.stat()
    assert stat.S_IMODE(before.st_mode) == 0o600
    write_rules(path, [RateLimit(rule_id="a", limits=Limits(day=1), store=LimitStore.REDIS, redis=secret)])
    assert path.stat() == before, "what says the same is left alone: nobody needs to read it again"
    write_rules(path, [RateLimit(rule_id="b", limits=Limits(day=1))])
    assert path.stat().st_ino != before.st_ino
    assert list(parse(path.read_bytes())) == ["b"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["rules.json"], "nothing left behind"


def test_rules_show_no_password() -> None:
    rule = RateLimit(
        rule_id="a", limits=Limits(day=1), redis=RedisTarget(host="h", password=Secret.of("s3cret"))
    )
    assert "s3cret" not in repr(rule)


def test_a_rule_that_several_routes_share_is_written_once() -> None:
    rule = RateLimit(rule_id="a", limits=Limits(day=1))
    assert dict(parse(serialise([rule, rule]))) == {"a": rule}
