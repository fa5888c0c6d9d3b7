"""SQL about all pages of a document at once."""

from typing import NamedTuple

from db import Executor


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
