"""Every SQL statement about documents: the uploaded files, and how what was extracted from them is stored.

Copies are made in copy_queries.py. Reading all that is in page_queries.py, lists of documents in list_queries.py, who they
are shared with in share_queries.py.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple, TypeVar

from db import NODE_IS_GONE, Connection, Executor, fold_filename
from delivery.attachments import may_read
from documents.copy_queries import clear_content
from errors import BusyError, ClientIdReusedError
from extraction.notices import Notice
from extraction.values import Note
from index.queries import CURRENT_TOKENS

T = TypeVar("T")
INSERT_ATTEMPTS = 5  # of an upload whose client_id another one has just released
CHUNK_CHARACTERS = 256 * 1024  # of page text in one INSERT, so that quoting never blocks the event loop for long

Status = Literal["processing", "ready", "failed"]


# Documents


class DocumentRow(NamedTuple):
    id: int
    user_id: int
    filename: str
    file_path: str
    page_count: int | None
    file_size: int
    created_at: datetime
    status: Status
    sha256: str | None
    tables_found: int | None
    title: str | None
    encrypted: bool
    has_password: bool  # which opens its file, see FilePasswords
    keep_failed: bool
    node_id: int | None  # the node that extracts it
    pages_read: int
    error_code: str | None  # of a failed one
    error_detail: str | None
    owner_name: str


class DetailsRow(NamedTuple):
    """What may be long, and only the page of one document shows."""

    metadata: dict[str, str]
    warnings: list[dict[str, Any]]  # code, pages, detail
    notes: list[dict[str, Any]]  # page_number, author, text


# A DocumentRow of `documents d` and its owner `users u`.
DOCUMENT_COLUMNS = """
    d.id, d.user_id, d.filename, d.file_path, d.page_count, d.file_size, d.created_at, d.status, d.sha256,
    d.tables_found, left(d.metadata->>'Title', 1000), d.encrypted, d.sealed_password IS NOT NULL, d.keep_failed, d.node_id,
    d.pages_read, d.error_code, d.error_detail, u.name
"""


class _Claimed(NamedTuple):
    turn: int
    id: int


class _DocumentId(NamedTuple):
    id: int


class _EarlierUpload(NamedTuple):
    id: int
    sha256: str | None
    file_path: str
    status: Status


class InsertedDocument(NamedTuple):
    id: int
    duplicate: bool
    has_new_file: bool  # and not that of an earlier upload


async def insert_document(
    conn: Executor,
    *,
    user_id: int,
    filename: str,
    file_path: str,
    file_size: int,
    sha256: str,
    client_id: str | None,
    sealed_password: str | None = None,
    keep_failed: bool = False,
    node_id: int | None,
    file_exists: Callable[[str], Awaitable[object]] | None = None,
) -> InsertedDocument:
    """Record a stored file that *node_id*, or if None the worker that claims it, is about to extract.

    A known *client_id* returns the first document. That one takes the new file if its own does not exist any more, as
    after an upload that was refused.

    Raises:
        ClientIdReusedError: if *client_id* came with other content before; BusyError: if it keeps coming and going.
    """
    params = {
        "user_id": user_id,
        "filename": filename,
        "name_key": fold_filename(filename),
        "file_path": file_path,
        "file_size": file_size,
        "sha256": sha256,
        "client_id": client_id,
        "sealed_password": sealed_password,
        "keep_failed": keep_failed,
        "node_id": node_id,
    }
    for _ in range(INSERT_ATTEMPTS):
        inserted = await conn.fetch_one(
            _DocumentId,
            """
            INSERT INTO documents (user_id, filename, name_key, file_path, file_size, sha256, client_id,
                                   sealed_password, keep_failed, node_id, status)
            VALUES (%(user_id)s, %(filename)s, %(name_key)s, %(file_path)s, %(file_size)s, %(sha256)s, %(client_id)s,
                    %(sealed_password)s, %(keep_failed)s, %(node_id)s, 'processing')
            ON CONFLICT (user_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
            RETURNING id
            """,
            params,
        )
        if inserted is not None:
            return InsertedDocument(inserted.id, duplicate=False, has_new_file=True)
        earlier = await conn.fetch_one(
            _EarlierUpload,
            """
            SELECT id, sha256, file_path, status
              FROM documents WHERE user_id = %(user_id)s AND client_id = %(client_id)s
            """,
            params,
        )
        if earlier is None:
            continue  # it was refused, and discarded between the two statements
        if earlier.sha256 != sha256:
            raise ClientIdReusedError
        if file_exists is None or await file_exists(earlier.file_path):
            return InsertedDocument(earlier.id, duplicate=True, has_new_file=False)
        taken = await conn.execute(
            """
            UPDATE documents
               SET file_path = %(file_path)s, keep_failed = %(keep_failed)s,
                   sealed_password = CASE WHEN status = 'processing' THEN %(sealed_password)s ELSE sealed_password END,
                   node_id = CASE WHEN status = 'processing' THEN %(node_id)s ELSE node_id END
             WHERE id = %(earlier_id)s AND file_path = %(earlier_path)s
            """,
            {**params, "earlier_id": earlier.id, "earlier_path": earlier.file_path},
        )
        if taken:
            return InsertedDocument(earlier.id, duplicate=True, has_new_file=True)
    raise BusyError(retry_after=1)


async def find_document(conn: Executor, *, document_id: int, reader_id: int | None = None) -> DocumentRow | None:
    """Return a document; with *reader_id* only if that user may read it."""
    return await conn.fetch_one(
        DocumentRow,
        f"""
        SELECT {DOCUMENT_COLUMNS}
          FROM documents d
          JOIN users u ON u.id = d.user_id
         WHERE d.id = %(document_id)s AND (%(reader_id)s IS NULL OR {may_read("%(reader_id)s", "d.id")})
        """,
        {"document_id": document_id, "reader_id": reader_id},
    )


async def find_details(conn: Executor, *, document_id: int) -> DetailsRow | None:
    return await conn.fetch_one(
        DetailsRow, "SELECT metadata, warnings, notes FROM documents WHERE id = %(id)s", {"id": document_id}
    )


async def rename_document(conn: Executor, *, document_id: int, filename: str) -> None:
    await conn.execute(
        "UPDATE documents SET filename = %(filename)s, name_key = %(name_key)s WHERE id = %(document_id)s",
        {"document_id": document_id, "filename": filename, "name_key": fold_filename(filename)},
    )


class _OwnerId(NamedTuple):
    user_id: int


async def lock_document(tx: Connection, *, document_id: int) -> bool:
    """Let nobody share a document, or change it, before this transaction ends; False if there is no such one."""
    row = await tx.fetch_one(
        _OwnerId,
        "SELECT user_id FROM documents WHERE id = %(document_id)s FOR UPDATE",
        {"document_id": document_id},
    )
    return row is not None


async def delete_documents(conn: Executor, *, document_ids: Sequence[int]) -> int:
    """Delete documents with their pages and tables; their files remain. Returns how many there were."""
    return await conn.execute(
        "DELETE FROM documents WHERE id = ANY(%(document_ids)s::bigint[])", {"document_ids": list(document_ids)}
    )


class _FilePath(NamedTuple):
    file_path: str


async def discard_document(conn: Executor, *, document_id: int, node_id: int, file_path: str) -> bool:
    """Delete a document that *node_id* is still to extract from that file; False if there is no such one."""
    deleted = await conn.execute(
        """
        DELETE FROM documents
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND file_path = %(file_path)s AND status = 'processing'
        """,
        {"document_id": document_id, "node_id": node_id, "file_path": file_path},
    )
    return deleted > 0


class WithdrawnDocument(NamedTuple):
    id: int
    user_id: int
    status: Status


async def lock_documents_of(tx: Connection, *, file_paths: Sequence[str]) -> list[WithdrawnDocument]:
    """The documents that have these files, whatever their status: see `lock_document`."""
    return await tx.fetch_all(
        WithdrawnDocument,
        """
        SELECT id, user_id, status FROM documents WHERE file_path = ANY(%(file_paths)s::text[]) ORDER BY id FOR UPDATE
        """,
        {"file_paths": list(file_paths)},
    )


async def list_known_files(conn: Executor, *, file_paths: Sequence[str]) -> set[str]:
    """Return those of *file_paths* that belong to a document."""
    rows = await conn.fetch_all(
        _FilePath,
        "SELECT file_path FROM documents WHERE file_path = ANY(%(file_paths)s::text[])",
        {"file_paths": list(file_paths)},
    )
    return {row.file_path for row in rows}


# Extraction. A document in status processing is written to by the node whose id it has, and by no other.


async def claim_documents(conn: Executor, *, node_id: int, busy_with: Sequence[int], limit: int) -> list[int]:
    """Take over documents whose node died, and *node_id*'s own that it is not *busy_with*.

    Owners take turns: first the oldest of each, then the second ones. Those that are extracted already count.
    """
    rows = await conn.fetch_all(
        _Claimed,
        f"""
        WITH turns AS MATERIALIZED (
            SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY id) AS turn
              FROM documents WHERE status = 'processing'
        ), chosen AS MATERIALIZED (
            SELECT d.id, t.turn
              FROM turns t JOIN documents d USING (id)
             WHERE d.status = 'processing' AND d.id <> ALL(%(busy_with)s::bigint[])
               AND (d.node_id = %(node_id)s OR {NODE_IS_GONE})
             ORDER BY t.turn, d.id LIMIT %(limit)s FOR UPDATE OF d SKIP LOCKED
        )
        UPDATE documents d SET node_id = %(node_id)s FROM chosen WHERE d.id = chosen.id RETURNING chosen.turn, d.id
        """,
        {"node_id": node_id, "busy_with": list(busy_with), "limit": max(limit, 0)},
    )
    return [row.id for row in sorted(rows)]


async def claim_document(conn: Executor, *, document_id: int, node_id: int) -> bool:
    """Take over one document; False if a live node extracts it."""
    touched = await conn.execute(
        f"""
        UPDATE documents SET node_id = %(node_id)s
         WHERE id = %(document_id)s AND status = 'processing' AND (node_id = %(node_id)s OR {NODE_IS_GONE})
        """,
        {"document_id": document_id, "node_id": node_id},
    )
    return touched == 1


async def list_older_extractions(
    conn: Executor, *, node_id: int, reader_version: int, each: int, limit: int
) -> list[int]:
    """The documents that an older reader extracted and nobody extracts again; none while anything else is going on.

    Owners take turns: first the newest of each, then the second ones, at most *each* of one owner.
    """
    rows = await conn.fetch_all(
        _DocumentId,
        f"""
        SELECT id
          FROM (SELECT id, row_number() OVER (PARTITION BY user_id ORDER BY coalesce(reader_version, 0), id DESC) AS turn
                  FROM documents
                 WHERE status = 'ready' AND coalesce(reader_version, 0) < %(reader_version)s
                   AND (node_id IS NULL OR node_id = %(node_id)s OR {NODE_IS_GONE})) AS turns
         WHERE turn <= %(each)s AND NOT EXISTS (SELECT FROM documents WHERE status = 'processing')
         ORDER BY turn, id DESC LIMIT %(limit)s
        """,
        {"node_id": node_id, "reader_version": reader_version, "each": each, "limit": limit},
    )
    return [row.id for row in rows]


async def claim_older_extraction(conn: Executor, *, document_id: int, node_id: int, reader_version: int) -> bool:
    """Take one of them; False if another node has, or anything else is going on."""
    touched = await conn.execute(
        f"""
        UPDATE documents SET node_id = %(node_id)s
         WHERE id = %(document_id)s AND status = 'ready' AND coalesce(reader_version, 0) < %(reader_version)s
           AND (node_id IS NULL OR node_id = %(node_id)s OR {NODE_IS_GONE})
           AND NOT EXISTS (SELECT FROM documents WHERE status = 'processing')
        """,
        {"document_id": document_id, "node_id": node_id, "reader_version": reader_version},
    )
    return touched == 1


async def release_extraction(conn: Executor, *, document_id: int, node_id: int, reader_version: int | None) -> None:
    """Give back a document that keeps its older extraction: for good, if that counts as *reader_version*'s."""
    await conn.execute(
        """
        UPDATE documents SET node_id = NULL, reader_version = coalesce(%(reader_version)s, reader_version)
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'ready'
        """,
        {"document_id": document_id, "node_id": node_id, "reader_version": reader_version},
    )


async def reopen_extraction(tx: Connection, *, document_id: int, node_id: int) -> bool:
    """Make a document that *node_id* has claimed ready to be stored anew, within *tx*; False if it has lost it."""
    touched = await tx.execute(
        """
        UPDATE documents SET status = 'processing'
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'ready'
        """,
        {"document_id": document_id, "node_id": node_id},
    )
    return touched == 1


async def keep_if_failed(conn: Executor, *, document_id: int) -> bool:
    """Nobody waits for a document any more: it stays if it cannot be extracted. False if it is extracted already."""
    touched = await conn.execute(
        "UPDATE documents SET keep_failed = true WHERE id = %(document_id)s AND status = 'processing'",
        {"document_id": document_id},
    )
    return touched == 1


async def restart_extraction(
    tx: Connection, *, document_id: int, node_id: int | None, sealed_password: str | None
) -> bool:
    """Have *node_id*, or if None the worker that claims it, extract a document again; False if it is processing."""
    touched = await tx.execute(
        """
        UPDATE documents
           SET status = 'processing', node_id = %(node_id)s, sealed_password = coalesce(%(sealed_password)s, sealed_password),
               keep_failed = true, pages_read = 0, error_code = NULL, error_detail = NULL
         WHERE id = %(document_id)s AND status <> 'processing'
        """,
        {"document_id": document_id, "node_id": node_id, "sealed_password": sealed_password},
    )
    return touched == 1


class PageRow(NamedTuple):
    page_number: int
    text: str
    width: float
    height: float


class TableRow(NamedTuple):
    page_number: int
    table_index: int
    data: list[list[str | None]]
    bbox: Sequence[float]
    kind: str
    header_rows: int
    spans: Sequence[Sequence[int]]
    title: str


async def begin_extraction(
    tx: Connection, *, document_id: int, node_id: int, page_count: int, metadata: dict[str, str], encrypted: bool
) -> bool:
    """Store what the file says about itself, and forget a password that it does not need; delete earlier pages.

    False if *node_id* has lost the document.
    """
    touched = await tx.execute(
        """
        UPDATE documents
           SET page_count = %(page_count)s, pages_read = 0, metadata = %(metadata)s, encrypted = %(encrypted)s,
               sealed_password = CASE WHEN %(encrypted)s THEN sealed_password END, tokens_version = %(tokens_version)s
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'processing'
        """,
        {
            "document_id": document_id,
            "node_id": node_id,
            "page_count": page_count,
            "metadata": json.dumps(metadata),
            "encrypted": encrypted,
            "tokens_version": CURRENT_TOKENS,
        },
    )
    if touched != 1:
        return False
    await clear_content(tx, document_id=document_id)
    return True


async def save_pages(
    tx: Connection, *, document_id: int, node_id: int, pages: Sequence[PageRow], tables: Sequence[TableRow]
) -> bool:
    """Add the next *pages* with their *tables*; False if *node_id* has lost the document."""
    touched = await tx.execute(
        """
        UPDATE documents SET pages_read = %(pages_read)s
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'processing'
        """,
        {"document_id": document_id, "node_id": node_id, "pages_read": pages[-1].page_number},
    )
    if touched != 1:
        return False
    for chunk in _in_chunks(pages, [len(page.text) for page in pages]):
        await tx.execute(
            """
            INSERT INTO pages (document_id, page_number, text, width, height)
            SELECT %(document_id)s, * FROM unnest(%(numbers)s::integer[], %(texts)s::text[], %(widths)s::real[], %(heights)s::real[])
            """,
            {
                "document_id": document_id,
                "numbers": [page.page_number for page in chunk],
                "texts": [page.text for page in chunk],
                "widths": [page.width for page in chunk],
                "heights": [page.height for page in chunk],
            },
        )
    encoded = [json.dumps(table.data) for table in tables]
    for rows in _in_chunks(list(zip(tables, encoded, strict=True)), [len(text) for text in encoded]):
        await tx.execute(
            """
            INSERT INTO document_tables (document_id, table_index, page_number, data, bbox, kind, header_rows, spans, title)
            SELECT %(document_id)s, i, n, d, b::real[], k, h, s, t
              FROM unnest(%(indexes)s::integer[], %(numbers)s::integer[], %(data)s::jsonb[], %(boxes)s::text[],
                          %(kinds)s::text[], %(heads)s::integer[], %(spans)s::jsonb[], %(titles)s::text[])
                AS found (i, n, d, b, k, h, s, t)
            """,
            {
                "document_id": document_id,
                "indexes": [table.table_index for table, _ in rows],
                "numbers": [table.page_number for table, _ in rows],
                "data": [text for _, text in rows],
                "boxes": ["{" + ",".join(map(str, table.bbox)) + "}" for table, _ in rows],
                "kinds": [table.kind for table, _ in rows],
                "heads": [table.header_rows for table, _ in rows],
                "spans": [json.dumps(table.spans) for table, _ in rows],
                "titles": [table.title for table, _ in rows],
            },
        )
    return True


async def finish_extraction(
    tx: Connection,
    *,
    document_id: int,
    node_id: int,
    warnings: Sequence[Notice],
    notes: Sequence[Note],
    reader_version: int,
) -> int | None:
    """Mark a document with all its pages as ready; return its owner, None if *node_id* has lost it."""
    row = await tx.fetch_one(
        _OwnerId,
        """
        UPDATE documents
           SET status = 'ready', node_id = NULL, warnings = %(warnings)s, notes = %(notes)s, reader_version = %(reader_version)s,
               tables_found = (SELECT count(*) FROM document_tables WHERE document_id = %(document_id)s),
               extracted_bytes = (SELECT coalesce(sum(octet_length(text)), 0) FROM pages WHERE document_id = %(document_id)s)
                               + (SELECT coalesce(sum(pg_column_size(data)), 0)
                                    FROM document_tables WHERE document_id = %(document_id)s)
                               + octet_length(%(notes)s::text) - 2,
               extracted_text = (SELECT string_agg(text, E'\\f' ORDER BY page_number)
                                   FROM pages WHERE document_id = %(document_id)s)
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'processing'
        RETURNING user_id
        """,
        {
            "document_id": document_id,
            "node_id": node_id,
            "warnings": json.dumps([warning._asdict() for warning in warnings]),
            "notes": json.dumps([note._asdict() for note in notes]),
            "reader_version": reader_version,
        },
    )
    return None if row is None else row.user_id


async def fail_extraction(
    tx: Connection, *, document_id: int, node_id: int, error_code: str, error_detail: str
) -> int | None:
    """Mark a document as failed and delete its pages, and its password; return its owner, None if *node_id* has lost it."""
    row = await tx.fetch_one(
        _OwnerId,
        """
        UPDATE documents
           SET status = 'failed', failed_at = now(), node_id = NULL, page_count = NULL, pages_read = 0, extracted_bytes = 0,
               error_code = %(error_code)s, error_detail = %(error_detail)s, sealed_password = NULL
         WHERE id = %(document_id)s AND node_id = %(node_id)s AND status = 'processing'
        RETURNING user_id
        """,
        {"document_id": document_id, "node_id": node_id, "error_code": error_code, "error_detail": error_detail},
    )
    if row is None:
        return None
    await clear_content(tx, document_id=document_id)
    return row.user_id


def _in_chunks(items: Sequence[T], sizes: Sequence[int]) -> list[list[T]]:
    """Split *items* into runs of about CHUNK_CHARACTERS."""
    chunks: list[list[T]] = []
    room = 0
    for item, size in zip(items, sizes, strict=True):
        if room < size or not chunks:
            chunks.append([])
            room = CHUNK_CHARACTERS
        chunks[-1].append(item)
        room -= size
    return chunks
