"""Portions of a conversation: which messages, and how large they are, before they are read."""

from typing import NamedTuple

from db import Executor, Prepared

# A range of the index: with "conv =" the planner may walk back through everybody's messages.
IN_PORTION = """
    (m.conv, m.id) > (%(conv)s::text, %(after_id)s::bigint) AND (m.conv, m.id) < (%(conv)s::text, %(before_id)s::bigint)
"""


class Portion(NamedTuple):
    """Messages between two users, oldest first: the latest before *before_id*, or the first after *after_id*."""

    user_id: int
    other_id: int
    before_id: int | None
    after_id: int | None
    limit: int

    @property
    def order(self) -> str:
        return "DESC" if self.after_id is None else "ASC"

    def as_params(self) -> dict[str, object]:
        low, high = sorted((self.user_id, self.other_id))
        return {
            "user_id": self.user_id,
            "conv": f"{low}:{high}",
            "after_id": self.after_id or 0,
            "before_id": self.before_id or 2**63 - 1,
            "limit": self.limit,
        }


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
    portion = Portion(user_id, other_id, before_id, after_id, limit)
    rows = await conn.fetch_all(
        MessageSize,
        Prepared(f"""
        SELECT m.id, octet_length(m.content)
          FROM messages m
         WHERE {IN_PORTION}
         ORDER BY m.conv {portion.order}, m.id {portion.order}
         LIMIT %(limit)s::bigint
        """),
        portion.as_params(),
    )
    return rows if after_id is not None else rows[::-1]
