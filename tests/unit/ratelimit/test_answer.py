from __future__ import annotations

from envoy.service.ratelimit.v3 import rls_pb2

from meshgate.model.policy import Limits, RateLimit
from meshgate.ratelimit.answer import PASS, Verdict, WindowUse, encode, kong_headers, speaker
from meshgate.ratelimit.windows import Window

RULE = RateLimit(rule_id="r", limits=Limits(minute=5, hour=100))
HIDDEN = RateLimit(
    rule_id="h", limits=Limits(minute=5), hide_client_headers=True, error_code=403, error_message="No."
)
NOW = 1_000_000.75


def verdict(
    minute_used: int, hour_used: int = 0, *, accepted: bool = True, rule: RateLimit = RULE, ends_in: int = 30
) -> Verdict:
    minute = WindowUse(Window.MINUTE, 5, minute_used, 1_000_000 + ends_in)
    return Verdict(rule, (minute, WindowUse(Window.HOUR, 100, hour_used, 1_003_000)), accepted)


def test_accepted() -> None:
    assert kong_headers(verdict(1, 10), NOW) == [
        ("X-RateLimit-Limit-Minute", "5"),
        ("X-RateLimit-Remaining-Minute", "3"),
        ("X-RateLimit-Limit-Hour", "100"),
        ("X-RateLimit-Remaining-Hour", "89"),
        ("RateLimit-Limit", "5"),
        ("RateLimit-Remaining", "3"),
        ("RateLimit-Reset", "30"),
    ]


def test_refused_uses_nothing_up_and_says_when_to_come_back() -> None:
    headers = dict(kong_headers(verdict(5, 10, accepted=False), NOW))
    assert headers["X-RateLimit-Remaining-Minute"] == "0"
    assert headers["X-RateLimit-Remaining-Hour"] == "90"
    assert headers["RateLimit-Remaining"] == "0"
    assert headers["Retry-After"] == headers["RateLimit-Reset"] == "30"


def test_the_longer_window_wins_a_tie() -> None:
    headers = dict(kong_headers(verdict(5, 100, accepted=False), NOW))
    assert (headers["RateLimit-Limit"], headers["RateLimit-Reset"]) == ("100", "3000")


def test_a_lowered_limit_never_gives_a_negative_remainder() -> None:
    assert dict(kong_headers(verdict(9, accepted=False), NOW))["X-RateLimit-Remaining-Minute"] == "0"


def test_the_reset_is_at_least_a_second() -> None:
    assert dict(kong_headers(verdict(1, ends_in=0), NOW))["RateLimit-Reset"] == "1"


def test_hidden_headers_hide_retry_after_too() -> None:
    assert kong_headers(verdict(5, accepted=False, rule=HIDDEN), NOW) == []


def test_a_refusal_carries_what_the_local_reply_needs() -> None:
    message = rls_pb2.RateLimitResponse.FromString(encode(verdict(5, accepted=False, rule=HIDDEN), NOW))
    assert message.overall_code == rls_pb2.RateLimitResponse.OVER_LIMIT
    assert dict(message.dynamic_metadata) == {"rule": "h", "code": "403", "message": "No."}
    assert not message.raw_body


def test_passing_without_a_rule_says_ok() -> None:
    assert rls_pb2.RateLimitResponse.FromString(PASS).overall_code == rls_pb2.RateLimitResponse.OK


def test_of_several_rules_the_exceeded_one_speaks_else_the_tightest() -> None:
    roomy, tight = verdict(0), verdict(3)
    assert speaker([roomy, tight]) is tight
    full, near = verdict(5, accepted=False), verdict(4, accepted=False)
    assert speaker([near, full]) is full
