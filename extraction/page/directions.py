"""A page's text in reading order, whichever way each stretch of it is turned."""

import contextlib
import itertools
import struct
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any, NamedTuple

from extraction.page.bidi import attach_marks, mend_right_to_left
from extraction.page.geometry import UPRIGHT, Matrix, multiply, transform
from extraction.page.native import get_text_object
from extraction.page.objects import PageObjects
from extraction.page.order import is_vertical, join_columns, place_added, put_in_order
from extraction.page.prose import part_columns
from extraction.page.textlines import BREAK, Line, LineReader, Span, Stretch, break_lines, join_raised, write_lines
from extraction.page.textpage import NoTextError, TextPage
from extraction.values import Box

FEW = 50  # objects; to ask for the text of one takes as long as to ask for the objects of two hundredths of a page


class Piece(NamedTuple):
    """Consecutive characters of a text page."""

    text: TextPage
    start: int  # in *text*
    length: int
    place: int  # in the arranged text


_Stretch = tuple[str, TextPage, int, int]  # what stands before it, its text page, its start there, and its length


class ArrangedText:
    """The text in the order in which it is read: that of drawing, unless the geometry is clear."""

    def __init__(self, page: Any, objects: PageObjects, to_display: Matrix) -> None:
        """Raise NoTextError if PDFium cannot make the text."""
        self._page = page
        self._objects = objects
        self._to_display = to_display
        self._turned = objects.turned
        self.turn, self._strays = objects.find_turn()
        self.main = TextPage(page, self.turn)  # turned so that most of the text is upright
        self._others: dict[int, TextPage] = {}  # by turn, for the rest of the text
        self.overlay: TextPage | None = None  # what is written over the text, once it is read

    def close(self) -> None:
        for text in (self.main, *self._others.values(), *filter(None, [self.overlay])):
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
        if not main.is_exact:
            return main.string, [Piece(main, 0, main.char_count, 0)]
        string = ""
        pieces: list[Piece] = []
        for glue, text, start, count in self._list_stretches_glued():
            string += glue
            if count:
                pieces.append(Piece(text, start, count, len(string)))
                string += text.string[start : start + count]
        if self._objects.overlays and (over := self._read_overlay()) is not None:
            string += BREAK if string else ""
            pieces.append(Piece(over, *_strip(over.string), len(string)))
            string += over.string.strip()
        return string, pieces

    def _read_overlay(self) -> TextPage | None:
        """Return what is written over the text, which is read after it; None if it is blank, or cannot be read."""
        if self.overlay is None:
            with self._objects.overlays_alone(), contextlib.suppress(NoTextError):
                self.overlay = TextPage(self._page, self._objects.overlay_turn)
        over = self.overlay
        return over if over is not None and over.is_exact and over.string.strip() else None

    @property
    def has_strays(self) -> bool:
        """Whether some of the main text is turned otherwise than most of it."""
        return self._strays > 0

    def is_stray(self, place: int) -> bool:
        """Whether this character of the main text is turned otherwise than most of it."""
        item = get_text_object(self.main.handle, place)
        return item is not None and self._turned.get(item, 0) != self.turn

    def list_glued(self) -> Iterator[tuple[str, Piece]]:
        """Yield each piece with what stands before it."""
        place = 0
        for piece in self.pieces:
            yield self.string[place : piece.place], piece
            place = piece.place + piece.length

    def _list_stretches_glued(self) -> Iterator[_Stretch]:
        """Yield each piece with what stands before it."""
        if self._strays < 2 or self._is_vertical():
            for glue, start, stop in self._list_lines():
                yield glue, self.main, start, stop - start
        else:
            yield from _join_lines(self._list_turned())

    def _is_vertical(self) -> bool:
        """Whether this is vertical writing, as in Japanese, with words of Latin letters on their side."""
        if self.main.string.isascii() or any(turn != 1 for turn in self._turned.values()):
            return False
        lines = self._make_reader().read_lines()
        return bool(lines) and is_vertical(lines)

    def _list_turned(self) -> Iterator[_Stretch]:
        """Yield the stretches of a page in several directions, each with what stands before it."""
        hidden = self._find_hidden()
        reader = self._make_reader()
        lines = reader.read_lines()
        last = "\n"
        for text, start, count in self._list_stretches():
            glue = "" if last.endswith("\n") else BREAK
            if text is self.main and lines and self._turned.get(text.objects[start] or 0, 0) == self.turn:
                spans = write_lines(text.string, _mend(reader, _cut_out(reader, lines, start, start + count, hidden)))
            else:
                shown = _split(start, start + count, hidden if text is self.main else [])
                spans = [("", first, stop) for first, stop in shown]
            for number, (before, first, stop) in enumerate(spans):
                yield before if number else glue, text, first, stop - first
                last = text.string[stop - 1 : stop]

    def _make_reader(self) -> LineReader:
        return LineReader(self.main, multiply(self._to_display, UPRIGHT[self.turn]))

    def _list_lines(self) -> list[Stretch]:
        """Return the lines of a page in one direction."""
        reader = self._make_reader()
        lines = reader.read_lines()
        if not lines:
            return [("", 0, self.main.char_count)]
        added: list[Line] = []
        if hidden := self._find_hidden():
            shown = [list(_split(*line.spans[0], hidden)) for line in lines]
            cut = [
                line if spans == line.spans else reader.cut(line, spans)
                for line, spans in zip(lines, shown, strict=True)
            ]
            lines = [line for line in cut if line is not None]
        if self._objects.added:
            lines, added = self._part_added(reader, lines)
        lines = _mend(reader, lines)
        if lines:
            if not self.main.string.isascii() and is_vertical(lines):
                lines = join_columns(reader, lines)
            lines = put_in_order(part_columns(reader, lines))
        return write_lines(self.main.string, place_added(reader, lines, added) if added else lines)

    def _find_hidden(self) -> list[int]:
        """Return the characters of the main text that are clipped away, in order, of objects that are shown in part."""
        clipped = self._objects.clipped
        if not clipped:
            return []
        if len(clipped) <= FEW and "\0" not in self.main.string and not self.main.has_characters(clipped):
            return []  # usual: blanks that PDFium leaves out
        objects = self.main.objects
        places = [*itertools.compress(range(len(objects)), map(clipped.__contains__, objects))]
        boxes = struct.iter_unpack("4f", self.main.read_boxes(places))
        hidden: list[int] = []
        for place, (left, top, right, bottom) in zip(places, boxes, strict=True):
            limit = clipped[objects[place] or 0]
            x, y = transform(self._to_display, ((left + right) / 2, (top + bottom) / 2))
            if not (limit[0] <= x <= limit[2] and limit[1] <= y <= limit[3]):
                hidden.append(place)
        return hidden

    def _part_added(self, reader: LineReader, lines: list[Line]) -> tuple[list[Line], list[Line]]:
        """Return the lines that the page draws, and those that fields and notes do."""
        numbers = [self._objects.added.get(item or 0) for item in self.main.objects]
        drawn: list[Line] = []
        added: list[Line] = []
        for line in lines:
            groups: dict[int | None, list[Span]] = {}
            for start, stop in line.spans:
                number = numbers[start]
                for place in range(start, stop):
                    if self.main.objects[place] is not None:
                        number = numbers[place]
                    spans = groups.setdefault(number, [])
                    if spans and spans[-1][1] == place:
                        spans[-1] = (spans[-1][0], place + 1)
                    else:
                        spans.append((place, place + 1))
            if groups.keys() == {None}:
                drawn.append(line)
                continue
            for number, spans in groups.items():
                part = reader.cut(line, spans)
                if part is not None:
                    (drawn if number is None else added).append(part)
        return drawn, added

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
            if turn != self.turn and len(items) > 1:
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


def _mend(reader: LineReader, lines: list[Line]) -> list[Line]:
    """Put right what PDFium does to lines."""
    mend_right_to_left(reader, lines)
    return join_raised(break_lines(reader, attach_marks(reader, lines))) if lines else lines


def _cut_out(reader: LineReader, lines: Iterable[Line], start: int, stop: int, hidden: Sequence[int]) -> list[Line]:
    """Return what the lines have between these two characters, without the hidden ones."""
    found: list[Line] = []
    for line in lines:
        first, last = max(start, line.spans[0][0]), min(stop, line.spans[-1][1])
        if first < last:
            spans = list(_split(first, last, hidden))
            part = line if spans == line.spans else reader.cut(line, spans)
            if part is not None:
                found.append(part)
    return found


def _strip(string: str) -> tuple[int, int]:
    """Return where the text begins, without the blanks around it, and its length."""
    return len(string) - len(string.lstrip()), len(string.strip())


def _join_lines(stretches: Iterable[_Stretch]) -> Iterator[_Stretch]:
    """Join stretches with nothing but a line break between them in their text page: most of a page is one."""
    joined: _Stretch | None = None
    stop = 0
    for glue, text, start, count in stretches:
        if (
            joined is not None
            and glue == BREAK
            and text is joined[1]
            and start == stop + len(BREAK)
            and text.string.startswith(BREAK, stop)
        ):
            stop = start + count
            continue
        if joined is not None:
            yield (*joined[:3], stop - joined[2])
        joined, stop = (glue, text, start, count), start + count
    if joined is not None:
        yield (*joined[:3], stop - joined[2])


def _split(start: int, stop: int, hidden: Sequence[int]) -> Iterator[Span]:
    """Yield what is left of these characters without the hidden ones, which are in order."""
    first = start
    for place in hidden[bisect_left(hidden, start) : bisect_left(hidden, stop)]:
        if first < place:
            yield first, place
        first = place + 1
    if first < stop:
        yield first, stop
