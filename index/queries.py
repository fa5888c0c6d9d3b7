"""What search looks in: the rows of pages and messages, one function a change. (Search itself asks in search/queries.py.)"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from db import Connection, Executor
from extraction.tokens import TOKENS_VERSION, make_message_vector, make_name_vector

CHUNK_CHARACTERS = 256 * 1024  # of vectors in one INSERT
RENAMED_AT_ONCE = 64  # pages; those of a longer document follow in the background

# The keys of a page: its document, and the band of 32 documents it is in.
_KEYS = "ARRAY[%(document_id)s::bigint, -(%(document_id)s::bigint / 32) - 1]"


class _NamesRow(NamedTuple):
    filename: str
    title: str | None


async def get_name_vector(conn: Executor, *, document_id: int) -> str:
    """The words of a document's name and title; empty if it is gone."""
    row = await conn.fetch_one(
        _NamesRow,
        "SELECT filename, metadata->>'Title' FROM documents WHERE id = %(document_id)s",
        {"document_id": document_id},
    )
    return "" if row is None else make_name_vector(row.filename, row.title or "")


async def put_pages(
    tx: Connection, *, document_id: int, names: str, page_numbers: Sequence[int], vectors: Sequence[str]
) -> None:
    """Index pages, with the vector *names* of their document's; *vectors* are extraction.tokens.make_page_vector's."""
    for numbers, chunk in _in_chunks(page_numbers, vectors):
        await tx.execute(
            f"""
            INSERT INTO page_search (document_id, page_number, keys, vec)
            SELECT %(document_id)s, n, {_KEYS}, (%(names)s || ' ' || v)::tsvector
              FROM unnest(%(numbers)s::integer[], %(vectors)s::text[]) AS t (n, v)
            ON CONFLICT (document_id, page_number) DO UPDATE SET keys = EXCLUDED.keys, vec = EXCLUDED.vec
            """,
            {"document_id": document_id, "names": names, "numbers": numbers, "vectors": chunk},
        )


def _in_chunks(numbers: Sequence[int], vectors: Sequence[str]) -> Iterator[tuple[list[int], list[str]]]:
    start, size = 0, 0
    for place, vector in enumerate(vectors):
        if place > start and size + len(vector) > CHUNK_CHARACTERS:
            yield list(numbers[start:place]), list(vectors[start:place])
            start, size = place, 0
        size += len(vector)
    if start < len(vectors):
        yield list(numbers[start:]), list(vectors[start:])


async def put_copy(tx: Connection, *, document_id: int, names: str) -> None:
    """Index a document that has the pages of another one by those: its own are the words of its name."""
    await tx.execute(
        """
        UPDATE documents SET names = %(names)s::tsvector, tokens_version = %(tokens_version)s WHERE id = %(document_id)s
        """,
        {"document_id": document_id, "names": names, "tokens_version": TOKENS_VERSION},
    )
    await tx.execute("DELETE FROM page_search WHERE document_id = %(document_id)s", {"document_id": document_id})


async def rename_pages(tx: Connection, *, document_id: int) -> None:
    """Replace the words of a document's name: a copy's beside it, else in its pages; a long one is left to the background."""
    params = {
        "document_id": document_id,
        "names": await get_name_vector(tx, document_id=document_id),
        "most": RENAMED_AT_ONCE,
    }
    if await tx.execute(
        "UPDATE documents SET names = %(names)s::tsvector WHERE id = %(document_id)s AND names IS NOT NULL", params
    ):
        return
    await tx.execute(
        """
        UPDATE page_search SET vec = rename_page(vec, %(names)s::tsvector)
         WHERE document_id = %(document_id)s
           AND (SELECT count(*) FROM page_search WHERE document_id = %(document_id)s) <= %(most)s
        """,
        params,
    )
    await tx.execute(
        """
        UPDATE documents SET tokens_version = 0
         WHERE id = %(document_id)s AND (SELECT count(*) FROM page_search WHERE document_id = %(document_id)s) > %(most)s
        """,
        params,
    )


async def put_message(
    tx: Connection, *, message_id: int, sender_id: int, recipient_id: int, content: str | None
) -> None:
    """Index what a message says now, nothing if it was taken back (*content* None).

    A row without words stays, so that the background, which may be at work on the older words, does not add them.
    """
    await tx.execute(
        """
        INSERT INTO message_search (message_id, vec) VALUES (%(message_id)s, %(vector)s::tsvector)
        ON CONFLICT (message_id) DO UPDATE SET vec = EXCLUDED.vec
        """,
        {
            "message_id": message_id,
            "vector": ""
            if content is None
            else make_message_vector(content, sender_id=sender_id, recipient_id=recipient_id),
        },
    )


CURRENT_TOKENS = TOKENS_VERSION  # documents.tokens_version of a document that is indexed
