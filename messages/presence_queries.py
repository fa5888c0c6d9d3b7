"""Every SQL statement about presence: who is online, and who wants to know."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from db import NODE_IS_GONE, Executor, Prepared
from delivery.queries import as_array


class _UserId(NamedTuple):
    user_id: int


class PresenceRow(NamedTuple):
    user_id: int
    is_online: bool
    last_seen_at: datetime | None


async def list_partners(conn: Executor, *, user_id: int, limit: int) -> list[int]:
    """The people *user_id* has a conversation with."""
    rows = await conn.fetch_all(
        _UserId,
        Prepared("""
        SELECT other_id FROM conversations
         WHERE user_id = %(user_id)s::bigint AND other_id <> %(user_id)s::bigint LIMIT %(limit)s::bigint
        """),
        {"user_id": user_id, "limit": limit},
    )
    return [row.user_id for row in rows]


async def set_online(conn: Executor, *, user_ids: Sequence[int], node_id: int) -> list[int]:
    """This node holds a socket of each of *user_ids*; return those for whom that is new."""
    rows = await conn.fetch_all(
        _UserId,
        """
        INSERT INTO presence (user_id, node_id)
        SELECT id, %(node_id)s FROM users WHERE id = ANY(%(user_ids)s::bigint[]) AND deleted_at IS NULL
        ON CONFLICT DO NOTHING RETURNING user_id
        """,
        {"user_ids": list(user_ids), "node_id": node_id},
    )
    return [row.user_id for row in rows]


async def set_offline(conn: Executor, *, user_id: int, node_id: int) -> bool:
    """This node holds no socket of *user_id* any more; False if that was known."""
    touched = await conn.execute(
        """
        WITH gone AS (
            DELETE FROM presence WHERE user_id = %(user_id)s AND node_id = %(node_id)s RETURNING user_id
        )
        INSERT INTO mailboxes (user_id, last_seen_at) SELECT user_id, now() FROM gone
        ON CONFLICT (user_id) DO UPDATE SET last_seen_at = now()
        """,
        {"user_id": user_id, "node_id": node_id},
    )
    return touched == 1


async def drop_absent(conn: Executor, *, user_ids: Sequence[int], node_id: int) -> list[int]:
    """Delete the presence that this node has stored for others than *user_ids*; return its users."""
    rows = await conn.fetch_all(
        _UserId,
        "DELETE FROM presence WHERE node_id = %(node_id)s AND user_id <> ALL(%(user_ids)s::bigint[]) RETURNING user_id",
        {"user_ids": list(user_ids), "node_id": node_id},
    )
    return [row.user_id for row in rows]


async def list_presence(conn: Executor, *, user_ids: Sequence[int]) -> list[PresenceRow]:
    return await conn.fetch_all(
        PresenceRow,
        Prepared(f"""
        SELECT u.id, EXISTS (SELECT 1 FROM presence WHERE user_id = u.id AND NOT {NODE_IS_GONE}), m.last_seen_at
          FROM unnest(%(user_ids)s::bigint[]) AS u (id)
          LEFT JOIN mailboxes m ON m.user_id = u.id
        """),
        {"user_ids": as_array(user_ids)},
    )


async def drop_dead_presence(conn: Executor) -> list[int]:
    """Delete the presence that dead nodes stored; return its users."""
    rows = await conn.fetch_all(
        _UserId,
        Prepared(f"""
        WITH gone AS (
            DELETE FROM presence WHERE {NODE_IS_GONE} RETURNING user_id
        )
        INSERT INTO mailboxes (user_id, last_seen_at) SELECT DISTINCT user_id, now() FROM gone ORDER BY user_id
        ON CONFLICT (user_id) DO UPDATE SET last_seen_at = now()
        RETURNING user_id
        """),
    )
    return [row.user_id for row in rows]
