"""Rate limits in PostgreSQL: the same moving window as in memory, for keys that nobody can read there."""

from collections.abc import AsyncIterator

import pytest

from db import Database
from edge.limits import Rate
from edge.shared_limits import MOST_SHARED, SharedHits
from errors import RateLimitedError
from support.databases import TestDatabase

pytestmark = pytest.mark.anyio


@pytest.fixture
async def hits(tables: TestDatabase) -> AsyncIterator[SharedHits]:
    tables.query("DELETE FROM rate_hits")
    database = Database(tables.keywords, size=2)
    yield SharedHits(database, hide=lambda key: f"hidden {len(key)}")
    await database.close()


def pass_time(tables: TestDatabase, seconds: int) -> None:
    tables.query(
        "UPDATE rate_hits SET expires_at = expires_at - %s * interval '1 second', "
        "hits = ARRAY(SELECT hit - %s * 1000 FROM unnest(hits) WITH ORDINALITY AS h (hit, place) ORDER BY place)",
        seconds,
        seconds,
    )


async def refusal(hits: SharedHits, rule: Rate, key: str = "alice") -> int | None:
    """When there is room again, in seconds; None if there is."""
    try:
        await hits.hit(rule, key)
    except RateLimitedError as error:
        return error.retry_after
    return None


async def test_one_more_than_the_amount_is_refused(hits: SharedHits) -> None:
    rule = Rate("login", "3/minute")

    assert [await refusal(hits, rule) for _ in range(4)] == [None, None, None, 60]


async def test_room_comes_back_hit_by_hit_and_a_refused_one_does_not_count(
    hits: SharedHits, tables: TestDatabase
) -> None:
    rule = Rate("login", "2/minute")
    await hits.hit(rule, "alice")
    pass_time(tables, 40)
    await hits.hit(rule, "alice")

    assert await refusal(hits, rule) == 20
    pass_time(tables, 25)
    assert [await refusal(hits, rule) for _ in range(2)] == [None, 35]


async def test_each_key_and_each_rule_counts_on_its_own(hits: SharedHits) -> None:
    await hits.hit(Rate("login", "1/minute"), "alice")

    assert await refusal(hits, Rate("login", "1/minute"), "bob") is None
    assert await refusal(hits, Rate("register", "1/minute")) is None


async def test_a_lower_limit_holds_at_once(hits: SharedHits) -> None:
    for _ in range(5):
        await hits.hit(Rate("login", "5/minute"), "alice")

    assert await refusal(hits, Rate("login", "2/minute")) == 60


@pytest.mark.parametrize("rate", ["off", f"{MOST_SHARED + 1}/minute", f"{10**30}/minute"])
async def test_what_limits_nothing_is_not_stored(hits: SharedHits, tables: TestDatabase, rate: str) -> None:
    await hits.hit(Rate("login", rate), "alice")

    assert tables.query("SELECT 1 FROM rate_hits") == []


async def test_a_key_is_stored_as_what_hides_it(hits: SharedHits, tables: TestDatabase) -> None:
    await hits.hit(Rate("login", "5/minute"), "my password")

    assert tables.query("SELECT key FROM rate_hits") == [("hidden 17",)]


async def test_a_row_keeps_no_more_hits_than_count(hits: SharedHits, tables: TestDatabase) -> None:
    rule = Rate("login", "3/minute")
    for _ in range(9):
        await hits.hit(rule, "alice")
        pass_time(tables, 21)

    assert tables.query("SELECT cardinality(hits) FROM rate_hits") == [(3,)]


async def test_keys_whose_windows_have_passed_are_swept(hits: SharedHits, tables: TestDatabase) -> None:
    await hits.hit(Rate("login", "3/minute"), "somebody else")
    pass_time(tables, 61)
    await hits.hit(Rate("login", "3/minute"), "alice")

    await hits.sweep()

    assert tables.query("SELECT key FROM rate_hits") == [("hidden 11",)]
