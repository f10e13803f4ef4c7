"""What is lent to gateways: never more than the limit, and to those who are asked for it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from meshgate.model.policy import ConsumerLimits, Limits, LimitStore, RateLimit
from meshgate.ratelimit.quota import Lease, Quota
from meshgate.ratelimit.quota_book import IDLE_S, LEASE_S, QuotaBook, Usage
from meshgate.ratelimit.windows import Calendar, Window
from tests.unit.ratelimit.asking import NOON
from tests.unit.ratelimit.quota_simulation import BUCKET, Gateway, Simulation

SPANS = Calendar().spans(NOON)
MINUTE = ((Window.MINUTE, 100),)


def simulation(limits: Limits, phases: list[float], delay_s: float = 0.002) -> Simulation:
    gateways = [Gateway(name="", first_report_s=phase) for phase in phases]
    return Simulation(limits=limits, delay_s=delay_s, gateways=gateways)


@settings(max_examples=60)
@given(
    st.builds(Limits, minute=st.integers(1, 40), hour=st.none() | st.integers(1, 90)),
    st.lists(st.floats(0, 5), min_size=1, max_size=3),
    st.floats(0, 0.3),
    st.lists(
        st.tuples(st.floats(0, 140), st.integers(0, 2), st.integers(1, 30), st.floats(0.001, 2)), max_size=25
    ),
)
def test_no_more_passes_than_the_limit_and_what_was_on_its_way(
    limits: Limits, phases: list[float], delay_s: float, bursts: list[tuple[float, int, int, float]]
) -> None:
    """Bursts at any gateway and any time, across the ends of minutes and of an hour."""
    world = simulation(limits, phases, delay_s)
    requests = [
        (start + n * pause, gateway % len(phases))
        for start, gateway, count, pause in bursts
        for n in range(count)
    ]
    world.run(requests, 220)
    most = {Window(name): limit for name, limit in limits.windows()}
    for key, count in world.let.items():
        assert count <= most[key[0]] + world.unlent[key]


def test_steady_traffic_gets_what_the_limit_gives() -> None:
    """Two gateways are asked for four times the limit: it is used up, and not exceeded."""
    world = simulation(Limits(minute=60), [1.0, 3.3])
    world.run([(n / 2 + gateway / 7, gateway) for n in range(380) for gateway in (0, 1)], 189)
    whole = [count for (_, start), count in world.let.items() if start.minute != 58]
    # What was not reported when the first minute ended counts for the second: five seconds' worth.
    assert 40 <= whole[0] <= 60
    assert whole[1:] == [60, 60]


def test_one_gateway_alone_gets_all_at_once() -> None:
    quota = Quota(MINUTE)
    assert quota.report("a", 1, 0, 0.0, 1) == {"a": Lease(99, 1)}
    assert quota.report("a", 50, 0, 5.0, 1) == {"a": Lease(99, 1)}, "it keeps what is left of it"


def test_gateways_that_have_not_come_yet_are_thought_of() -> None:
    quota = Quota(MINUTE)
    assert quota.report("a", 1, 0, 0.0, 2)["a"].requests == 50
    assert quota.report("b", 1, 0, 0.1, 2)["b"].requests == 48


def test_what_one_does_not_use_goes_to_who_was_refused() -> None:
    quota = Quota(MINUTE)
    quota.report("a", 0, 1, 0.0, 2)
    quota.report("b", 0, 1, 0.1, 2)
    quota.report("a", 50, 40, 5.0, 2)
    leases = quota.report("b", 0, 0, 5.1, 2)
    assert leases["b"].requests == 2, "a twentieth, for whoever comes"
    assert leases["a"].requests >= 48


def test_a_new_window_is_lent_at_once() -> None:
    quota = Quota(MINUTE)
    quota.roll(SPANS, 1)
    quota.report("a", 1, 0, 0.0, 1)
    quota.report("a", 99, 20, 5.0, 1)
    assert quota.is_used_up
    later = Calendar().spans(NOON.replace(minute=31))
    assert quota.roll(later, 1)["a"].requests == 100
    assert not quota.roll(later, 1), "once is enough"


def test_the_longer_window_goes_on() -> None:
    quota = Quota(((Window.MINUTE, 10), (Window.HOUR, 12)))
    quota.roll(SPANS, 1)
    quota.report("a", 1, 0, 0.0, 1)
    later = Calendar().spans(NOON.replace(minute=31))
    # Of the nine that were lent all may have been used by now.
    assert quota.roll(later, 1)["a"].requests == 2
    assert quota.report("a", 0, 0, 5.0, 1)["a"].requests == 10, "none was"


def book(*rules: RateLimit) -> QuotaBook:
    found = QuotaBook()
    found.replace_rules({rule.rule_id: rule for rule in rules})
    return found


def rule(**more: object) -> RateLimit:
    return RateLimit(rule_id="r", limits=Limits(minute=100), store=LimitStore.QUOTA, **more)  # type: ignore[arg-type]


def test_consumers_with_limits_of_their_own() -> None:
    gold = ConsumerLimits(consumer_id="gold", limits=Limits(minute=500, second=1))
    lender = book(rule(consumer_limits=(gold,)))
    gateway = lender.join()
    bucket = frozenset({("rule", "r"), ("consumer", "gold")})
    orders = lender.report(gateway, [Usage(bucket, 1, 0)], 0.0, SPANS)
    assert orders.of == {gateway: {bucket: Lease(499, 1)}}


def test_a_gateway_that_comes_again_has_what_it_had() -> None:
    lender = book(rule())
    first = lender.join()
    lender.report(first, [Usage(BUCKET, 1, 0)], 0.0, SPANS)
    lender.leave(first, 1.0)
    assert lender.join() == first
    assert lender.report(first, [Usage(BUCKET, 9, 0)], 2.0, SPANS).of[first][BUCKET] == Lease(99, 1)


def test_what_a_vanished_gateway_holds_comes_back_when_its_lease_has_ended() -> None:
    lender = book(rule())
    one, two = lender.join(), lender.join()
    lender.report(one, [Usage(BUCKET, 1, 0)], 0.0, SPANS)
    lender.leave(one, 1.0)
    assert lender.report(two, [Usage(BUCKET, 1, 0)], 2.0, SPANS).of[two][BUCKET] == Lease(48, 2)
    lender.roll(1.0 + LEASE_S, SPANS)
    orders = lender.report(two, [Usage(BUCKET, 40, 0)], 20.0, SPANS)
    assert orders.of[two][BUCKET] == Lease(57, 3), "one is held back for what may be on its way"


def test_buckets_that_nobody_uses_are_forgotten_but_for_those_that_are_full() -> None:
    lender = book(rule())
    gateway = lender.join()
    lender.report(gateway, [Usage(BUCKET, 1, 0)], 0.0, SPANS)
    assert lender.report(gateway, [Usage(BUCKET, 0, 0)], IDLE_S, SPANS).of[gateway] == {BUCKET: None}
    lender.report(gateway, [Usage(BUCKET, 99, 0)], 100.0, SPANS)
    assert lender.report(gateway, [Usage(BUCKET, 0, 0)], 300.0, SPANS).of[gateway][BUCKET] is not None
    assert len(lender) == 1
    lender.report(gateway, [Usage(BUCKET, 0, 0)], 300.0, SPANS)
    later = Calendar().spans(NOON.replace(minute=31))
    lender.roll(301.0, later)
    lender.report(gateway, [Usage(BUCKET, 0, 0)], 302.0, later)
    lender.roll(303.0, Calendar().spans(NOON.replace(minute=32)))
    assert len(lender) == 0


def test_rules_that_are_gone_and_rules_that_changed() -> None:
    lender = book(rule())
    gateway = lender.join()
    lender.report(gateway, [Usage(BUCKET, 10, 0)], 0.0, SPANS)
    lender.replace_rules({"r": RateLimit(rule_id="r", limits=Limits(minute=20), store=LimitStore.QUOTA)})
    assert lender.report(gateway, [Usage(BUCKET, 5, 0)], 5.0, SPANS).of[gateway][BUCKET] == Lease(4, 2)
    lender.replace_rules({})
    assert lender.report(gateway, [Usage(BUCKET, 5, 0)], 10.0, SPANS).of[gateway] == {BUCKET: None}
