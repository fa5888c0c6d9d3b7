"""The text of a large document, read and answered part by part."""

import json
from collections.abc import AsyncIterator, Sequence

from starlette.responses import Response, StreamingResponse

from db import Database, Executor
from documents import page_queries
from documents.page_queries import PageBytesRow
from documents.queries import DocumentRow, PageRow
from edge.portions import portions

Part = Sequence[PageBytesRow]  # pages that follow each other


async def list_parts(conn: Executor, *, document_id: int) -> list[Part]:
    """The pages in parts of at most 1 MB of text, or of one page; none of a document whose pages are not stored."""
    pages = await page_queries.list_page_bytes(conn, document_id=document_id)
    return list(portions(pages, lambda page: page.byte_count))


def text_in_parts(database: Database, row: DocumentRow, parts: Sequence[Part], *, as_json: bool) -> Response:
    if as_json:
        return StreamingResponse(_write_json(database, row, parts), media_type="application/json")
    return StreamingResponse(_write_plain(database, row, parts), media_type="text/plain")


async def _write_plain(database: Database, row: DocumentRow, parts: Sequence[Part]) -> AsyncIterator[str]:
    between = ""
    async for pages in _read(database, row, parts):
        yield between + "\f".join(page.text for page in pages)
        between = "\f"


async def _write_json(database: Database, row: DocumentRow, parts: Sequence[Part]) -> AsyncIterator[str]:
    yield '{"text":"'
    between = ""
    async for pages in _read(database, row, parts):
        yield between + _dump("\f".join(page.text for page in pages))[1:-1]
        between = "\\f"
    yield '","pages":['
    between = ""
    async for pages in _read(database, row, parts):
        described = [
            {"page_number": page.page_number, "text": page.text, "char_count": len(page.text)} for page in pages
        ]
        yield between + _dump(described)[1:-1]
        between = ","
    yield f'],"page_count":{sum(map(len, parts))}}}'


async def _read(database: Database, row: DocumentRow, parts: Sequence[Part]) -> AsyncIterator[list[PageRow]]:
    for part in parts:
        pages = await page_queries.list_pages(
            database, document_id=row.id, first=part[0].page_number, last=part[-1].page_number
        )
        if pages:
            yield pages


def _dump(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
