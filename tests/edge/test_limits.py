"""Rate limits: a moving window for each key, dropped when it has expired."""

import asyncio

import pytest

from edge.limits import Rate, RateLimiter
from errors import RateLimitedError


class Clock:
    """A clock that the test advances."""

    seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limiter(clock: Clock) -> RateLimiter:
    return RateLimiter(clock)


def hit(limiter: RateLimiter, rule: Rate, key: str = "alice", *, times: int = 1) -> None:
    for _ in range(times):
        asyncio.run(limiter.hit(rule, key))


def test_one_more_than_the_amount_is_refused(limiter: RateLimiter) -> None:
    rule = Rate("login", "3/minute")
    hit(limiter, rule, times=3)

    with pytest.raises(RateLimitedError) as refused:
        hit(limiter, rule)

    assert refused.value.retry_after == 60


def test_room_comes_back_hit_by_hit(limiter: RateLimiter, clock: Clock) -> None:
    rule = Rate("login", "2/minute")
    hit(limiter, rule)
    clock.seconds += 40
    hit(limiter, rule)
    clock.seconds += 25

    hit(limiter, rule)

    with pytest.raises(RateLimitedError) as refused:
        hit(limiter, rule)
    assert refused.value.retry_after == 35


def test_a_refused_hit_does_not_count(limiter: RateLimiter, clock: Clock) -> None:
    rule = Rate("login", "1/minute")
    hit(limiter, rule)
    for _ in range(5):
        clock.seconds += 10
        with pytest.raises(RateLimitedError):
            hit(limiter, rule)
    clock.seconds += 10

    hit(limiter, rule)


def test_each_key_and_each_rule_counts_on_its_own(limiter: RateLimiter) -> None:
    rule = Rate("login", "1/minute")
    hit(limiter, rule, "alice")

    hit(limiter, rule, "bob")
    hit(limiter, Rate("register", "1/minute"), "alice")


def test_off_is_no_limit(limiter: RateLimiter) -> None:
    hit(limiter, Rate("login", "off"), times=500)


def test_a_rate_of_zero_refuses_everything(limiter: RateLimiter) -> None:
    with pytest.raises(RateLimitedError) as refused:
        hit(limiter, Rate("login", "0/minute"))

    assert refused.value.retry_after == 60


def test_a_huge_rate_is_no_trouble(limiter: RateLimiter) -> None:
    hit(limiter, Rate("login", f"{10**30}/minute"), times=5)


def test_times_multiplies_the_amount(limiter: RateLimiter) -> None:
    rule = Rate("login-ip", "2/minute", times=6)
    hit(limiter, rule, times=12)

    with pytest.raises(RateLimitedError):
        hit(limiter, rule)


def test_expired_windows_are_dropped(limiter: RateLimiter, clock: Clock) -> None:
    rule = Rate("login", "10/minute")
    for number in range(1000):
        hit(limiter, rule, str(number))
    clock.seconds += 61

    hit(limiter, rule, times=10)
    clock.seconds += 61
    for number in range(500):
        hit(limiter, rule, f"new {number}")

    assert len(limiter._windows["login"]) == 500
