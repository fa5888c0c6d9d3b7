"""Every SQL statement that keeps what was extracted once: documents that have the pages of another one.

`documents.copy_of` names the document whose pages, tables and rows of page_search it has; it is NULL for what is its own.
A document with copies hands them its content before it is deleted or extracted again (schema.sql).
"""

from collections.abc import Sequence
from typing import NamedTuple

from db import Connection, Executor
from delivery.attachments import may_read
from index.queries import get_name_vector, put_copy


class _Source(NamedTuple):
    id: int
    content_id: int  # the document that has its pages


class _OwnerId(NamedTuple):
    user_id: int


class _Id(NamedTuple):
    id: int


_SOURCE = "s.id, coalesce(s.copy_of, s.id)"


async def hand_over_content(tx: Connection, *, document_ids: Sequence[int]) -> None:
    """Give what others share with these documents to one of the others; called before all of these are deleted.

    The documents are locked, and no mailboxes yet: this locks the copies.
    """
    await tx.execute("SELECT hand_over_content(%(ids)s::bigint[])", {"ids": list(document_ids)})


async def clear_content(tx: Connection, *, document_id: int) -> None:
    """Leave a document without pages, tables and rows of the index; those who share them keep them."""
    params = {"document_id": document_id}
    await hand_over_content(tx, document_ids=[document_id])
    await tx.execute(
        "UPDATE documents SET copy_of = NULL, names = NULL WHERE id = %(document_id)s AND copy_of IS NOT NULL", params
    )
    for table in ("pages", "page_search", "document_tables"):
        await tx.execute(f"DELETE FROM {table} WHERE document_id = %(document_id)s", params)


async def copy_extraction(tx: Connection, *, document_id: int, node_id: int, reader_version: int) -> int | None:
    """Share what *reader_version* extracted from another document of the same bytes; return the owner of the copy.

    None if there is no such document that this owner may read, or if *node_id* has lost this one: an upload that was
    answered sooner would tell that somebody has the file. An encrypted file must have come with the same password.
    """
    source = await _hold_source(tx, document_id=document_id, reader_version=reader_version)
    if source is None:
        return None
    params = {"document_id": document_id, "node_id": node_id, **source._asdict()}
    row = await tx.fetch_one(
        _OwnerId,
        """
        UPDATE documents d
           SET status = 'ready', node_id = NULL, reader_version = s.reader_version, page_count = s.page_count,
               tables_found = s.tables_found, metadata = s.metadata, encrypted = s.encrypted, warnings = s.warnings,
               sealed_password = CASE WHEN s.encrypted THEN d.sealed_password END,
               notes = s.notes, extracted_text = s.extracted_text, extracted_bytes = s.extracted_bytes
          FROM documents s
         WHERE s.id = %(id)s
           AND d.id = %(document_id)s AND d.node_id = %(node_id)s AND d.status = 'processing'
        RETURNING d.user_id
        """,
        params,
    )
    if row is None:
        return None
    await clear_content(tx, document_id=document_id)
    await tx.execute("UPDATE documents SET copy_of = %(content_id)s WHERE id = %(document_id)s", params)
    await put_copy(tx, document_id=document_id, names=await get_name_vector(tx, document_id=document_id))
    return row.user_id


async def _hold_source(tx: Connection, *, document_id: int, reader_version: int) -> _Source | None:
    """A document to copy from. The one that has its pages neither changes nor goes until *tx* ends."""
    params: dict[str, object] = {"document_id": document_id, "reader_version": reader_version}
    found = await tx.fetch_one(
        _Source,
        f"""
        SELECT {_SOURCE}
          FROM documents d
          JOIN documents s ON s.sha256 = d.sha256 AND s.status = 'ready' AND s.reader_version = %(reader_version)s
           AND (NOT s.encrypted OR s.sealed_password IS NOT DISTINCT FROM d.sealed_password)
         WHERE d.id = %(document_id)s AND {may_read("d.user_id", "s.id")}
         ORDER BY s.filename = d.filename DESC, s.id
         LIMIT 1
        """,
        params,
    )
    if found is None:
        return None
    await tx.execute("SELECT FROM documents WHERE id = %(id)s FOR SHARE", {"id": found.content_id})
    held = await tx.fetch_one(  # only now: it may have been handed over, extracted again or deleted meanwhile
        _Source,
        f"""
        SELECT {_SOURCE} FROM documents s
         WHERE id = %(id)s AND status = 'ready' AND reader_version = %(reader_version)s
        """,
        {**params, "id": found.id},
    )
    return found if held == found else None


# Documents of several people that turned out to be the same


class Twins(NamedTuple):
    id: int
    twin_id: int  # the later one


async def list_twins(conn: Executor, *, limit: int) -> list[Twins]:
    """Documents of the same bytes, extracted by the same reader, that both have pages of their own, and are indexed."""
    return await conn.fetch_all(
        Twins,
        """
        SELECT first.id, twin.id
          FROM (SELECT sha256, reader_version, min(id) AS id FROM documents
                 WHERE status = 'ready' AND copy_of IS NULL AND sha256 IS NOT NULL AND reader_version IS NOT NULL
                   AND tokens_version <> 0
                 GROUP BY sha256, reader_version HAVING count(*) > 1 ORDER BY sha256, reader_version LIMIT %(limit)s) AS first
          JOIN documents twin ON twin.sha256 = first.sha256 AND twin.reader_version = first.reader_version
           AND twin.status = 'ready' AND twin.copy_of IS NULL AND twin.tokens_version <> 0 AND twin.id > first.id
         ORDER BY first.id, twin.id
         LIMIT %(limit)s
        """,
        {"limit": limit},
    )


class _Comparison(NamedTuple):
    are_equal: bool


_COLUMNS = {
    "pages": "page_number, text, width, height",
    "document_tables": "table_index, page_number, data, bbox, kind, header_rows, spans, title",
}


async def merge_twins(tx: Connection, twins: Twins) -> bool:
    """Let the later one share what the first has, if it is the same to the last character; else False."""
    params = twins._asdict()
    held = await tx.fetch_all(
        _Id,
        """
        SELECT id FROM documents
         WHERE id IN (%(id)s, %(twin_id)s) AND status = 'ready' AND copy_of IS NULL ORDER BY id FOR UPDATE
        """,
        params,
    )
    if len(held) < 2:
        return False
    for table, columns in _COLUMNS.items():
        first, twin = (f"SELECT {columns} FROM {table} WHERE document_id = %({id_})s" for id_ in ("id", "twin_id"))
        compared = await tx.fetch_one(
            _Comparison,
            f"""
            SELECT (SELECT count(*) FROM {table} WHERE document_id = %(id)s)
                 = (SELECT count(*) FROM {table} WHERE document_id = %(twin_id)s)
               AND NOT EXISTS ({first} EXCEPT {twin})
            """,
            params,
        )
        if compared is None or not compared.are_equal:
            return False
    await tx.execute("UPDATE documents SET copy_of = %(id)s WHERE copy_of = %(twin_id)s OR id = %(twin_id)s", params)
    for table in _COLUMNS:
        await tx.execute(f"DELETE FROM {table} WHERE document_id = %(twin_id)s", params)
    names = await get_name_vector(tx, document_id=twins.twin_id)
    await put_copy(tx, document_id=twins.twin_id, names=names)
    return True
