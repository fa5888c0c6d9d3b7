"""SQL of rate limits that hold across nodes."""

from typing import NamedTuple

from db import Executor, Prepared


class HitRow(NamedTuple):
    is_counted: bool
    free_in: float | None  # seconds until there is room again; None for a key that was new


# The row's lock orders hits of one key from any node. Its last *amount* hits are kept: with the oldest of them out of the
# window there is room for one more.
_HIT = Prepared("""
    WITH clock AS (
        SELECT (extract(epoch FROM now()) * 1000)::bigint AS now, (%(seconds)s::float8 * 1000)::bigint AS width
    ), counted AS (
        INSERT INTO rate_hits AS r (key, hits, expires_at)
        SELECT %(key)s::text, ARRAY[clock.now], now() + %(seconds)s::float8 * interval '1 second' FROM clock
            ON CONFLICT (key) DO UPDATE
           SET hits = r.hits[cardinality(r.hits) - %(amount)s::integer + 2 :] || excluded.hits,
               expires_at = excluded.expires_at
         WHERE cardinality(r.hits) < %(amount)s::integer
            OR r.hits[cardinality(r.hits) - %(amount)s::integer + 1] + (SELECT width FROM clock) <= excluded.hits[1]
        RETURNING 1
    )
    SELECT EXISTS (SELECT 1 FROM counted),
           (SELECT (hits[cardinality(hits) - %(amount)s::integer + 1] + clock.width - clock.now) / 1000.0::float8
              FROM rate_hits, clock WHERE key = %(key)s::text)
""")


async def hit(conn: Executor, *, key: str, amount: int, seconds: float) -> HitRow:
    """Count one hit of *key*, unless it has had *amount* of them in the last so many seconds."""
    row = await conn.fetch_one(HitRow, _HIT, {"key": key, "amount": amount, "seconds": seconds})
    assert row is not None
    return row


async def forget_hits(conn: Executor) -> None:
    """Delete the keys whose windows have passed."""
    await conn.execute("DELETE FROM rate_hits WHERE expires_at < now()")
