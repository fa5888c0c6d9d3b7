"""Every SQL statement that reads what was extracted from a document: its text, its pages and its tables."""

from typing import NamedTuple

from db import Executor
from documents.queries import PageRow

# The document that has the pages and tables of this one: itself, or the one whose copy it is.
_CONTENT = "(SELECT coalesce(copy_of, id) FROM documents WHERE id = %(document_id)s)"


class PageSizeRow(NamedTuple):
    page_number: int
    width: float
    height: float
    char_count: int


async def list_page_sizes(conn: Executor, *, document_id: int) -> list[PageSizeRow]:
    return await conn.fetch_all(
        PageSizeRow,
        f"""
        SELECT page_number, width, height, length(text)
          FROM pages WHERE document_id = {_CONTENT} ORDER BY page_number
        """,
        {"document_id": document_id},
    )


class _Text(NamedTuple):
    text: str | None


async def get_document_text(conn: Executor, *, document_id: int, characters: int | None = None) -> str:
    """Return the text of the pages with form feeds between; only the first *characters*, if given."""
    row = await conn.fetch_one(
        _Text,
        "SELECT left(extracted_text, %(characters)s) FROM documents WHERE id = %(document_id)s"
        if characters is not None
        else "SELECT extracted_text FROM documents WHERE id = %(document_id)s",
        {"document_id": document_id, "characters": characters},
    )
    return (row.text or "") if row is not None else ""


class PageBytesRow(NamedTuple):
    page_number: int
    byte_count: int


async def list_page_bytes(conn: Executor, *, document_id: int) -> list[PageBytesRow]:
    return await conn.fetch_all(
        PageBytesRow,
        f"""
        SELECT page_number, octet_length(text)
          FROM pages WHERE document_id = {_CONTENT} ORDER BY page_number
        """,
        {"document_id": document_id},
    )


async def list_pages(conn: Executor, *, document_id: int, first: int = 1, last: int = 2**31 - 1) -> list[PageRow]:
    """From page *first* to *last*."""
    return await conn.fetch_all(
        PageRow,
        f"""
        SELECT page_number, text, width, height
          FROM pages
         WHERE document_id = {_CONTENT} AND page_number BETWEEN %(first)s AND %(last)s
         ORDER BY page_number
        """,
        {"document_id": document_id, "first": first, "last": last},
    )


async def find_page(conn: Executor, *, document_id: int, page_number: int) -> PageRow | None:
    return await conn.fetch_one(
        PageRow,
        f"""
        SELECT page_number, text, width, height
          FROM pages WHERE document_id = {_CONTENT} AND page_number = %(page_number)s
        """,
        {"document_id": document_id, "page_number": page_number},
    )


async def get_tables_json(conn: Executor, *, document_id: int, page_number: int | None = None) -> str:
    """Return the tables of one page or all as a JSON array; PostgreSQL builds it, so large ones block nothing here."""
    row = await conn.fetch_one(
        _Text,
        f"""
        SELECT coalesce(json_agg(json_build_object(
                   'page', page_number, 'table_index', table_index, 'data', data, 'bbox', bbox,
                   'fragment', jsonb_array_length(data) = 1 OR jsonb_array_length(data -> 0) = 1,
                   'kind', kind, 'header_rows', header_rows, 'spans', spans, 'title', title)
               ORDER BY table_index), '[]')::text
          FROM document_tables
         WHERE document_id = {_CONTENT} AND (%(page_number)s IS NULL OR page_number = %(page_number)s)
        """,
        {"document_id": document_id, "page_number": page_number},
    )
    return (row.text or "[]") if row is not None else "[]"


async def get_placed_tables_json(conn: Executor, *, document_id: int) -> str:
    """Return the tables as a JSON array for a worker: [page_number, table_index, data, bbox, kind, header_rows, spans,
    title, page height].
    """
    row = await conn.fetch_one(
        _Text,
        f"""
        SELECT coalesce(json_agg(json_build_array(t.page_number, t.table_index, t.data, t.bbox, t.kind, t.header_rows, t.spans,
                                                  t.title, p.height)
                                 ORDER BY t.table_index), '[]')::text
          FROM document_tables t
          LEFT JOIN pages p ON p.document_id = t.document_id AND p.page_number = t.page_number
         WHERE t.document_id = {_CONTENT}
        """,
        {"document_id": document_id},
    )
    return (row.text or "[]") if row is not None else "[]"


class _Cells(NamedTuple):
    data: list[list[str | None]]


async def find_table(conn: Executor, *, document_id: int, table_index: int) -> list[list[str | None]] | None:
    """Return the cells of one table, row by row."""
    row = await conn.fetch_one(
        _Cells,
        f"SELECT data FROM document_tables WHERE document_id = {_CONTENT} AND table_index = %(table_index)s",
        {"document_id": document_id, "table_index": table_index},
    )
    return None if row is None else row.data
