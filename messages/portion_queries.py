"""How large the messages of a conversation are, before they are read."""

from typing import NamedTuple

from db import Executor, Prepared


class MessageSize(NamedTuple):
    id: int
    byte_count: int


async def list_message_sizes(
    conn: Executor,
    *,
    user_id: int,
    other_id: int,
    before_id: int | None = None,
    after_id: int | None = None,
    limit: int,
) -> list[MessageSize]:
    """Of the messages that `list_conversation` returns, in its order."""
    low, high = sorted((user_id, other_id))
    order = "DESC" if after_id is None else "ASC"
    rows = await conn.fetch_all(
        MessageSize,
        Prepared(f"""
        SELECT m.id, octet_length(m.content)
          FROM messages m
         WHERE (m.conv, m.id) > (%(conv)s::text, %(after_id)s::bigint)
           AND (m.conv, m.id) < (%(conv)s::text, %(before_id)s::bigint)
         ORDER BY m.conv {order}, m.id {order}
         LIMIT %(limit)s::bigint
        """),
        {
            "conv": f"{low}:{high}",
            "after_id": after_id or 0,
            "before_id": before_id or 2**63 - 1,
            "limit": limit,
        },
    )
    return rows if after_id is not None else rows[::-1]
