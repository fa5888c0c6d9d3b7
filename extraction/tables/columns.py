"""The columns of a block of lines, and the cells into which they part its chunks."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import NamedTuple

from extraction.page.chunks import GAP, Chunk, Line, Token

CROWDED = 0.66  # of the 80th percentile of the lines' chunks: the lines that show all columns
TOLERANCE = 0.10  # of those lines may cover a gutter
TOLERANT_LINES = 10  # from as many lines on; fewer must agree
LEAST_GUTTER = 0.12  # line heights
OVERHANG = 0.4  # of a chunk, or of the column beside its own, may lie in each other
_make = tuple.__new__  # half the time of a call of the class
WIDE = 0.5  # line heights: a gap inside a chunk where a gutter may part it


class Interval(NamedTuple):
    x0: float
    x1: float


class Cell(NamedTuple):
    """What one line has in the columns from *first* to *last*."""

    first: int
    last: int
    chunk: Chunk


def find_columns(lines: Sequence[Line]) -> list[Interval]:
    """Return what the chunks of each column cover, left to right."""
    several = [line for line in lines if len(line.chunks) > 1]
    if not several:
        return []
    counts = sorted(len(line.chunks) for line in several)
    usual = counts[min(len(counts) - 1, int(0.8 * len(counts)))]
    crowded = [line for line in several if len(line.chunks) >= CROWDED * usual]
    allowed = int(TOLERANCE * len(crowded)) if len(crowded) >= TOLERANT_LINES else 0
    height = sorted(line.height for line in crowded)[len(crowded) // 2]
    least = LEAST_GUTTER * height
    columns = _covered([(chunk.x0, chunk.x1) for line in crowded for chunk in line.chunks], allowed, least)
    return _add_sparse(columns, crowded, height) if allowed else columns


def _add_sparse(columns: list[Interval], lines: Sequence[Line], height: float) -> list[Interval]:
    """Return the columns with those between them that only a head and few figures, such as totals, fill."""
    least = LEAST_GUTTER * height
    lefts = [x0 for x0, _ in columns]
    rights = [x1 for _, x1 in columns]
    free: list[Chunk] = []
    for line in lines:
        for chunk in line.chunks:
            place = bisect_right(lefts, chunk.x0)
            if 0 < place < len(columns) and rights[place - 1] + least < chunk.x0 and chunk.x1 < lefts[place] - least:
                free.append(chunk)
    if not free:
        return columns  # the usual case
    added = [
        Interval(x0, x1)
        for x0, x1 in _covered([(chunk.x0, chunk.x1) for chunk in free], 0, GAP * height)
        if {chunk.number for chunk in free if x0 <= chunk.x0 <= x1} == {True, False}
    ]
    return sorted([*columns, *added])


def _covered(intervals: list[tuple[float, float]], allowed: int, least: float) -> list[Interval]:
    """Return the stretches that more than *allowed* intervals cover; white narrower than *least* does not part them."""
    events = sorted([(x0, 1) for x0, _ in intervals] + [(x1, -1) for _, x1 in intervals])
    found: list[Interval] = []
    depth = 0
    start = 0.0
    for x, step in events:
        before = depth
        depth += step
        if before <= allowed < depth:
            start = x
        elif depth <= allowed < before and x > start:
            if found and start - found[-1].x1 < least:
                found[-1] = Interval(found[-1].x0, x)
            else:
                found.append(Interval(start, x))
    return found


class Placer:
    """Places the chunks of lines in the columns of one table."""

    def __init__(self, columns: Sequence[Interval]) -> None:
        self._columns = columns
        self._lefts = [x0 for x0, _ in columns]
        self._rights = [x1 for _, x1 in columns]
        self._middles = [(left.x1 + right.x0) / 2 for left, right in pairwise(columns)]

    def place_chunks(self, line: Line) -> list[Cell]:
        """Return the line's cells: a chunk over several columns is parted where its parts fit, else it spans them."""
        cells: list[Cell] = []
        for chunk in line.chunks:
            first, last = self._range(chunk)
            parts = [chunk]
            if first < last and len(chunk.tokens) > 1:
                parts = self._part(chunk, line)
            for part in parts:
                if part is not chunk:
                    first, last = self._range(part)
                if cells and first <= cells[-1].last:
                    before = cells.pop()
                    if last > before.last:
                        first = before.last + 1
                    elif first > before.first:
                        before = before._replace(last=first - 1)
                    else:
                        cells.append(before._replace(chunk=Chunk((*before.chunk.tokens, *part.tokens))))
                        continue
                    cells.append(before)
                cells.append(_make(Cell, (first, last, part)))
        return cells

    def _range(self, chunk: Chunk) -> tuple[int, int]:
        """Return the first and the last column that the chunk touches, but for a small overhang."""
        left, right = chunk.x0, chunk.x1
        width = right - left
        first, stop = bisect_right(self._rights, left), bisect_left(self._lefts, right)
        if stop == first + 1 and self._lefts[first] <= left < right <= self._rights[first]:
            return first, first  # the usual case, and quick: it lies in one column
        touched = [
            number
            for number in range(first, stop)
            if min(right, self._rights[number]) - max(left, self._lefts[number])
            > OVERHANG * min(width, self._rights[number] - self._lefts[number])
        ]
        if touched:
            return touched[0], touched[-1]
        place = bisect_right(self._middles, (left + right) / 2)
        return place, place

    def _part(self, chunk: Chunk, line: Line) -> list[Chunk]:
        crowded = len(line.chunks) >= CROWDED * len(self._columns)
        return split_at_gutters(
            chunk,
            self._columns,
            lambda left, right: crowded or right.x0 - left.x1 > WIDE * line.height or left.is_number or right.is_number,
        )


def split_at_gutters(
    chunk: Chunk, columns: Sequence[Interval], parts_here: Callable[[Token, Token], bool]
) -> list[Chunk]:
    """Part the chunk where a gap lies over a gutter, and *parts_here* agrees for the words on both sides."""
    slack = 0.3 * (chunk.tokens[0].bottom - chunk.tokens[0].top)
    parts = [[chunk.tokens[0]]]
    for left, right in pairwise(chunk.tokens):
        over = any(
            before.x1 - slack <= right.x0
            and after.x0 + slack >= left.x1
            and left.x0 < before.x1
            and right.x1 > after.x0
            for before, after in pairwise(columns)
        )
        if over and parts_here(left, right):
            parts.append([right])
        else:
            parts[-1].append(right)
    return [Chunk(tuple(part)) for part in parts]
