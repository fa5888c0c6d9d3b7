"""Every SQL statement about whom a document is shared with; it is shared by a message (messages/attachment_queries.py)."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from db import Connection, Executor
from delivery.attachments import READERS
from delivery.queries import lock_mailboxes


class ShareRow(NamedTuple):
    user_id: int
    name: str
    created_at: datetime


_SHARES = """
    SELECT s.user_id, u.name, s.created_at FROM document_shares s JOIN users u ON u.id = s.user_id
     WHERE s.document_id = %(document_id)s
"""


async def list_shares(conn: Executor, *, document_id: int, after_id: int = 0, limit: int) -> list[ShareRow]:
    """Whom the document is shared with, by id."""
    return await conn.fetch_all(
        ShareRow,
        f"{_SHARES} AND s.user_id > %(after_id)s ORDER BY s.user_id LIMIT %(limit)s",
        {"document_id": document_id, "after_id": after_id, "limit": limit},
    )


async def find_share(conn: Executor, *, document_id: int, user_id: int) -> ShareRow | None:
    return await conn.fetch_one(
        ShareRow,
        f"{_SHARES} AND s.user_id = %(user_id)s",
        {"document_id": document_id, "user_id": user_id},
    )


async def delete_share(tx: Connection, *, document_id: int, user_id: int) -> bool:
    """False if the document was not shared with *user_id*."""
    deleted = await tx.execute(
        "DELETE FROM document_shares WHERE document_id = %(document_id)s AND user_id = %(user_id)s",
        {"document_id": document_id, "user_id": user_id},
    )
    return deleted == 1


async def update_sort_keys(tx: Connection, *, document_id: int) -> None:
    """Sort a document's shares as it is now: it has another name, or was extracted.

    Whoever shares it must wait meanwhile: the document is locked (`lock_document`) or its owner's mailbox is.
    """
    await tx.execute(
        """
        UPDATE document_shares s SET name_key = d.name_key, page_count = d.page_count, file_size = d.file_size
          FROM documents d
         WHERE d.id = %(document_id)s AND s.document_id = d.id
        """,
        {"document_id": document_id},
    )


class _Reader(NamedTuple):
    document_id: int
    user_id: int


async def lock_readers(
    tx: Connection, *, document_ids: Collection[int], others: Collection[int] = ()
) -> dict[int, list[int]]:
    """The owner and everybody each document is shared with, their mailboxes locked: to notify them of it. The mailboxes of
    *others* are locked with them.

    Whom it is shared with meanwhile is among them: who shares it locks the owner's mailbox first.
    """
    people = {row.user_id for row in await _list_readers(tx, document_ids)}
    await lock_mailboxes(tx, user_ids=people.union(others))
    readers: dict[int, list[int]] = {document_id: [] for document_id in document_ids}
    for row in await _list_readers(tx, document_ids):
        readers[row.document_id].append(row.user_id)
    return readers


async def _list_readers(tx: Connection, document_ids: Collection[int]) -> list[_Reader]:
    return await tx.fetch_all(
        _Reader,
        f"""
        SELECT document_id, user_id FROM {READERS} AS r WHERE document_id = ANY(%(document_ids)s::bigint[])
         ORDER BY user_id
        """,
        {"document_ids": list(document_ids)},
    )


class OwnedFile(NamedTuple):
    id: int
    file_path: str


async def list_owned_files(conn: Executor, *, user_id: int) -> list[OwnedFile]:
    return await conn.fetch_all(
        OwnedFile, "SELECT id, file_path FROM documents WHERE user_id = %(id)s ORDER BY id FOR UPDATE", {"id": user_id}
    )


async def delete_shares_with(conn: Executor, *, user_id: int) -> None:
    await conn.execute("DELETE FROM document_shares WHERE user_id = %(id)s", {"id": user_id})
