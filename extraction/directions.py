"""A page's text in reading order, whichever way each stretch of it is turned."""

import itertools
from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

from extraction.objects import PageObjects
from extraction.textpage import NoTextError, TextPage
from extraction.values import Box


class Piece(NamedTuple):
    """A stretch of text in one direction."""

    text: TextPage
    start: int  # in *text*
    length: int
    place: int  # in the arranged text


class ArrangedText:
    """The text in the order it was drawn, and within a line as it is read."""

    def __init__(self, page: Any, objects: PageObjects) -> None:
        """Raise NoTextError if PDFium cannot make the text."""
        self._page = page
        self._turned = objects.turned
        self._turn, self._strays = objects.find_turn()
        self.main = TextPage(page, self._turn)  # turned so that most of the text is upright
        self._others: dict[int, TextPage] = {}  # by turn, for the rest of the text

    def close(self) -> None:
        for text in (self.main, *self._others.values()):
            text.close()

    @property
    def string(self) -> str:
        return self._arranged[0]

    @property
    def pieces(self) -> list[Piece]:
        """The pieces of the string: one, if nearly all of it is written in one direction."""
        return self._arranged[1]

    @cached_property
    def _arranged(self) -> tuple[str, list[Piece]]:
        main = self.main
        if self._strays < 2 or not main.is_exact:
            return main.string, [Piece(main, 0, main.char_count, 0)]
        string = ""
        pieces: list[Piece] = []
        for text, start, count in self._list_stretches():
            if string and not string.endswith("\n"):
                string += "\r\n"
            pieces.append(Piece(text, start, count, len(string)))
            string += text.string[start : start + count]
        return string, pieces

    def _list_stretches(self) -> Iterator[tuple[TextPage, int, int]]:
        """Yield each stretch of one direction: the page's text turned for it, its start and its length."""
        objects = self.main.objects
        turns: list[int] = []
        for item in objects:
            turns.append(turns[-1] if item is None and turns else self._turned.get(item or 0, 0))
        start = 0
        for turn, group in itertools.groupby(turns):
            count = sum(1 for _ in group)
            stretch, other = None, self.main
            items = {item for item in objects[start : start + count] if item is not None}
            if turn != self._turn and len(items) > 1:
                other = self._turn_text(turn)
                # the limit keeps the time for all stretches in proportion to the page
                stretch = other.find_stretch(items, 4 * count)
            yield (self.main, start, count) if stretch is None else (other, *stretch)
            start += count

    def _turn_text(self, turn: int) -> TextPage:
        try:
            other = self._others.get(turn) or self._others.setdefault(turn, TextPage(self._page, turn))
        except NoTextError:
            return self.main
        return other if other.is_exact else self.main

    def find_boxes(self, start: int, count: int) -> Iterator[Box]:
        """Yield the boxes, in page space, of these characters of the string, one a line; none if it is not exact."""
        if not self.main.is_exact:
            return
        for piece in self.pieces:
            first, last = max(start, piece.place), min(start + count, piece.place + piece.length)
            if first < last:
                yield from piece.text.find_rects(first - piece.place + piece.start, last - first)
