"""The search itself: pages and messages in one list, and what is shown of them."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from db import Database
from errors import DatabaseUnavailableError, SearchTimeoutError
from extraction.workers.turns import Turns
from search import queries
from search.cursors import Cursor, first_after
from search.queries import MessageText, PageText
from search.snippets import Highlighter, Snippet
from search.vocabulary import Vocabulary
from search.windows import MESSAGE, PAGE, Asked, Ranked, Reader, Search, Totals

SEARCHES_AT_ONCE = 4  # of the pool's connections
PATIENCE_SECONDS = 3.0  # for a turn
ENOUGH_SECONDS = 0.5  # then the answer is what was found so far, and a cursor
STATEMENT_SECONDS = 1.0
COUNTED = 100  # hits; of more, those that are found anyway
LONG_TEXT = 20_000  # characters; longer ones are looked through in a thread
QUERY_CANCELED = "57014"  # PostgreSQL manual, appendix A


class PageHit(NamedTuple):
    page: PageText
    snippet: Snippet
    score: float
    more_on_document: int


class MessageHit(NamedTuple):
    message: MessageText
    snippet: Snippet
    score: float


class Found(NamedTuple):
    hits: list[PageHit | MessageHit]
    next_cursor: Cursor | None
    totals: Totals | None  # of a list from its beginning


class Finder:
    """Searches for people; at most four at once, the others wait for a turn.

    A list has two tiers: first what holds the words as they were typed, then what holds longer words that begin with
    them. Each tier is a row of windows: the newest 300 pages and messages, the next 300, and so on. Hits are ranked
    within their window. Sorted by time there is one tier, of both.
    """

    def __init__(self, database: Database, vocabulary: Vocabulary) -> None:
        self._database = database
        self._vocabulary = vocabulary
        self._turns = Turns(SEARCHES_AT_ONCE, patience_seconds=PATIENCE_SECONDS)

    async def find(self, search: Search, *, user_id: int, limit: int, cursor: Cursor | None) -> Found:
        """The next *limit* hits that *user_id* may see; fewer if it takes long, with a cursor to go on.

        Raises:
            BusyError: if too many searches wait; SearchTimeoutError: if not even a part can be searched in time.
        """
        async with self._turns.take(user_id):
            listed = await self._list(search, user_id, limit, cursor)
            ranked, next_cursor = listed.end(limit)
            hits = await self._show(search, user_id, ranked)
        return Found(hits, next_cursor, listed.count() if cursor is None else None)

    def _begin(self, search: Search) -> Cursor:
        tier = 1 if search.sort == "newest" and search.query.has_longer else 0
        return Cursor(tier, weights=tuple(self._vocabulary.weigh(term) for term in search.query.wanted))

    async def _list(self, search: Search, user_id: int, limit: int, cursor: Cursor | None) -> "_List":
        """The next hits, and where to go on; a statement that takes too long ends the list, or is split up."""
        deadline = asyncio.get_running_loop().time() + ENOUGH_SECONDS
        listed = _List(cursor or self._begin(search), counted=COUNTED if cursor is None else 0)
        for careful in (False, True):
            try:
                async with self._database.transaction(settings=queries.settings(seconds=STATEMENT_SECONDS)) as tx:
                    reader = Reader(tx, search, user_id, deadline=deadline, careful=careful)
                    await listed.add_windows(reader, limit, self._vocabulary)
                break
            except DatabaseUnavailableError as error:
                if getattr(error.__cause__, "pgcode", None) != QUERY_CANCELED:
                    raise
                if listed.found:
                    break
        else:
            raise SearchTimeoutError
        return listed

    # What is shown

    async def _show(self, search: Search, user_id: int, ranked: Sequence[Ranked]) -> list[PageHit | MessageHit]:
        """The hits with their texts, as far as *user_id* may read them at this moment."""
        places = [each.place for each in ranked]
        pages = [(place.id, place.page) for place in places if place.kind == PAGE]
        message_ids = [place.id for place in places if place.kind == MESSAGE]
        page_texts: dict[tuple[int, int], PageText] = {}
        message_texts: dict[int, MessageText] = {}
        if pages:
            rows = await queries.list_page_texts(self._database, user_id=user_id, pages=pages)
            page_texts = {(row.document_id, row.page_number): row for row in rows}
        if message_ids:
            found = await queries.list_message_texts(self._database, user_id=user_id, message_ids=message_ids)
            message_texts = {row.id: row for row in found}
        highlighters = {
            tier: Highlighter(search.query, longer=tier == 1) for tier in {each.cursor.tier for each in ranked}
        }
        hits: list[PageHit | MessageHit] = []
        for each in ranked:
            place, highlighter = each.place, highlighters[each.cursor.tier]
            if place.kind == PAGE and (page := page_texts.get((place.id, place.page))):
                hits.append(PageHit(page, await _cut(highlighter, page.text), place.score, each.more_on_document))
            elif place.kind == MESSAGE and (message := message_texts.get(place.id)):
                hits.append(MessageHit(message, await _cut(highlighter, message.content), place.score))
        return hits


class _List:
    """What is found so far, and where it goes on: until there is enough to show, and *counted* hits are counted."""

    def __init__(self, cursor: Cursor, *, counted: int) -> None:
        self.found: list[Ranked] = []
        self._upcoming: Cursor | None = cursor
        self._counted = counted
        self._pages = self._messages = 0

    async def add_windows(self, reader: Reader, limit: int, vocabulary: Vocabulary) -> None:
        clock = asyncio.get_running_loop().time
        is_first = True
        while self._upcoming is not None and self._wants_more(limit) and (is_first or clock() < reader.deadline):
            window = await Asked(reader, self._upcoming, vocabulary).rank()
            places = [ranked.place for ranked in window.ranked]
            self.found += window.ranked[first_after(places, self._upcoming.after, reader.search.sort) :]
            self._pages += window.pages
            self._messages += window.messages
            self._upcoming = window.next_cursor
            is_first = False

    def _wants_more(self, limit: int) -> bool:
        return len(self.found) <= limit or self._pages + self._messages < self._counted

    def count(self) -> Totals:
        return Totals(self._pages, self._messages, self._upcoming is None)

    def end(self, limit: int) -> tuple[list[Ranked], Cursor | None]:
        if len(self.found) <= limit:
            return self.found, self._upcoming
        last = self.found[limit - 1]
        return self.found[:limit], last.cursor._replace(after=last.place)


async def _cut(highlighter: Highlighter, text: str) -> Snippet:
    if len(text) > LONG_TEXT:
        return await asyncio.to_thread(highlighter.show, text)
    await asyncio.sleep(0)
    return highlighter.show(text)
