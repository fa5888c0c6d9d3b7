"""What a hit shows: about 160 characters around the densest place, cut from the text as it is."""

from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

from extraction.folding import fold, fold_character
from search.patterns import TermPattern
from search.terms import Query

CHARACTERS = 160
MAX_CHARACTERS = 320  # of a snippet whose hit is longer than that
WORD_CHARACTERS = 20  # a longer word is cut
MAX_MATCHES = 1000  # counted on one page


class Piece(NamedTuple):
    text: str
    hit: bool


class Snippet(NamedTuple):
    pieces: list[Piece]
    matches: int  # hits in the whole text


class _Hit(NamedTuple):
    start: int
    end: int
    term: int


class Highlighter:
    """Finds the words of a query in a text."""

    def __init__(self, query: Query, *, longer: bool) -> None:
        """*longer*: also in longer words that begin with them."""
        self._terms = [(TermPattern(term, longer=longer), term.accents) for term in dict.fromkeys(query.wanted)]

    def show(self, text: str) -> Snippet:
        hits = self._find_hits(text)
        if not hits:
            start, end = 0, _end_of_word(text, 0, min(CHARACTERS, len(text)))
            return Snippet([Piece(text[:end], False)] if end else [], 0)
        shown = _find_densest(hits)
        start, end = _widen(text, shown[0].start, shown[-1].end)
        inside = [hit for hit in hits if hit.start >= start and hit.end <= end] or shown[:1]
        return Snippet(_cut(text, start, end, inside), len(hits))

    def _find_hits(self, text: str) -> list[_Hit]:
        """The hits in order; one that lies in another does not count."""
        folded, origins = _trace(text)
        found: list[_Hit] = []
        for number, (pattern, accents) in enumerate(self._terms):
            for start, end in islice(pattern.find(folded), MAX_MATCHES):
                if origins is not None:
                    start, end = origins[start], origins[end - 1] + 1
                    while end < len(text) and not fold_character(text[end]):  # an accent of the last letter
                        end += 1
                if not accents or all(accent in fold(text[start:end]) for accent in accents):
                    found.append(_Hit(start, end, number))
        hits: list[_Hit] = []
        for hit in sorted(found, key=lambda hit: (hit.start, -hit.end)):
            if not hits or hit.start >= hits[-1].end:
                hits.append(hit)
        return hits


def _trace(text: str) -> tuple[str, list[int] | None]:
    """*text* folded without accents, and the place in *text* of each character; None if they are the same."""
    if text.isascii():
        return text.lower(), None
    pieces = [fold_character(char) for char in text]
    folded = "".join(pieces)
    if len(folded) == len(text) and all(map(len, pieces)):
        return folded, None
    return folded, [place for place, piece in enumerate(pieces) for _ in piece]


def _find_densest(hits: Sequence[_Hit]) -> Sequence[_Hit]:
    """The hits within one snippet's length that have most of the terms, then most hits; the first such."""
    best, most = hits[:1], (0, 0)
    first = 0
    for last, hit in enumerate(hits, 1):
        while hit.end - hits[first].start > CHARACTERS and first < last - 1:
            first += 1
        inside = hits[first:last]
        weight = (len({each.term for each in inside}), len(inside))
        if weight > most:
            best, most = inside, weight
    return best


def _widen(text: str, start: int, end: int) -> tuple[int, int]:
    """A snippet's length around a place, of whole words."""
    end = min(end, start + MAX_CHARACTERS)
    room = max(CHARACTERS - (end - start), 0)
    left = max(start - room // 3, 0)
    right = min(end + room - (start - left), len(text))
    left = max(min(left, right - CHARACTERS), 0)
    return _start_of_word(text, left, start), _end_of_word(text, end, right)


def _start_of_word(text: str, left: int, stop: int) -> int:
    """The first place from *left* on where a word begins, at most *stop*."""
    if left == 0 or text[left - 1].isspace():
        return left
    for place in range(left, min(left + WORD_CHARACTERS, stop)):
        if text[place].isspace():
            return place + 1
    return left if not _cuts_a_character(text, left) else min(left + 1, stop)


def _end_of_word(text: str, stop: int, right: int) -> int:
    """The last place up to *right* where a word ends, at least *stop*."""
    if right >= len(text) or text[right].isspace():
        return right
    for place in range(right, max(right - WORD_CHARACTERS, stop), -1):
        if text[place - 1].isspace():
            return place - 1
    while right > stop and _cuts_a_character(text, right):
        right -= 1
    return right


def _cuts_a_character(text: str, place: int) -> bool:
    return not fold_character(text[place])


def _cut(text: str, start: int, end: int, hits: Sequence[_Hit]) -> list[Piece]:
    pieces: list[Piece] = []
    place = start
    for hit in hits:
        if hit.start > place:
            pieces.append(Piece(text[place : hit.start], False))
        pieces.append(Piece(text[max(hit.start, place) : min(hit.end, end)], True))
        place = hit.end
    if place < end:
        pieces.append(Piece(text[place:end], False))
    return [piece for piece in pieces if piece.text]
