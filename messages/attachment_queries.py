"""Every SQL statement about the documents that messages point at. The owner's message shares its document."""

import json
from collections.abc import Collection, Sequence
from typing import NamedTuple

from db import Connection, Executor
from delivery.attachments import READERS, Attachment, attachment_column, may_read
from delivery.events import MessageRow
from messages.queries import DocumentPointer, message_columns

MAX_QUOTED_CHARACTERS = 200_000  # of a page, in which the hit is looked for


class _Id(NamedTuple):
    id: int


class QuotedPage(NamedTuple):
    filename: str
    page_count: int | None
    text: str | None  # of the page; None if it is not known, or none was asked for


async def find_quoted_page(
    conn: Executor, *, document_id: int, reader_id: int, page_number: int | None
) -> QuotedPage | None:
    """The document, if *reader_id* may read it, with the text of one page."""
    return await conn.fetch_one(
        QuotedPage,
        f"""
        SELECT d.filename, d.page_count, left(p.text, %(characters)s)
          FROM documents d
          LEFT JOIN pages p ON p.document_id = coalesce(d.copy_of, d.id) AND p.page_number = %(page_number)s
         WHERE d.id = %(document_id)s AND {may_read("%(reader_id)s", "d.id")}
        """,
        {
            "document_id": document_id,
            "reader_id": reader_id,
            "page_number": page_number,
            "characters": MAX_QUOTED_CHARACTERS,
        },
    )


async def was_sent(conn: Executor, *, sender_id: int, client_id: str) -> bool:
    """Whether *sender_id* has sent a message with this *client_id*."""
    row = await conn.fetch_one(
        _Id,
        "SELECT id FROM messages WHERE sender_id = %(sender_id)s AND client_id = %(client_id)s",
        {"sender_id": sender_id, "client_id": client_id},
    )
    return row is not None


class _OwnerId(NamedTuple):
    user_id: int


async def hold_document(tx: Connection, *, document_id: int) -> int | None:
    """Keep a document from being deleted until this transaction ends; return its owner, None if there is no such one.

    Held before mailboxes and shares, by whatever changes who may read it; accounts come last.
    """
    row = await tx.fetch_one(
        _OwnerId,
        "SELECT user_id FROM documents WHERE id = %(document_id)s FOR KEY SHARE",
        {"document_id": document_id},
    )
    return None if row is None else row.user_id


async def list_readers(tx: Executor, *, document_id: int, among: Collection[int]) -> set[int]:
    """Those of *among* who may read the document."""
    rows = await tx.fetch_all(
        _OwnerId,
        f"""
        SELECT user_id FROM {READERS} AS r
         WHERE document_id = %(document_id)s AND user_id = ANY(%(among)s::bigint[])
        """,
        {"document_id": document_id, "among": list(among)},
    )
    return {row.user_id for row in rows}


async def insert_shares(tx: Connection, *, document_id: int, user_ids: Sequence[int]) -> list[int]:
    """Let *user_ids* read the document; return those who could not before."""
    rows = await tx.fetch_all(
        _OwnerId,
        """
        INSERT INTO document_shares (document_id, user_id)
        SELECT %(document_id)s, id FROM unnest(%(user_ids)s::bigint[]) AS id ORDER BY id
        ON CONFLICT DO NOTHING
        RETURNING user_id
        """,
        {"document_id": document_id, "user_ids": list(user_ids)},
    )
    return sorted(row.user_id for row in rows)


class _Attached(NamedTuple):
    id: int
    attachment: Attachment


async def attach_document(
    tx: Connection, *, message_ids: Sequence[int], document: DocumentPointer
) -> dict[int, Attachment]:
    """Have new messages point at a document; return how their senders see it, by message."""
    rows = await tx.fetch_all(
        _Attached,
        f"""
        WITH m AS (
            UPDATE messages
               SET document_id = %(document_id)s, document_name = %(filename)s, page = %(page)s, match = %(match)s,
                   quote = %(quote)s
             WHERE id = ANY(%(message_ids)s::bigint[])
            RETURNING id, sender_id, document_id, document_name, page, match, quote
        )
        SELECT m.id, {attachment_column("m.sender_id")} FROM m
        """,
        {
            "document_id": document.document_id,
            "filename": document.filename,
            "page": document.page,
            "match": document.match,
            "quote": json.dumps(document.quote),
            "message_ids": list(message_ids),
        },
    )
    return {row.id: row.attachment for row in rows}


async def list_document_messages(
    conn: Executor,
    *,
    document_id: int,
    user_id: int,
    page_number: int | None = None,
    before_id: int | None = None,
    limit: int,
) -> list[MessageRow]:
    """Messages to and from *user_id* that point at the document, or at one page of it, newest first."""
    about = """
        document_id = %(document_id)s AND id < %(before_id)s AND (%(page_number)s IS NULL OR page = %(page_number)s)
    """
    return await conn.fetch_all(
        MessageRow,
        f"""
        SELECT {message_columns("%(user_id)s")}
          FROM (
                (SELECT id FROM messages WHERE sender_id = %(user_id)s AND {about} ORDER BY id DESC LIMIT %(limit)s)
                UNION
                (SELECT id FROM messages WHERE recipient_id = %(user_id)s AND {about} ORDER BY id DESC LIMIT %(limit)s)
                ORDER BY id DESC LIMIT %(limit)s) AS mine
          JOIN messages m ON m.id = mine.id
          JOIN users s ON s.id = m.sender_id
         ORDER BY m.id DESC
        """,
        {
            "document_id": document_id,
            "user_id": user_id,
            "page_number": page_number,
            "before_id": before_id or 2**63 - 1,
            "limit": limit,
        },
    )
