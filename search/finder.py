"""The search itself: windows of candidates, the newest first, each ranked; pages and messages in one list."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from typing import Literal, NamedTuple

from db import Connection, Database
from errors import DatabaseUnavailableError, SearchTimeoutError
from extraction.folding import fold, strip_accents
from extraction.tokens import make_message_vector, party_key
from extraction.turns import TaskQueue
from search import queries
from search.cursors import Cursor, Place, fingerprint, first_after
from search.patterns import TermPattern
from search.queries import CANDIDATES, Filters, MessageText, PageCandidate, PageText, Rank
from search.snippets import Highlighter, Snippet
from search.terms import Query
from search.vocabulary import Vocabulary

SEARCHES_AT_ONCE = 4  # of the pool's connections
PATIENCE_SECONDS = 3.0  # for a turn
ENOUGH_SECONDS = 0.5  # then the answer is what was found so far, and a cursor
STATEMENT_SECONDS = 1.0
FEW_DOCUMENTS = 48  # looked up in the index one by one; of more, bands of them
BAND = 32  # documents
FIRST_BANDS = 2
MAX_BANDS = 512
BAND_GROWTH = 4
PAGES_OF_A_DOCUMENT = 3  # in the list
TAIL_MESSAGES = 20_000  # the newest that are not indexed yet, compared here
TAIL_AT_ONCE = 1000
COMPARED_AT_ONCE = 100  # of those, between two turns of other work
LONG_TEXT = 20_000  # characters; longer ones are looked through in a thread
QUERY_CANCELED = "57014"  # PostgreSQL manual, appendix A

Kind = Literal["page", "message"]
PAGE, MESSAGE = 0, 1


class Search(NamedTuple):
    """What a person looks for."""

    text: str
    query: Query
    kind: Kind | None
    filters: Filters

    @property
    def fingerprint(self) -> str:
        return fingerprint(" ".join(self.text.split()), self.kind, *self.filters)


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


class _Ranked(NamedTuple):
    place: Place
    more_on_document: int
    cursor: Cursor  # of its window


class _PageWindow(NamedTuple):
    candidates: list[PageCandidate]
    before_document: int  # where it began
    next_document: int = 0  # where the next one begins; 0: nowhere
    next_page: int = 0


class _Window(NamedTuple):
    ranked: list[_Ranked]
    next_cursor: Cursor | None


class Finder:
    """Searches for people; at most four at once, the others wait for a turn.

    A list has two tiers: first what holds the words as they were typed, then what holds longer words that begin with
    them. Each tier is a row of windows: the newest 300 pages and messages, the next 300, and so on. Hits are ranked
    within their window.
    """

    def __init__(self, database: Database, vocabulary: Vocabulary) -> None:
        self._database = database
        self._vocabulary = vocabulary
        self._queue = TaskQueue(SEARCHES_AT_ONCE, patience_seconds=PATIENCE_SECONDS)

    async def find(self, search: Search, *, user_id: int, limit: int, cursor: Cursor | None) -> Found:
        """The next *limit* hits that *user_id* may see; fewer if it takes long, with a cursor to go on.

        Raises:
            BusyError: if too many searches wait; SearchTimeoutError: if not even a part can be searched in time.
        """
        async with self._queue.take_turn(user_id, patient=False):
            ranked, next_cursor = await self._list(search, user_id, limit, cursor or self._begin(search))
            hits = await self._show(search, user_id, ranked)
        return Found(hits, next_cursor)

    def _begin(self, search: Search) -> Cursor:
        return Cursor(weights=tuple(self._vocabulary.weigh(term) for term in search.query.wanted))

    async def _list(
        self, search: Search, user_id: int, limit: int, cursor: Cursor
    ) -> tuple[list[_Ranked], Cursor | None]:
        clock = asyncio.get_running_loop().time
        deadline = clock() + ENOUGH_SECONDS
        found: list[_Ranked] = []
        upcoming: Cursor | None = cursor
        while upcoming is not None and len(found) <= limit and clock() < deadline:
            window = await self._rank_window(search, user_id, upcoming, deadline)
            places = [ranked.place for ranked in window.ranked]
            found += window.ranked[first_after(places, upcoming.after) :]
            upcoming = window.next_cursor
        if len(found) > limit:
            last = found[limit - 1]
            return found[:limit], last.cursor._replace(after=last.place)
        return found, upcoming

    # A window

    async def _rank_window(self, search: Search, user_id: int, cursor: Cursor, deadline: float) -> _Window:
        for careful in (False, True):
            try:
                async with self._database.transaction() as tx:
                    await queries.prepare_session(tx, seconds=STATEMENT_SECONDS)
                    asked = _Asked(tx, search, user_id, cursor, deadline, self._vocabulary, careful)
                    return await asked.rank()
            except DatabaseUnavailableError as error:
                if getattr(error.__cause__, "pgcode", None) != QUERY_CANCELED:
                    raise
        raise SearchTimeoutError

    # What is shown

    async def _show(self, search: Search, user_id: int, ranked: Sequence[_Ranked]) -> list[PageHit | MessageHit]:
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


async def _cut(highlighter: Highlighter, text: str) -> Snippet:
    if len(text) > LONG_TEXT:
        return await asyncio.to_thread(highlighter.show, text)
    await asyncio.sleep(0)
    return highlighter.show(text)


class _Asked:
    """One window of one search, in one transaction."""

    def __init__(
        self,
        tx: Connection,
        search: Search,
        user_id: int,
        cursor: Cursor,
        deadline: float,
        vocabulary: Vocabulary,
        careful: bool,
    ) -> None:
        """*careful*: in small steps, because larger ones took too long."""
        self._tx = tx
        self._search = search
        self._user_id = user_id
        self._cursor = cursor
        self._deadline = deadline
        self._careful = careful
        query = search.query
        self._longer = cursor.tier == 1
        self._tsquery = query.as_tsquery(longer=self._longer)
        self._exact = query.as_tsquery(longer=False)
        self._is_rare = not careful and vocabulary.is_rare(query, longer=self._longer)
        self._rank = Rank(
            [term.as_tsquery(longer=self._longer) for term in query.wanted],
            cursor.weights,
            query.as_proximity(longer=self._longer),
            query.as_phrase(),
        )

    async def rank(self) -> _Window:
        cursor, kind = self._cursor, self._search.kind
        pages = _PageWindow([], 0)
        if kind != "message" and cursor.before_document:
            pages = await self._find_pages()
        before_message = next_message = 0
        messages: list[queries.MessageCandidate] = []
        if kind != "page" and self._search.filters.document_id is None and cursor.before_message:
            messages = await self._find_messages()
            before_message = min(cursor.before_message, messages[0].id + 1) if messages else 0
            next_message = messages[-1].id if len(messages) == CANDIDATES else 0
        here = cursor._replace(before_document=pages.before_document, before_message=before_message, after=None)
        ranked = self._rank_pages(pages.candidates, here)
        ranked += [
            _Ranked(Place(row.score, row.created_at.timestamp(), MESSAGE, row.id, 0), 0, here)
            for row in messages
            if not (self._longer and row.is_exact)
        ]
        ranked.sort(key=lambda each: each.place.order)
        return _Window(ranked, self._go_on(pages, next_message))

    def _go_on(self, pages: _PageWindow, next_message: int) -> Cursor | None:
        if pages.next_document or next_message:
            return self._cursor._replace(
                before_document=pages.next_document, after_page=pages.next_page, before_message=next_message, after=None
            )
        if not self._longer and self._search.query.has_longer:
            return Cursor(tier=1, weights=self._cursor.weights)
        return None

    # Pages

    def _rank_pages(self, candidates: Sequence[PageCandidate], here: Cursor) -> list[_Ranked]:
        """The best pages of each document; those that the first tier has shown count among them."""
        in_all = Counter(row.document_id for row in candidates)
        taken = Counter(row.document_id for row in candidates if self._longer and row.is_exact)
        most = len(candidates) if self._search.filters.document_id is not None else PAGES_OF_A_DOCUMENT
        ranked: list[_Ranked] = []
        for row in sorted(candidates, key=lambda row: (-row.score, row.page_number)):
            if (self._longer and row.is_exact) or taken[row.document_id] >= most:
                continue
            taken[row.document_id] += 1
            place = Place(row.score, row.created_at.timestamp(), PAGE, row.document_id, row.page_number)
            ranked.append(_Ranked(place, max(in_all[row.document_id] - most, 0), here))
        return ranked

    async def _find_pages(self) -> _PageWindow:
        before_id = self._cursor.before_document
        filters = self._search.filters
        readable = await queries.list_readable(
            self._tx, user_id=self._user_id, filters=filters, before_id=before_id, limit=FEW_DOCUMENTS + 1
        )
        if not readable:
            return _PageWindow([], 0)
        before_id = readable[0] + 1
        if filters.document_id is not None:
            return await self._find_in_document(before_id)
        if len(readable) <= FEW_DOCUMENTS and not self._careful:
            return _close(await self._ask(readable, 0, before_id, CANDIDATES), before_id)
        if self._is_rare:
            return _close(await self._ask(None, 0, before_id, CANDIDATES), before_id)
        return await self._find_in_bands(before_id)

    async def _find_in_document(self, before_id: int) -> _PageWindow:
        after_page = self._cursor.after_page
        found = await self._ask([before_id - 1], 0, before_id, CANDIDATES, after_page=after_page)
        if len(found) < CANDIDATES:
            return _PageWindow(found, before_id)
        return _PageWindow(found, before_id, before_id, found[-1].page_number)

    async def _find_in_bands(self, before_id: int) -> _PageWindow:
        """Look through bands of documents, the newest first, four times as many each time, until there are enough."""
        clock = asyncio.get_running_loop().time
        found: list[PageCandidate] = []
        upper, count = before_id, 1 if self._careful else FIRST_BANDS
        while upper > 0:
            newest = (upper - 1) // BAND
            oldest = max(newest - count + 1, 0) if count <= MAX_BANDS else 0
            keys = [-band - 1 for band in range(oldest, newest + 1)] if count <= MAX_BANDS else None
            began = clock()
            wanted = CANDIDATES - len(found)
            rows = await self._ask(keys, oldest * BAND, upper, wanted)
            found += rows
            if len(rows) == wanted:
                return _close(found, before_id)
            upper = oldest * BAND
            if clock() + BAND_GROWTH * (clock() - began) > self._deadline:
                break  # the next step would take four times as long
            count *= BAND_GROWTH
        return _PageWindow(found, before_id, upper)

    async def _ask(
        self, keys: Sequence[int] | None, from_document_id: int, before_id: int, limit: int, *, after_page: int = 0
    ) -> list[PageCandidate]:
        return await queries.find_pages(
            self._tx,
            user_id=self._user_id,
            filters=self._search.filters,
            query=self._tsquery,
            exact=self._exact,
            rank=self._rank,
            keys=keys,
            from_document_id=from_document_id,
            before_id=before_id,
            after_page=after_page,
            limit=limit,
        )

    # Messages

    async def _find_messages(self) -> list[queries.MessageCandidate]:
        mark = await queries.get_message_mark(self._tx)
        key = party_key(self._user_id)
        return await queries.find_messages(
            self._tx,
            user_id=self._user_id,
            filters=self._search.filters,
            query=self._search.query.as_tsquery(longer=self._longer, also=key),
            exact=self._search.query.as_tsquery(longer=False, also=key),
            rank=self._rank,
            mark=mark,
            tail=await self._find_in_tail(mark),
            before_id=self._cursor.before_message,
            limit=CANDIDATES,
        )

    async def _find_in_tail(self, mark: int) -> list[tuple[int, str]]:
        """The vectors of the messages after *mark* that may match, which are few; PostgreSQL says which of them do."""
        groups = [[TermPattern(term, longer=self._longer) for term in terms] for terms, _ in self._search.query.groups]
        found: list[tuple[int, str]] = []
        before_id = self._cursor.before_message
        for _ in range(TAIL_MESSAGES // TAIL_AT_ONCE):
            rows = await queries.list_tail(
                self._tx, user_id=self._user_id, after_id=mark, before_id=before_id, limit=TAIL_AT_ONCE
            )
            for number, row in enumerate(rows, 1):
                text = strip_accents(fold(row.content))
                if any(all(pattern.is_in(text) for pattern in patterns) for patterns in groups):
                    vector = make_message_vector(row.content, sender_id=row.sender_id, recipient_id=row.recipient_id)
                    found.append((row.id, vector))
                if number % COMPARED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if len(rows) < TAIL_AT_ONCE:
                break
            before_id = rows[-1].id
        return found


def _close(found: list[PageCandidate], before_id: int) -> _PageWindow:
    """A window that ends between two documents, so that the best pages of each are found."""
    if len(found) < CANDIDATES:
        return _PageWindow(found, before_id)
    last_id = found[-1].document_id
    whole = [row for row in found if row.document_id != last_id]
    if whole:
        return _PageWindow(whole, before_id, last_id + 1)
    return _PageWindow(found, before_id, last_id)
