"""Every SQL statement about what users store, and how long what failed is kept."""

from typing import NamedTuple

from db import Connection


class _Bytes(NamedTuple):
    value: int


async def count_stored_bytes(tx: Connection, *, user_id: int) -> int:
    """What *user_id* stores, with the changes of this transaction; others of this user wait until it ends."""
    await tx.execute("SET CONSTRAINTS documents_count_bytes IMMEDIATE")
    row = await tx.fetch_one(_Bytes, "SELECT stored_bytes FROM users WHERE id = %(user_id)s", {"user_id": user_id})
    return 0 if row is None else row.value


class ExpiredDocument(NamedTuple):
    id: int
    file_path: str


async def lock_expired(tx: Connection, *, days: int, limit: int) -> list[ExpiredDocument]:
    """Documents that failed so many *days* ago; not those that another node has locked."""
    return await tx.fetch_all(
        ExpiredDocument,
        """
        SELECT id, file_path FROM documents
         WHERE status = 'failed' AND failed_at < now() - make_interval(days => %(days)s)
         ORDER BY failed_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        """,
        {"days": days, "limit": limit},
    )
