"""Rate limits in Redis: one moving window for all nodes, for keys that nobody can read there."""

from collections.abc import AsyncIterator

import pytest

from edge.limits import Rate
from edge.redis_client import RedisClient
from edge.redis_limits import RedisHits
from errors import RateLimitedError
from support.redis import RedisServer

pytestmark = pytest.mark.anyio


@pytest.fixture
async def client(redis_server: RedisServer) -> AsyncIterator[RedisClient]:
    redis_server.ask("FLUSHALL")
    opened = RedisClient(redis_server.url, prefix="pagewire_test")
    yield opened
    await opened.close()


def count_on(client: RedisClient) -> RedisHits:
    return RedisHits(client, hide=lambda key: f"hidden {len(key)}")


async def is_refused(hits: RedisHits, rule: Rate, key: str = "alice") -> bool:
    try:
        await hits.hit(rule, key)
    except RateLimitedError as error:
        return 0 < (error.retry_after or 0) <= 60
    return False


async def test_two_nodes_count_together(client: RedisClient) -> None:
    rule = Rate("login", "3/minute")
    here, there = count_on(client), count_on(client)

    assert [await is_refused(hits, rule) for hits in (here, there, here, there)] == [False, False, False, True]


async def test_keys_and_rules_are_counted_apart(client: RedisClient) -> None:
    hits = count_on(client)
    await hits.hit(Rate("login", "1/minute"), "alice")

    await hits.hit(Rate("login", "1/minute"), "alexander")
    await hits.hit(Rate("message", "1/minute"), "alice")


async def test_what_is_off_is_not_counted(client: RedisClient, redis_server: RedisServer) -> None:
    await count_on(client).hit(Rate("login", "off"), "alice")

    assert redis_server.ask("DBSIZE") == 0


async def test_a_typed_name_cannot_be_read_in_redis(client: RedisClient, redis_server: RedisServer) -> None:
    await count_on(client).hit(Rate("login", "3/minute"), "a password, typed as a name")

    (key,) = redis_server.ask("KEYS", "*")
    assert b"password" not in key


@pytest.mark.parametrize("state", ["dead", "frozen"])
async def test_while_redis_is_away_nothing_is_refused_and_nobody_waits_twice(state: str) -> None:
    own = RedisServer().start()
    client = RedisClient(own.url, prefix="pagewire_test")
    hits, rule = count_on(client), Rate("login", "1/minute")
    await hits.hit(rule, "alice")
    try:
        if state == "dead":
            own.kill()
            assert [await is_refused(hits, rule) for _ in range(1000)] == [False] * 1000
        else:
            with own.frozen():  # a thousand that waited would take minutes
                assert [await is_refused(hits, rule) for _ in range(1000)] == [False] * 1000
    finally:
        await client.close()
        own.stop()
