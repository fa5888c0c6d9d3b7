"""The lines of a page, and the order in which they are read where that of drawing is not it.

Boxes are those of the page as displayed, turned so that its text is upright. Two boxes a line tell whether the usual
page, drawn from top to bottom, is in order already.
"""

import re
import struct
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise, repeat

from extraction.page.geometry import Matrix, surround, transform_boxes
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.page.native import get_text_object
from extraction.page.textpage import TextPage
from extraction.values import Box

MAXIMUM_LINES = 5_000  # of a page, that are put in order
BREAK = "\r\n"
_LINE = re.compile(rf"[^\s{HYPHEN_MARKS}](?:[^\r\n{HYPHEN_MARKS}]*[^\s{HYPHEN_MARKS}])?")

_FIGURE = re.compile(r"[0-9]")

# A raised or lowered character beside a line is part of it (tried on a book of 117 pages)
SHARED_HEIGHT = 0.35  # of the lower of two boxes that stand on one line
HALF_LINE = 0.6  # of the height, that a word far to the left may share with the line before
FAR = 5.0  # times the height
MOST_OVERLAP = -0.15  # of the height: how far back the next character begins
MOST_GAP = 0.6
LEVEL = 0.9  # of the height, that two characters of one line share
WORD_GAP = 0.2  # of the height: a wider gap parts words

Span = tuple[int, int]  # first character, and the one after the last
Stretch = tuple[str, int, int]  # what stands before it, and its span


class Line:
    """Characters that are read one after the other."""

    __slots__ = ("box", "end", "first", "glues", "last", "next", "spans")

    def __init__(self, spans: list[Span], first: Box, last: Box, end: str) -> None:
        self.spans = spans
        self.glues = [""] * (len(spans) - 1)  # between them
        self.first = first  # the box of the first character
        self.last = last
        left, top, right, bottom = first
        other_left, other_top, other_right, other_bottom = last
        self.box = (  # around both; no calls, because a book has many lines
            other_left if other_left < left else left,
            other_top if other_top < top else top,
            other_right if other_right > right else right,
            other_bottom if other_bottom > bottom else bottom,
        )
        self.end = end  # what PDFium put after it: a line break, or the mark of a hyphen
        self.next: Line | None = None  # as drawn

    @property
    def height(self) -> float:
        return self.box[3] - self.box[1]

    def append(self, glue: str, other: "Line") -> None:
        self.spans += other.spans
        self.glues += [glue, *other.glues]
        self.last, self.end, self.next = other.last, other.end, other.next
        self.box = surround((self.box, other.box))


class LineReader:
    """Reads the lines of one text page."""

    def __init__(self, text: TextPage, to_reading: Matrix) -> None:
        """*to_reading* leads from page space to the displayed page, turned so that this text is upright."""
        self.text = text
        self._matrix = to_reading
        self._is_plain = to_reading[:4] == (1.0, 0.0, 0.0, -1.0)

    def read_lines(self) -> list[Line]:
        string = self.text.string
        spans = [match.span() for match in _LINE.finditer(string)]
        if not 0 < len(spans) <= MAXIMUM_LINES:
            return []
        boxes = self.read_boxes([place for start, stop in spans for place in (start, stop - 1)])
        ends: Iterable[str] = repeat(BREAK)
        if any(mark in string for mark in HYPHEN_MARKS):
            ends = (_end_of(string[stop : stop + 3]) for _, stop in spans)
        lines = list(map(Line, ([span] for span in spans), boxes[::2], boxes[1::2], ends))
        for line, follower in pairwise(lines):
            line.next = follower
        return lines

    def read_boxes(self, places: Sequence[int]) -> list[Box]:
        found = struct.iter_unpack("4f", self.text.read_boxes(places))
        if self._is_plain:
            x, y = self._matrix[4:]
            return [(left + x, y - top, right + x, y - bottom) for left, top, right, bottom in found]
        return transform_boxes(self._matrix, ((left, bottom, right, top) for left, top, right, bottom in found))

    def cut(self, line: Line, spans: list[Span]) -> Line | None:
        """Return the line with these characters only; None if nothing but blanks is left."""
        string = self.text.string
        kept = [span for span in (_strip(string, span) for span in spans) if span[0] < span[1]]
        if not kept:
            return None
        first, last = self.read_boxes([kept[0][0], kept[-1][1] - 1])
        shorter = Line(kept, first, last, line.end)
        shorter.glues = [
            " " if string[before:after].isspace() or string[after - 1 : after].isspace() else ""
            for (_, before), (after, _) in pairwise(kept)
        ]
        shorter.next = line.next
        return shorter


def _end_of(following: str) -> str:
    return next((char for char in following.lstrip(" ")[:1] if char in HYPHEN_MARKS), BREAK)


def _strip(string: str, span: Span) -> Span:
    start, stop = span
    while start < stop and string[start].isspace():
        start += 1
    while start < stop and string[stop - 1].isspace():
        stop -= 1
    return start, stop


def break_lines(reader: LineReader, lines: list[Line]) -> list[Line]:
    """Break where PDFium goes on in another line, as it does on pages of few and short ones."""
    running_off = [line.last[1] > line.first[3] or line.last[3] < line.first[1] for line in lines]
    if True not in running_off:
        return lines  # the usual case, and quick to check
    broken: list[Line] = []
    for line, runs_off in zip(lines, running_off, strict=True):
        broken += _break(reader, line) if runs_off and len(line.spans) == 1 else [line]
    return broken


def _break(reader: LineReader, line: Line) -> list[Line]:
    start, stop = line.spans[0]
    string = reader.text.string
    places = [match.span() for match in re.compile(r"\S+").finditer(string, start, stop)]
    breaks: set[int] = set()  # characters that begin a line
    if _FIGURE.search(string, start, stop):
        parted = [part for place in places for part in _part_figures(reader, place)]
        breaks = {first for first, _ in parted} - {first for first, _ in places}
        places = parted
    boxes = reader.read_boxes([place for first, last in places for place in (first, last - 1)])
    ends = list(zip(boxes[::2], boxes[1::2], strict=True))
    numbers = [
        number
        for number, (one, other) in enumerate(pairwise(ends), start=1)
        if places[number][0] in breaks or _begins_line(one, other)
    ]
    parts = [
        Line([(places[first][0], places[last - 1][1])], ends[first][0], ends[last - 1][1], BREAK)
        for first, last in pairwise([0, *numbers, len(places)])
    ]
    for part, follower in pairwise(parts):
        part.next = follower
    parts[-1].end, parts[-1].next = line.end, line.next
    return parts


def _part_figures(reader: LineReader, word: Span) -> Iterator[Span]:
    """Part a word at figures above or below each other: numbers are not written downwards, as other signs may be.

    Figures of one text object are turned text, not stacked, and stay together.
    """
    start, stop = word
    handle = reader.text.handle
    boxes = reader.read_boxes(range(start, stop))
    for place, (before, after) in enumerate(pairwise(boxes), start=word[0] + 1):
        shared = min(before[3], after[3]) - max(before[1], after[1])
        is_stacked = before[0] < after[2] and after[0] < before[2]
        if (
            is_stacked
            and shared < SHARED_HEIGHT * (after[3] - after[1])
            and _FIGURE.search(reader.text.string, place - 1, place + 1)
            and get_text_object(handle, place - 1) != get_text_object(handle, place)
        ):
            yield start, place
            start = place
    yield start, stop


def _begins_line(last: tuple[Box, Box], word: tuple[Box, Box]) -> bool:
    """Whether a word stands below the last one and begins no further right; signs that run downwards do not."""
    (first, final), (begin, finish) = last, word
    height = min(final[3] - final[1], begin[3] - begin[1])
    shared = final[3] - begin[1]
    if not begin[1] > final[1]:
        return False
    if begin[0] < first[0] - FAR * height:  # as lines of two columns that stand half a line apart go by turns
        return shared < HALF_LINE * height
    is_level = final[0] > first[0] or finish[0] > begin[0]
    return shared < SHARED_HEIGHT * height and (begin[0] < first[0] - height or (is_level and begin[0] <= first[0]))


def join_raised(lines: list[Line]) -> list[Line]:
    """Put raised and lowered characters, which PDFium sets on lines of their own, where they stand."""
    joined: list[Line] = []
    for line in lines:
        if joined and joined[-1].end == BREAK:
            before, after = joined[-1].last, line.first
            if after[1] >= before[3] or before[1] >= after[3]:
                joined.append(line)  # the usual case, and quick
                continue
            height = max(before[3] - before[1], after[3] - after[1])
            shared = min(before[3], after[3]) - max(before[1], after[1])
            gap = after[0] - before[2]
            if (
                shared >= SHARED_HEIGHT * min(before[3] - before[1], after[3] - after[1]) > 0
                and MOST_OVERLAP * height <= gap <= MOST_GAP * height
            ):
                joined[-1].append(" " if gap > WORD_GAP * height else "", line)
                continue
            if gap > 0 and shared >= LEVEL * height > 0:  # PDFium breaks before a single character far away
                joined[-1].append(" ", line)
                continue
        joined.append(line)
    return joined


def write_lines(string: str, lines: Iterable[Line]) -> list[Stretch]:
    """Return the spans of the lines in *string*, each with what stands before it.

    Spans with nothing but a line break between them there are one: most of a page is.
    """
    written: list[Stretch] = []
    last: Line | None = None
    end = 0
    for line in lines:
        glue = "" if last is None else _glue_between(last, line)
        for (start, stop), after in zip(line.spans, (*line.glues, ""), strict=True):
            if glue == BREAK and written and start == end + len(BREAK) and string.startswith(BREAK, end):
                written[-1] = (*written[-1][:2], stop)
            else:
                written.append((glue, start, stop))
            end, glue = stop, after
        last = line
    if last is not None and last.end != BREAK:
        written.append(("-", 0, 0))
    return written


def _glue_between(line: Line, follower: Line) -> str:
    if line.end == BREAK or (line.next is not None and line.next.spans[0][0] == follower.spans[0][0]):
        return line.end
    return "-" + BREAK
