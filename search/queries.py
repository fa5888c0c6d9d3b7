"""Every SQL statement of the search but those that find pages: scores, messages, what is shown, the index in the background.

A GIN narrows, a join decides who may read. `@@` stands alone in a MATERIALIZED part, without LIMIT: beside ORDER BY and
LIMIT the planner walks a primary key backwards and unpacks every vector on its way (1.8 s instead of 20 ms).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from db import Connection, Executor, Prepared, take_lock
from delivery.attachments import Attachment, attachment_column, may_read

CANDIDATES = 300  # of one window, ranked
TEXT_CHARACTERS = 100_000  # of a page, looked through for a snippet

TERMS = """
    term AS MATERIALIZED (
        SELECT query, weight, alternative
          FROM unnest(%(terms)s::tsquery[], %(weights)s::float8[], %(alternatives)s::integer[]) AS t (query, weight, alternative))
"""


def score(vector: str, size: str) -> str:
    """The score, and whether the first tier has it: then it is in the list already, and not ranked again."""
    return f"""
    CASE WHEN {vector} @@ %(first_tier)s::tsquery THEN 0 ELSE round(({_rank(vector, size)})::numeric, 6)::float8 END,
    coalesce({vector} @@ %(first_tier)s::tsquery, false)
    """


def _rank(vector: str, size: str) -> str:
    """Okapi BM25 (k1 = 1.2, b = .2; a word of the name counts four times), and how near to each other the words stand.

    ts_rank_cd of one word is how often it is there; of several, the sum of 1 / distance, where all of them are.
    How long a text is says the size of its vector, which need not be read for that: 17 bytes a word.
    """
    return f"""
    (SELECT COALESCE(sum(weight * 2.2 * tf / (tf + .96 + .00007 * {size})), 0)
       FROM term CROSS JOIN LATERAL (SELECT 4 * ts_rank_cd('{{.25,.25,.25,1}}', {vector}, query) AS tf) AS found)
     + CASE WHEN %(proximity)s::tsquery IS NULL THEN 0
            ELSE (SELECT sum(weight) * (3 * near / (near + .2) + CASE WHEN {vector} @@ %(phrase)s::tsquery THEN 1 ELSE 0 END)
                    FROM term CROSS JOIN (SELECT ts_rank_cd('{{1,1,1,1}}', {vector}, %(proximity)s::tsquery) AS near) AS stands
                   GROUP BY near) END
    """


def settings(*, seconds: float) -> str:
    """The settings of a transaction that searches; each of its statements has so many *seconds*."""
    return f"""
    SET LOCAL enable_seqscan = off; SET LOCAL plan_cache_mode = force_generic_plan; SET LOCAL work_mem = '16MB';
    SET LOCAL statement_timeout = {round(seconds * 1000)}
    """


class Filters(NamedTuple):
    document_id: int | None = None
    from_id: int | None = None  # the owner of a document, the sender of a message
    before: datetime | None = None
    after: datetime | None = None

    @property
    def is_empty(self) -> bool:
        return not any(value is not None for value in self)


class Rank(NamedTuple):
    """What a score is made of: tsqueries, those of the terms with their weights."""

    terms: Sequence[str]
    weights: Sequence[float]
    alternatives: Sequence[int]  # terms of the same number must all be there
    proximity: str  # may be empty
    phrase: str  # may be empty

    def as_params(self) -> dict[str, object]:
        return {
            "terms": _quoted_array(self.terms),
            "weights": array(self.weights),
            "alternatives": array(self.alternatives),
            "proximity": self.proximity or None,
            "phrase": self.phrase or None,
        }


# Texts of pages


class PageText(NamedTuple):
    document_id: int
    page_number: int
    filename: str
    text: str
    is_classic: bool  # of a document that has no pages, only a text


async def list_page_texts(conn: Executor, *, user_id: int, pages: Sequence[tuple[int, int]]) -> list[PageText]:
    """Of *pages* (document and page), those that *user_id* may read now."""
    return await conn.fetch_all(
        PageText,
        Prepared(f"""
        SELECT d.id, hit.page_number, d.filename,
               left(coalesce(p.text, split_part(d.extracted_text, E'\\f', hit.page_number), ''), {TEXT_CHARACTERS}), p.text IS NULL
          FROM unnest(%(document_ids)s::bigint[], %(numbers)s::integer[]) AS hit (document_id, page_number)
          JOIN documents d ON d.id = hit.document_id
          LEFT JOIN pages p ON p.document_id = coalesce(d.copy_of, d.id) AND p.page_number = hit.page_number
         WHERE {may_read("%(user_id)s::bigint", "d.id")}
        """),
        {
            "user_id": user_id,
            "document_ids": array([document_id for document_id, _ in pages]),
            "numbers": array([number for _, number in pages]),
        },
    )


# Messages


class TailRow(NamedTuple):
    id: int
    sender_id: int
    recipient_id: int
    content: str


class _Mark(NamedTuple):
    messages_up_to: int


async def get_message_mark(conn: Executor) -> int:
    """All messages up to this one are indexed."""
    row = await conn.fetch_one(_Mark, Prepared("SELECT messages_up_to FROM search_progress"))
    assert row is not None
    return row.messages_up_to


class Tail(NamedTuple):
    mark: int  # all messages up to this one are indexed
    rows: list[TailRow]


class _MarkedRow(NamedTuple):
    mark: int
    message: TailRow | None


async def list_tail(conn: Executor, *, user_id: int, before_id: int, limit: int) -> Tail:
    """The newest messages of *user_id* before *before_id* that are not indexed yet, the newest first; also deleted ones."""
    found = await conn.fetch_all(
        _MarkedRow,
        Prepared("""
        SELECT p.messages_up_to, m.id, m.sender_id, m.recipient_id, m.content
          FROM search_progress p
          LEFT JOIN LATERAL (
            (SELECT id FROM messages
              WHERE sender_id = %(user_id)s::bigint AND id > p.messages_up_to AND id < %(before_id)s::bigint
              ORDER BY id DESC LIMIT %(limit)s::bigint)
            UNION
            (SELECT id FROM messages
              WHERE recipient_id = %(user_id)s::bigint AND id > p.messages_up_to AND id < %(before_id)s::bigint
              ORDER BY id DESC LIMIT %(limit)s::bigint)
            ORDER BY id DESC LIMIT %(limit)s::bigint) AS mine ON true
          LEFT JOIN messages m ON m.id = mine.id
         ORDER BY m.id DESC
        """),
        {"user_id": user_id, "before_id": before_id, "limit": limit},
    )
    return Tail(found[0].mark, [row.message for row in found if row.message is not None])


class MessageCandidate(NamedTuple):
    id: int
    created_at: datetime
    score: float
    in_first_tier: bool


_MINE = "%(user_id)s::bigint IN (m.sender_id, m.recipient_id) AND m.deleted_at IS NULL"
_FILTERED = """
    AND (%(from_id)s::bigint IS NULL OR m.sender_id = %(from_id)s::bigint)
    AND (%(before)s::timestamptz IS NULL OR m.created_at < %(before)s::timestamptz)
    AND (%(after)s::timestamptz IS NULL OR m.created_at >= %(after)s::timestamptz)
"""


def _find_messages(*, filtered: bool) -> Prepared:
    narrowed = f"JOIN messages m ON m.id = f.message_id AND {_MINE} {_FILTERED}" if filtered else ""
    return Prepared(f"""
    WITH {TERMS}, found AS MATERIALIZED (
        SELECT message_id FROM message_search WHERE vec @@ %(query)s::tsquery
    ), newest AS MATERIALIZED (
        SELECT f.message_id FROM found f {narrowed}
         WHERE f.message_id <= %(mark)s::bigint AND f.message_id < %(before_id)s::bigint
         ORDER BY f.message_id DESC LIMIT %(limit)s::bigint
    ), candidate AS MATERIALIZED (
        SELECT s.message_id AS id, s.vec FROM newest n JOIN message_search s USING (message_id)
        UNION ALL
        SELECT t.id, t.vec FROM unnest(%(tail_ids)s::bigint[], %(tail_vectors)s::tsvector[]) AS t (id, vec)
         WHERE t.vec @@ %(query)s::tsquery AND t.id < %(before_id)s::bigint
    )
    SELECT m.id, m.created_at,
           {score("c.vec", "pg_column_size(c.vec)")}
      FROM candidate c JOIN messages m USING (id)
     WHERE {_MINE} {_FILTERED if filtered else ""}
     ORDER BY m.id DESC LIMIT %(limit)s::bigint
    """)


_FIND_MESSAGES = _find_messages(filtered=False)
_FIND_FILTERED_MESSAGES = _find_messages(filtered=True)


async def find_messages(
    conn: Executor,
    *,
    user_id: int,
    filters: Filters,
    query: str,
    first_tier: str | None,
    rank: Rank,
    mark: int,
    tail: Sequence[tuple[int, str]],
    before_id: int,
    limit: int,
) -> list[MessageCandidate]:
    """Messages of *user_id* that *query* matches, before *before_id*, the newest first: indexed ones up to *mark*, and
    those of *tail* (id and vector).
    """
    params = {
        "user_id": user_id,
        **filters._asdict(),
        "query": query,
        "first_tier": first_tier,
        **rank.as_params(),
        "mark": mark,
        "tail_ids": array([message_id for message_id, _ in tail]),
        "tail_vectors": _quoted_array([vector for _, vector in tail]),
        "before_id": before_id,
        "limit": limit,
    }
    return await conn.fetch_all(
        MessageCandidate, _FIND_MESSAGES if filters.is_empty else _FIND_FILTERED_MESSAGES, params
    )


class MessageText(NamedTuple):
    id: int
    sender_id: int
    content: str
    created_at: datetime
    other_id: int
    other_name: str
    attachment: Attachment | None


async def list_message_texts(conn: Executor, *, user_id: int, message_ids: Sequence[int]) -> list[MessageText]:
    """Of these messages, those that *user_id* has sent or received and that were not taken back."""
    return await conn.fetch_all(
        MessageText,
        Prepared(f"""
        SELECT m.id, m.sender_id, m.content, m.created_at, o.id, o.name, {attachment_column("%(user_id)s::bigint")}
          FROM messages m
          JOIN users o ON o.id = CASE m.sender_id WHEN %(user_id)s::bigint THEN m.recipient_id ELSE m.sender_id END
         WHERE m.id = ANY (%(message_ids)s::bigint[]) AND {_MINE}
        """),
        {"user_id": user_id, "message_ids": array(message_ids)},
    )


# How common words are


class FrequencyRow(NamedTuple):
    token: str
    share: float  # of the pages that have it


async def list_frequencies(conn: Executor) -> list[FrequencyRow]:
    """The thousand commonest tokens of all pages, as PostgreSQL's statistics know them."""
    return await conn.fetch_all(
        FrequencyRow,
        """
        SELECT token, share
          FROM pg_stats, unnest(most_common_elems::text::text[], most_common_elem_freqs) AS t (token, share)
         WHERE schemaname = current_schema() AND tablename = 'page_search' AND attname = 'vec' AND token IS NOT NULL
        """,
    )


class _Estimate(NamedTuple):
    rows: float


async def estimate_pages(conn: Executor) -> int:
    row = await conn.fetch_one(_Estimate, "SELECT reltuples FROM pg_class WHERE oid = 'page_search'::regclass")
    return 0 if row is None else max(int(row.rows), 0)


# Indexing in the background


async def try_lock_index(tx: Connection) -> bool:
    """Whether this transaction is the one that indexes; no other node does until it ends."""
    return await take_lock(tx, "index", wait=False)


async def mark_outdated(conn: Executor, *, tokens_version: int) -> None:
    """Have documents indexed again whose tokens are of another version."""
    await conn.execute(
        "UPDATE documents SET tokens_version = 0 WHERE tokens_version NOT IN (0, %(version)s)",
        {"version": tokens_version},
    )


class UnindexedDocument(NamedTuple):
    id: int
    filename: str
    title: str | None
    copy_of: int | None  # the document whose pages it has


async def find_unindexed(conn: Executor) -> UnindexedDocument | None:
    """The newest document that is ready but not indexed."""
    return await conn.fetch_one(
        UnindexedDocument,
        Prepared("""
        SELECT id, filename, metadata->>'Title', copy_of FROM documents
         WHERE tokens_version = 0 AND status = 'ready' ORDER BY id DESC LIMIT 1
        """),
    )


async def lock_unindexed(tx: Connection, *, document_id: int) -> UnindexedDocument | None:
    """The document, if it still waits to be indexed; it is neither renamed nor deleted meanwhile."""
    return await tx.fetch_one(
        UnindexedDocument,
        """
        SELECT id, filename, metadata->>'Title', copy_of FROM documents
         WHERE id = %(document_id)s AND tokens_version = 0 AND status = 'ready' FOR NO KEY UPDATE
        """,
        {"document_id": document_id},
    )


class PageRow(NamedTuple):
    page_number: int
    text: str


async def list_pages_after(conn: Executor, *, document_id: int, after_page: int, limit: int) -> list[PageRow]:
    """The next pages of a document; of a classic one, which has none, what stands between the form feeds of its text."""
    return await conn.fetch_all(
        PageRow,
        """
        SELECT page_number, text FROM pages
         WHERE document_id = (SELECT coalesce(copy_of, id) FROM documents WHERE id = %(document_id)s)
           AND page_number > %(after_page)s
         UNION ALL
        SELECT number, text FROM documents, unnest(string_to_array(extracted_text, E'\\f')) WITH ORDINALITY AS t (text, number)
         WHERE id = %(document_id)s AND number > %(after_page)s
           AND NOT EXISTS (SELECT FROM pages WHERE document_id = coalesce(copy_of, id))
         ORDER BY page_number LIMIT %(limit)s
        """,
        {"document_id": document_id, "after_page": after_page, "limit": limit},
    )


async def mark_indexed(tx: Connection, *, document_id: int, tokens_version: int) -> None:
    await tx.execute(
        "UPDATE documents SET tokens_version = %(version)s WHERE id = %(document_id)s",
        {"document_id": document_id, "version": tokens_version},
    )


class _LastId(NamedTuple):
    last_id: int | None


async def get_last_message_id(conn: Executor) -> int:
    """The last id that was given to a message, committed or not."""
    row = await conn.fetch_one(
        _LastId,
        Prepared("""
        SELECT GREATEST(pg_sequence_last_value(pg_get_serial_sequence('messages', 'id')::regclass),
                        (SELECT max(id) FROM messages))
        """),
    )
    return 0 if row is None else row.last_id or 0


class _Writer(NamedTuple):
    transaction: str


async def list_message_writers(conn: Executor) -> set[str]:
    """The transactions that may be writing messages."""
    rows = await conn.fetch_all(
        _Writer,
        """
        SELECT DISTINCT virtualtransaction FROM pg_locks
         WHERE locktype = 'relation' AND relation = 'messages'::regclass AND mode = 'RowExclusiveLock' AND granted
           AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        """,
    )
    return {row.transaction for row in rows}


async def lock_message_mark(tx: Connection) -> int:
    row = await tx.fetch_one(_Mark, "SELECT messages_up_to FROM search_progress FOR UPDATE")
    assert row is not None
    return row.messages_up_to


async def list_messages_between(conn: Executor, *, after_id: int, up_to_id: int, limit: int) -> list[TailRow]:
    return await conn.fetch_all(
        TailRow,
        """
        SELECT id, sender_id, recipient_id, content FROM messages
         WHERE id > %(after_id)s AND id <= %(up_to_id)s ORDER BY id LIMIT %(limit)s
        """,
        {"after_id": after_id, "up_to_id": up_to_id, "limit": limit},
    )


async def put_messages(
    tx: Connection, *, user_ids: Sequence[int], message_ids: Sequence[int], vectors: Sequence[str]
) -> None:
    """Index messages of these people, who are kept from being deleted meanwhile. What an edit has indexed stays."""
    await tx.execute(
        "SELECT id FROM users WHERE id = ANY (%(user_ids)s::bigint[]) ORDER BY id FOR KEY SHARE",
        {"user_ids": array(sorted(user_ids))},
    )
    await tx.execute(
        """
        INSERT INTO message_search (message_id, vec)
        SELECT id, v FROM unnest(%(message_ids)s::bigint[], %(vectors)s::tsvector[]) AS t (id, v)
         WHERE EXISTS (SELECT FROM messages m WHERE m.id = t.id AND m.deleted_at IS NULL)
        ON CONFLICT (message_id) DO NOTHING
        """,
        {"message_ids": array(message_ids), "vectors": _quoted_array(vectors)},
    )


async def set_message_mark(tx: Connection, *, messages_up_to: int) -> None:
    await tx.execute("UPDATE search_progress SET messages_up_to = %(up_to)s", {"up_to": messages_up_to})


async def clean_index(conn: Executor) -> None:
    """Sort what was added lately into the index: every search reads through what is not."""
    await conn.execute(
        "SELECT gin_clean_pending_list('page_search_words'), gin_clean_pending_list('message_search_words')"
    )


async def analyze_pages(conn: Executor) -> None:
    await conn.execute("ANALYZE page_search")


def array(values: Sequence[int] | Sequence[float]) -> str:
    return "{" + ",".join(map(str, values)) + "}"


def _quoted_array(values: Sequence[str]) -> str:
    quoted = [value.replace("\\", "\\\\").replace('"', '\\"') for value in values]
    return "{" + ",".join(f'"{value}"' for value in quoted) + "}"
