"""Windows of candidates, the newest first: found by the index, ranked, three pages a document."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from itertools import takewhile
from typing import Literal, NamedTuple

from db import Connection
from extraction.folding import fold, strip_accents
from extraction.tokens import make_message_vector, party_key
from search import page_queries, queries
from search.cursors import Cursor, Place, Sort, fingerprint
from search.page_queries import PageCandidate, Readable
from search.patterns import TermPattern
from search.queries import CANDIDATES, Filters, MessageCandidate, Rank
from search.terms import Query
from search.vocabulary import Vocabulary

FEW_DOCUMENTS = 48  # looked up in the index one by one; of more, bands of them
BAND = 32  # documents
FIRST_BANDS = 2
MAX_BANDS = 512
BAND_GROWTH = 4
PAGES_OF_A_DOCUMENT = 3  # in the list
TAIL_MESSAGES = 20_000  # the newest that are not indexed yet, compared here
TAIL_AT_ONCE = 1000
COMPARED_AT_ONCE = 100  # of those, between two turns of other work

Kind = Literal["page", "message"]
PAGE, MESSAGE = 0, 1


class Search(NamedTuple):
    """What a person looks for."""

    text: str
    query: Query
    kind: Kind | None
    filters: Filters
    sort: Sort

    @property
    def fingerprint(self) -> str:
        return fingerprint(" ".join(self.text.split()), self.kind, *self.filters, self.sort)


class Totals(NamedTuple):
    """How many pages and messages match, also those that the list does not show; at least so many if not *exact*."""

    pages: int
    messages: int
    exact: bool


class Ranked(NamedTuple):
    place: Place
    more_on_document: int
    cursor: Cursor  # of its window


class _PageWindow(NamedTuple):
    candidates: list[PageCandidate]
    before_document: int  # where it began
    next_document: int = 0  # where the next one begins; 0: nowhere
    next_page: int = 0


class _MessageWindow(NamedTuple):
    candidates: list[MessageCandidate]
    next_message: int = 0  # where the next one begins; 0: nowhere


class Window(NamedTuple):
    ranked: list[Ranked]
    next_cursor: Cursor | None
    pages: int  # that are new in it, also those that are not ranked
    messages: int


class Reader:
    """Reads for one search in one transaction; what it has read once serves all windows."""

    def __init__(self, tx: Connection, search: Search, user_id: int, *, deadline: float, careful: bool) -> None:
        """After *deadline* no large step begins. *careful*: only small steps, as others took too long."""
        self.tx = tx
        self.search = search
        self.user_id = user_id
        self.deadline = deadline
        self.careful = careful
        self._readable: dict[int, list[Readable]] = {}
        self._tails: dict[int, queries.Tail] = {}

    async def list_readable(self, before_id: int) -> list[Readable]:
        """The newest documents before one; one more than few of them."""
        if before_id not in self._readable:
            self._readable[before_id] = await page_queries.list_readable(
                self.tx,
                user_id=self.user_id,
                filters=self.search.filters,
                before_id=before_id,
                limit=FEW_DOCUMENTS + 1,
            )
        return self._readable[before_id]

    async def list_tail(self, before_id: int) -> queries.Tail:
        """The newest messages before one that are not indexed yet."""
        if before_id in self._tails:
            return self._tails[before_id]
        tail = await queries.list_tail(self.tx, user_id=self.user_id, before_id=before_id, limit=TAIL_AT_ONCE)
        if len(tail.rows) < TAIL_AT_ONCE:  # as it nearly always is; more are not kept in memory
            self._tails[before_id] = tail
        return tail


class Asked:
    """One window of a search."""

    def __init__(self, reader: Reader, cursor: Cursor, vocabulary: Vocabulary) -> None:
        self._reader = reader
        self._search = reader.search
        self._cursor = cursor
        query = self._search.query
        self._longer = cursor.tier == 1
        self._tiers = self._search.sort == "best"
        self._tsquery = query.as_tsquery(longer=self._longer)
        self._has_copies = False
        self._is_rare = not reader.careful and vocabulary.is_rare(query, longer=self._longer)
        self._rank = Rank(
            [term.as_tsquery(longer=self._longer) for term in query.wanted],
            cursor.weights,
            [number for number, (terms, _) in enumerate(query.groups) for _ in terms],
            query.as_proximity(longer=self._longer),
            query.as_phrase(),
        )

    async def rank(self) -> Window:
        cursor, kind = self._cursor, self._search.kind
        pages = _PageWindow([], 0)
        if kind != "message" and cursor.before_document:
            pages = await self._find_pages()
        before_message = 0
        messages = _MessageWindow([])
        if kind != "page" and self._search.filters.document_id is None and cursor.before_message:
            messages = await self._find_messages()
            if messages.candidates:
                before_message = min(cursor.before_message, messages.candidates[0].id + 1)
        if self._search.sort == "newest":
            pages, messages = _end_together(pages, messages)
        here = cursor._replace(before_document=pages.before_document, before_message=before_message, after=None)
        new_messages = [row for row in messages.candidates if not row.in_first_tier]
        ranked = self._rank_pages(pages.candidates, here)
        ranked += [
            Ranked(Place(row.score, row.created_at.timestamp(), MESSAGE, row.id, 0), 0, here) for row in new_messages
        ]
        ranked.sort(key=lambda each: each.place.order(self._search.sort))
        new_pages = sum(not row.in_first_tier for row in pages.candidates)
        return Window(ranked, self._go_on(pages, messages.next_message), new_pages, len(new_messages))

    def _go_on(self, pages: _PageWindow, next_message: int) -> Cursor | None:
        if pages.next_document or next_message:
            return self._cursor._replace(
                before_document=pages.next_document, after_page=pages.next_page, before_message=next_message, after=None
            )
        if self._tiers and not self._longer and self._search.query.has_longer:
            return Cursor(tier=1, weights=self._cursor.weights)
        return None

    @property
    def _first_tier(self) -> bool:
        """Whether hits of the first tier are in the list already."""
        return self._longer and self._tiers

    # Pages

    def _rank_pages(self, candidates: Sequence[PageCandidate], here: Cursor) -> list[Ranked]:
        """The best pages of each document; those that the first tier has shown count among them."""
        in_all = Counter(row.document_id for row in candidates)
        taken = Counter(row.document_id for row in candidates if row.in_first_tier)
        most = len(candidates) if self._search.filters.document_id is not None else PAGES_OF_A_DOCUMENT
        ranked: list[Ranked] = []
        for row in sorted(candidates, key=lambda row: (-row.score, row.page_number)):
            if row.in_first_tier or taken[row.document_id] >= most:
                continue
            taken[row.document_id] += 1
            place = Place(row.score, row.created_at.timestamp(), PAGE, row.document_id, row.page_number)
            ranked.append(Ranked(place, max(in_all[row.document_id] - most, 0), here))
        return ranked

    async def _find_pages(self) -> _PageWindow:
        before_id = self._cursor.before_document
        filters = self._search.filters
        readable = await self._reader.list_readable(before_id)
        if not readable:
            return _PageWindow([], 0)
        self._has_copies = readable[0].has_copies
        before_id = readable[0].document_id + 1
        if filters.document_id is not None:
            return await self._find_in_document(before_id)
        if len(readable) <= FEW_DOCUMENTS and not self._reader.careful:
            return _close(await self._ask([row.document_id for row in readable], 0, before_id, CANDIDATES), before_id)
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
        upper, count = before_id, 1 if self._reader.careful else FIRST_BANDS
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
            if clock() + BAND_GROWTH * (clock() - began) > self._reader.deadline:
                break  # the next step would take four times as long
            count *= BAND_GROWTH
        return _PageWindow(found, before_id, upper)

    async def _ask(
        self, keys: Sequence[int] | None, from_document_id: int, before_id: int, limit: int, *, after_page: int = 0
    ) -> list[PageCandidate]:
        query = self._search.query
        asked = page_queries.Asked(
            user_id=self._reader.user_id,
            filters=self._search.filters,
            query=self._tsquery,
            any_word=query.as_any_word(longer=self._longer),
            first_tier=query.as_tsquery(longer=False) if self._first_tier else None,
            rank=self._rank,
            keys=keys,
            from_document_id=from_document_id,
            before_id=before_id,
            after_page=after_page,
            limit=limit,
        )
        found = await page_queries.find_pages(self._reader.tx, asked)
        if self._has_copies:
            found += await page_queries.find_copies(self._reader.tx, asked)
            found.sort(key=lambda row: (-row.document_id, row.page_number))
        return found[:limit]

    # Messages

    async def _find_messages(self) -> _MessageWindow:
        mark, tail = await self._find_in_tail()
        key = party_key(self._reader.user_id)
        found = await queries.find_messages(
            self._reader.tx,
            user_id=self._reader.user_id,
            filters=self._search.filters,
            query=self._search.query.as_tsquery(longer=self._longer, also=key),
            first_tier=self._search.query.as_tsquery(longer=False, also=key) if self._first_tier else None,
            rank=self._rank,
            mark=mark,
            tail=tail,
            before_id=self._cursor.before_message,
            limit=CANDIDATES,
        )
        return _MessageWindow(found, found[-1].id if len(found) == CANDIDATES else 0)

    async def _find_in_tail(self) -> tuple[int, list[tuple[int, str]]]:
        """The last indexed message, and the vectors of later ones that may match: PostgreSQL says which of them do."""
        groups = [[TermPattern(term, longer=self._longer) for term in terms] for terms, _ in self._search.query.groups]
        found: list[tuple[int, str]] = []
        mark, before_id = 0, self._cursor.before_message
        for _ in range(TAIL_MESSAGES // TAIL_AT_ONCE):
            tail = await self._reader.list_tail(before_id)
            mark = max(mark, tail.mark)
            for number, row in enumerate(tail.rows, 1):
                text = strip_accents(fold(row.content))
                if any(all(pattern.is_in(text) for pattern in patterns) for patterns in groups):
                    vector = make_message_vector(row.content, sender_id=row.sender_id, recipient_id=row.recipient_id)
                    found.append((row.id, vector))
                if number % COMPARED_AT_ONCE == 0:
                    await asyncio.sleep(0)
            if len(tail.rows) < TAIL_AT_ONCE:
                break
            before_id = tail.rows[-1].id
        return mark, found


def _close(found: list[PageCandidate], before_id: int) -> _PageWindow:
    """A window that ends between two documents, so that the best pages of each are found."""
    if len(found) < CANDIDATES:
        return _PageWindow(found, before_id)
    last_id = found[-1].document_id
    whole = [row for row in found if row.document_id != last_id]
    if whole:
        return _PageWindow(whole, before_id, last_id + 1)
    return _PageWindow(found, before_id, last_id)


def _end_together(pages: _PageWindow, messages: _MessageWindow) -> tuple[_PageWindow, _MessageWindow]:
    """Both up to the same time, if one of them goes on: what is older comes after the rest of it."""
    if pages.next_document and not pages.candidates:
        return pages, _leave(messages, 0)
    last_page = pages.candidates[-1].created_at if pages.next_document else None
    last_message = messages.candidates[-1].created_at if messages.next_message else None
    if last_page is not None and (last_message is None or last_page >= last_message):
        kept = takewhile(lambda row: row.created_at >= last_page, messages.candidates)
        return pages, _leave(messages, len(list(kept)))
    if last_message is not None:
        newer = takewhile(lambda row: row.created_at >= last_message, pages.candidates)
        kept_pages = list(newer)
        if len(kept_pages) < len(pages.candidates):
            following = pages.candidates[len(kept_pages)].document_id
            pages = pages._replace(candidates=kept_pages, next_document=following + 1, next_page=0)
    return pages, messages


def _leave(messages: _MessageWindow, count: int) -> _MessageWindow:
    """The first *count* of them; the others come later."""
    if count == len(messages.candidates):
        return messages
    return _MessageWindow(messages.candidates[:count], messages.candidates[count].id + 1)
