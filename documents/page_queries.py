"""SQL that web clients need: all pages of a document at once, files that are there already, another extraction."""

from typing import NamedTuple

from db import Connection, Executor


class PageSizeRow(NamedTuple):
    page_number: int
    width: float
    height: float
    char_count: int


async def list_page_sizes(conn: Executor, *, document_id: int) -> list[PageSizeRow]:
    return await conn.fetch_all(
        PageSizeRow,
        """
        SELECT page_number, width, height, length(text)
          FROM pages WHERE document_id = %(document_id)s ORDER BY page_number
        """,
        {"document_id": document_id},
    )


class SameRow(NamedTuple):
    id: int
    filename: str


async def list_same(conn: Executor, *, user_id: int, sha256: str | None, except_id: int) -> list[SameRow]:
    """*user_id*'s other documents with these bytes, the newest first; at most ten."""
    return await conn.fetch_all(
        SameRow,
        """
        SELECT id, filename FROM documents
         WHERE user_id = %(user_id)s AND sha256 = %(sha256)s AND id <> %(except_id)s
         ORDER BY id DESC
         LIMIT 10
        """,
        {"user_id": user_id, "sha256": sha256, "except_id": except_id},
    )


async def restart_extraction(tx: Connection, *, document_id: int, node_id: int, password: str | None) -> bool:
    """Have *node_id* extract a document again; False if it is processing."""
    touched = await tx.execute(
        """
        UPDATE documents
           SET status = 'processing', node_id = %(node_id)s, password = coalesce(%(password)s, password),
               keep_failed = true, pages_read = 0, error_code = NULL, error_detail = NULL
         WHERE id = %(document_id)s AND status <> 'processing'
        """,
        {"document_id": document_id, "node_id": node_id, "password": password},
    )
    return touched == 1
