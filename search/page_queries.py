"""Every SQL statement that finds pages: documents that a person may read, and of those the pages that match, with their scores."""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, NamedTuple

from db import Executor, Prepared
from delivery.attachments import READERS
from search.queries import TERMS, Filters, Rank, array, score

_READABLE = f"SELECT document_id FROM {READERS} AS r WHERE user_id = %(user_id)s::bigint"
_FILTERED_READABLE = f"""
    SELECT r.document_id FROM ({_READABLE} OFFSET 0) AS r JOIN documents d ON d.id = r.document_id   -- fenced: from mine, not from all
     WHERE (%(document_id)s::bigint IS NULL OR d.id = %(document_id)s::bigint)
       AND (%(from_id)s::bigint IS NULL OR d.user_id = %(from_id)s::bigint)
       AND (%(before)s::timestamptz IS NULL OR d.created_at < %(before)s::timestamptz)
       AND (%(after)s::timestamptz IS NULL OR d.created_at >= %(after)s::timestamptz)
"""


class Readable(NamedTuple):
    document_id: int
    has_copies: bool  # whether any document has the pages of another one


def _list_readable(readable: str) -> Prepared:
    return Prepared(f"""
    SELECT document_id, EXISTS (SELECT FROM documents WHERE names IS NOT NULL)
      FROM ({readable}) AS mine
     WHERE document_id < %(before_id)s::bigint ORDER BY document_id DESC LIMIT %(limit)s::bigint
    """)


_LIST_READABLE = _list_readable(_READABLE)
_LIST_FILTERED = _list_readable(_FILTERED_READABLE)


async def list_readable(
    conn: Executor, *, user_id: int, filters: Filters, before_id: int, limit: int
) -> list[Readable]:
    """The newest documents before *before_id* that *user_id* may read."""
    return await conn.fetch_all(
        Readable,
        _LIST_READABLE if filters.is_empty else _LIST_FILTERED,
        {"user_id": user_id, **filters._asdict(), "before_id": before_id, "limit": limit},
    )


class PageCandidate(NamedTuple):
    document_id: int
    page_number: int
    created_at: datetime
    score: float
    in_first_tier: bool


class Asked(NamedTuple):
    """What pages are asked for."""

    user_id: int
    filters: Filters
    query: str  # a tsquery
    any_word: str  # any of its terms, also those that must not be there
    first_tier: str | None  # what the first tier has found
    rank: Rank
    keys: Sequence[int] | None  # documents, or bands of them, that narrow the index; None does not
    from_document_id: int
    before_id: int  # documents from the one to before the other
    after_page: int
    limit: int

    @property
    def narrowed(self) -> "Narrowed":
        return None if self.keys is None else "documents" if self.keys[0] >= 0 else "bands"

    def as_params(self) -> dict[str, object]:
        return {
            **self._asdict(),
            **self.filters._asdict(),
            **self.rank.as_params(),
            "keys": None if self.keys is None else array(self.keys),
        }


Narrowed = Literal["documents", "bands"] | None
_ORDER = "document_id DESC, page_number"


def _is_asked_for(*, filtered: bool) -> str:
    return f"""
    document_id < %(before_id)s::bigint AND document_id >= %(from_document_id)s::bigint
    AND (document_id IN ({_FILTERED_READABLE if filtered else _READABLE})) IS TRUE   -- hashed; a join may compare each with each
    """


def _find_pages(*, narrowed: Narrowed, filtered: bool) -> Prepared:
    return Prepared(f"""
    WITH {TERMS}, found AS MATERIALIZED (
        SELECT document_id, page_number FROM page_search
         WHERE vec @@ %(query)s::tsquery {"" if narrowed is None else "AND keys && %(keys)s::bigint[]"}
    ), newest AS MATERIALIZED (
        SELECT document_id, page_number FROM found
         WHERE page_number > %(after_page)s::integer AND {_is_asked_for(filtered=filtered)}
         ORDER BY {_ORDER} LIMIT %(limit)s::bigint
    )
    SELECT n.document_id, n.page_number, d.created_at, {score("p.vec", "pg_column_size(p.vec)")}
      FROM newest n JOIN documents d ON d.id = n.document_id
     CROSS JOIN LATERAL (   -- fenced: else the planner may go through all pages of the document for each of them
           SELECT vec FROM page_search s WHERE s.document_id = n.document_id AND s.page_number = n.page_number OFFSET 0) AS p
     ORDER BY {_ORDER}
    """)


# Copies are found by the rows of another document, but by their own names. What a name already has of the words, its pages need
# not have: with the rest of them the index is asked, and what it finds is compared once more, as its rows have the words of the
# other's name, too.
_FEW_ORIGINS = 200  # looked up in the index one by one; else a word is looked up in all
_REST = """
    SELECT CASE WHEN bool_and(wanted IS NOT NULL) THEN string_agg(wanted, ' | ')::tsquery END
      FROM (SELECT '(' || string_agg('(' || query::text || ')', ' & ') FILTER (WHERE NOT d.names @@ query) || ')' AS wanted
              FROM term GROUP BY alternative) AS alternatives
"""
_OTHER_NAMES = "ts_filter(s.vec, '{a}')"  # in a row of page_search


def _as_named(names: str) -> str:
    """The vector of a page under the name of a copy. Where both names have none of the words, it need not be made."""
    return f"""
    CASE WHEN {names} = {_OTHER_NAMES}
           OR NOT ({names} @@ %(any_word)s::tsquery OR {_OTHER_NAMES} @@ %(any_word)s::tsquery) THEN s.vec
         ELSE {names} || ts_filter(s.vec, '{{d}}') END
    """


def _find_copies(*, narrowed: Narrowed, filtered: bool) -> Prepared:
    return Prepared(f"""
    WITH {TERMS}, copy AS MATERIALIZED (
        SELECT document_id, copy_of, names, ({_REST}) AS rest
          FROM (SELECT id AS document_id, copy_of, names FROM documents WHERE names IS NOT NULL) AS d
         WHERE {"document_id = ANY(%(keys)s::bigint[]) AND" if narrowed == "documents" else ""} {_is_asked_for(filtered=filtered)}
    ), found AS MATERIALIZED (
        SELECT DISTINCT s.document_id, s.page_number
          FROM (SELECT rest, array_agg(DISTINCT copy_of) AS origins FROM copy GROUP BY rest) AS asked
         CROSS JOIN LATERAL (
               SELECT document_id, page_number FROM page_search
                WHERE vec @@ asked.rest AND keys && asked.origins AND cardinality(asked.origins) <= {_FEW_ORIGINS}
                UNION ALL
               SELECT document_id, page_number FROM page_search
                WHERE vec @@ asked.rest AND cardinality(asked.origins) > {_FEW_ORIGINS}
                UNION ALL
               SELECT document_id, page_number FROM page_search WHERE asked.rest IS NULL AND document_id = ANY(asked.origins)
               ) AS s
         WHERE (s.document_id IN (SELECT copy_of FROM copy)) IS TRUE AND s.page_number > %(after_page)s::integer
    ), listed AS MATERIALIZED (
        SELECT c.document_id, f.page_number, c.copy_of, c.names
          FROM found f
         CROSS JOIN LATERAL (SELECT id AS document_id, copy_of, names FROM documents
                              WHERE copy_of = f.document_id AND names IS NOT NULL OFFSET 0) AS c
         WHERE (c.document_id IN (SELECT document_id FROM copy)) IS TRUE
    ), newest AS MATERIALIZED (
        SELECT l.document_id, l.page_number, l.copy_of, l.names
          FROM (SELECT * FROM listed ORDER BY {_ORDER} OFFSET 0) AS l   -- fenced: compared in their order, until there are enough
         CROSS JOIN LATERAL (
               SELECT FROM page_search s
                WHERE s.document_id = l.copy_of AND s.page_number = l.page_number
                  AND {_as_named("l.names")} @@ %(query)s::tsquery OFFSET 0) AS matching
         ORDER BY {_ORDER} LIMIT %(limit)s::bigint
    )
    SELECT n.document_id, n.page_number, d.created_at, {score("p.vec", "p.size")}
      FROM newest n JOIN documents d ON d.id = n.document_id
     CROSS JOIN LATERAL (
           SELECT {_as_named("n.names")} AS vec,
                  pg_column_size(s.vec) + pg_column_size(n.names) - pg_column_size({_OTHER_NAMES}) AS size
             FROM page_search s WHERE s.document_id = n.copy_of AND s.page_number = n.page_number OFFSET 0) AS p
     ORDER BY {_ORDER}
    """)


_WAYS: list[tuple[Narrowed, bool]] = [
    (narrowed, filtered) for narrowed in ("documents", "bands", None) for filtered in (False, True)
]
_FIND_PAGES = {way: _find_pages(narrowed=way[0], filtered=way[1]) for way in _WAYS}
_FIND_COPIES = {way: _find_copies(narrowed=way[0], filtered=way[1]) for way in _WAYS}


async def find_pages(conn: Executor, asked: Asked) -> list[PageCandidate]:
    """The pages that match, of documents that have their own; the newest document first."""
    statement = _FIND_PAGES[asked.narrowed, not asked.filters.is_empty]
    return await conn.fetch_all(PageCandidate, statement, asked.as_params())


async def find_copies(conn: Executor, asked: Asked) -> list[PageCandidate]:
    """The same of documents that have the pages of others."""
    statement = _FIND_COPIES[asked.narrowed, not asked.filters.is_empty]
    return await conn.fetch_all(PageCandidate, statement, asked.as_params())
