"""Every SQL statement that lists documents, with what their reader sees beside them."""

from typing import Any, Literal, NamedTuple

from db import Executor, fold
from delivery.attachments import may_read
from documents.queries import DOCUMENT_COLUMNS, DocumentRow

SHOWN_READERS = 3
MAX_COUNTED_READERS = 1000
MAX_COUNTED_MESSAGES = 1000  # about one document
MAX_COUNTED_DOCUMENTS = 10_000

Sort = Literal["created_at", "filename", "page_count", "file_size"]
Shelf = Literal["mine", "shared"]
# A shelf's rows `r`, the column of their id, and what they are sorted by; as the indexes of schema.sql have them.
SHELVES: dict[Shelf, tuple[str, str]] = {
    "mine": ("documents r WHERE r.user_id = %(user_id)s", "r.id"),
    "shared": ("document_shares r WHERE r.user_id = %(user_id)s", "r.document_id"),
}
SORT_KEYS: dict[Sort, str | None] = {
    "created_at": None,  # the id
    "filename": "r.name_key",
    "page_count": "coalesce(r.page_count, 0)",
    "file_size": "r.file_size",
}


class ListedDocument(NamedTuple):
    document: DocumentRow
    readers: list[dict[str, Any]]  # id and name of the first few
    reader_count: int  # up to MAX_COUNTED_READERS
    message_count: int  # about it, to and from who asks; up to MAX_COUNTED_MESSAGES
    unread_count: int  # of the last MAX_COUNTED_MESSAGES to who asks
    sort_key: int | str


# A ListedDocument of `documents d` and its owner `users u`, as %(user_id)s sees it, without its last column.
_LISTED = f"""
    {DOCUMENT_COLUMNS},
    (SELECT coalesce(json_agg(json_build_object('id', r.id, 'name', r.name) ORDER BY r.id), '[]')
       FROM (SELECT user_id FROM document_shares WHERE document_id = d.id ORDER BY user_id LIMIT {SHOWN_READERS}) AS s
       JOIN users r ON r.id = s.user_id),
    (SELECT count(*) FROM (SELECT 1 FROM document_shares WHERE document_id = d.id LIMIT {MAX_COUNTED_READERS}) AS s),
    (SELECT count(*)
       FROM ((SELECT 1 FROM messages WHERE document_id = d.id AND sender_id = %(user_id)s LIMIT {MAX_COUNTED_MESSAGES})
             UNION ALL
             (SELECT 1 FROM messages
               WHERE document_id = d.id AND recipient_id = %(user_id)s AND sender_id <> %(user_id)s
               LIMIT {MAX_COUNTED_MESSAGES})
             LIMIT {MAX_COUNTED_MESSAGES}) AS m),
    (SELECT count(*)
       FROM (SELECT id, sender_id FROM messages
              WHERE document_id = d.id AND recipient_id = %(user_id)s AND sender_id <> %(user_id)s
              ORDER BY id DESC LIMIT {MAX_COUNTED_MESSAGES}) AS m
       LEFT JOIN conversations c ON c.user_id = %(user_id)s AND c.other_id = m.sender_id
      WHERE m.id > coalesce(c.read_up_to_id, 0))
"""


async def find_listed_document(conn: Executor, *, document_id: int, user_id: int) -> ListedDocument | None:
    """One document as it is listed, if *user_id* may read it."""
    return await conn.fetch_one(
        ListedDocument,
        f"""
        SELECT {_LISTED}, d.id
          FROM documents d
          JOIN users u ON u.id = d.user_id
         WHERE d.id = %(document_id)s AND {may_read("%(user_id)s", "d.id")}
        """,
        {"document_id": document_id, "user_id": user_id},
    )


async def list_documents(
    conn: Executor,
    *,
    user_id: int,
    shelf: Shelf | None = None,
    status: str | None = None,
    words: str | None = None,
    sha256: str | None = None,
    sort: Sort = "created_at",
    ascending: bool = False,
    after: tuple[int | str, int] | None = None,
    limit: int,
) -> list[ListedDocument]:
    """The documents that *user_id* may read: their own (`mine`), those of others (`shared`), or all.

    *words* must be in the name, in any case. *after* is the sort key and the id of the last one before.
    """
    order, beyond = ("ASC", ">") if ascending else ("DESC", "<")
    in_order = f"key {order}" if sort == "created_at" else f"key {order}, id {order}"
    shelves = []
    for name in SHELVES if shelf is None else (shelf,):
        rows, id_ = SHELVES[name]
        key = SORT_KEYS[sort] or id_
        place, last = (id_, "%(id)s") if sort == "created_at" else (f"({key}, {id_})", "(%(key)s, %(id)s)")
        conditions = (
            (f"{place} {beyond} {last}", after),
            ("strpos(r.name_key, %(words)s) > 0", words),
            (f"EXISTS (SELECT 1 FROM documents WHERE id = {id_} AND status = %(status)s)", status),
            (f"EXISTS (SELECT 1 FROM documents WHERE id = {id_} AND sha256 = %(sha256)s)", sha256),
        )
        wanted = "".join(f" AND {condition}" for condition, value in conditions if value is not None)
        shelves.append(f"(SELECT {id_} AS id, {key} AS key FROM {rows}{wanted} ORDER BY {in_order} LIMIT %(limit)s)")
    return await conn.fetch_all(
        ListedDocument,
        f"""
        SELECT {_LISTED}, page.key
          FROM (SELECT id, key FROM ({" UNION ALL ".join(shelves)}) AS shelves
                 ORDER BY {in_order} LIMIT %(limit)s) AS page
          JOIN documents d ON d.id = page.id
          JOIN users u ON u.id = d.user_id
         ORDER BY {in_order.replace("key", "page.key").replace("id", "page.id")}
        """,
        {
            "user_id": user_id,
            "status": status,
            "words": words and fold(words),
            "sha256": sha256,
            "key": after and after[0],
            "id": after and after[1],
            "limit": limit,
        },
    )


class DocumentCounts(NamedTuple):
    """How many documents a user may read, each number up to MAX_COUNTED_DOCUMENTS."""

    mine: int
    shared: int
    failed: int
    processing: int


async def count_documents(conn: Executor, *, user_id: int) -> DocumentCounts:
    counts = await conn.fetch_one(
        DocumentCounts,
        f"""
        SELECT (SELECT count(*)
                  FROM (SELECT 1 FROM documents WHERE user_id = %(user_id)s LIMIT {MAX_COUNTED_DOCUMENTS}) AS d),
               (SELECT count(*)
                  FROM (SELECT 1 FROM document_shares WHERE user_id = %(user_id)s LIMIT {MAX_COUNTED_DOCUMENTS}) AS s),
               count(*) FILTER (WHERE status = 'failed'), count(*) FILTER (WHERE status = 'processing')
          FROM ((SELECT status FROM documents WHERE user_id = %(user_id)s AND status <> 'ready'
                  LIMIT {MAX_COUNTED_DOCUMENTS})
                UNION ALL
                (SELECT d.status FROM documents d JOIN document_shares s ON s.document_id = d.id
                  WHERE s.user_id = %(user_id)s AND d.status <> 'ready'
                  LIMIT {MAX_COUNTED_DOCUMENTS})) AS unfinished
        """,
        {"user_id": user_id},
    )
    return counts or DocumentCounts(0, 0, 0, 0)  # there is always a row


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
