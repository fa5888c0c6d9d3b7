"""Find the ruled tables of one page and their cells' text, by pdfplumber's "lines" rules with faster data structures.

Coordinates are pdfplumber's: points, x to the right, top and bottom measured downwards. The rules are those of
pdfplumber 0.11 with its default settings, so that a table here is the table `page.extract_tables()` finds:
tests/test_pdf.py compares the two.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeVar

from pdfplumber.utils.text import extract_text

TOLERANCE = 3.0  # points: snapping, joining, crossing, and the gap that ends a word
MINIMUM_DRAWN_LENGTH = 1.0  # points, before joining
MINIMUM_EDGE_LENGTH = 3.0  # points, after joining
MAXIMUM_CROSSINGS = 150_000  # twice those of the fullest real page seen
MAXIMUM_STEPS = 6_000_000  # of work on one page: a few seconds

Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Point = tuple[float, float]  # x, top


class Edge(NamedTuple):
    """One straight ruling; a slanted line counts as vertical at x0, as it does for pdfplumber."""

    x0: float
    top: float
    x1: float
    bottom: float


class Edges(NamedTuple):
    vertical: list[Edge]
    horizontal: list[Edge]


class Char(NamedTuple):
    text: str
    x0: float
    top: float
    x1: float
    bottom: float
    upright: bool


class FoundTable(NamedTuple):
    bbox: Box
    rows: list[list[Box | None]]  # a cell, or None where a row has no cell in that column


class TableText(NamedTuple):
    bbox: Box
    data: list[list[str | None]]


class TooManyLinesError(Exception):
    """The page's rulings are more than a table finder can be asked to compare."""


class _Steps:
    """The work one page may cost."""

    def __init__(self) -> None:
        self.left = MAXIMUM_STEPS

    def spend(self, count: int) -> None:
        self.left -= count
        if self.left < 0:
            raise TooManyLinesError


def find_table_texts(edges: Edges, read_chars: Callable[[], list[Char]]) -> list[TableText]:
    """Return the tables that *edges* draw with their text; the characters are read only if there is a table.

    Raises:
        TooManyLinesError: as `find_tables`.
    """
    found = find_tables(edges)
    chars = read_chars() if found else []
    return [TableText(table.bbox, read_cells(table, chars)) for table in found]


def find_tables(edges: Edges) -> list[FoundTable]:
    """Return the tables that *edges* draw, top to bottom, then left to right.

    Raises:
        TooManyLinesError: above 150,000 crossings or cells, or when comparing the lines takes too long.
    """
    if len(edges.vertical) < 2 or len(edges.horizontal) < 2:
        return []
    steps = _Steps()
    vertical = _join(_snap(edges.vertical, 0), axis=0)
    horizontal = _join(_snap(edges.horizontal, 1), axis=1)
    crossings = _find_crossings(vertical, horizontal, steps)
    return _group_cells(_find_cells(crossings, steps))


def _snap(edges: list[Edge], axis: int) -> list[Edge]:
    """Move edges that lie within the tolerance of one another (in a chain) to their mean."""
    members: defaultdict[float, list[Edge]] = defaultdict(list)
    for edge in edges:
        members[edge[axis]].append(edge)
    snapped: list[Edge] = []
    cluster: list[Edge] = []
    last = 0.0
    for position in sorted(members):
        if cluster and position > last + TOLERANCE:
            snapped += _moved_to_mean(cluster, axis)
            cluster = []
        cluster += members[position]
        last = position
    return snapped + _moved_to_mean(cluster, axis)


def _moved_to_mean(cluster: list[Edge], axis: int) -> list[Edge]:
    if not cluster:
        return []
    mean = sum(edge[axis] for edge in cluster) / len(cluster)
    if axis == 0:
        return [Edge(mean, edge.top, edge.x1 + (mean - edge.x0), edge.bottom) for edge in cluster]
    return [Edge(edge.x0, mean, edge.x1, edge.bottom + (mean - edge.top)) for edge in cluster]


def _join(edges: list[Edge], *, axis: int) -> list[Edge]:
    """Join edges on one line whose ends are within the tolerance; drop what stays short."""
    start, end = (1, 3) if axis == 0 else (0, 2)
    joined: list[Edge] = []
    ordered = sorted(edges, key=lambda edge: (edge[axis], edge[start]))
    for _, group in itertools.groupby(ordered, lambda edge: edge[axis]):
        first, *others = group
        low, high, kept = first[start], first[end], first
        for edge in others:
            if edge[start] <= high + TOLERANCE:
                high = max(high, edge[end])
            else:
                joined.append(_spanning(kept, low, high, axis))
                low, high, kept = edge[start], edge[end], edge
        joined.append(_spanning(kept, low, high, axis))
    return [edge for edge in joined if edge[end] - edge[start] >= MINIMUM_EDGE_LENGTH]


def _spanning(edge: Edge, low: float, high: float, axis: int) -> Edge:
    return Edge(edge.x0, low, edge.x1, high) if axis == 0 else Edge(low, edge.top, high, edge.bottom)


class _Crossing:
    """Where edges meet: the numbers of the vertical and of the horizontal ones."""

    __slots__ = ("horizontal", "vertical")

    def __init__(self) -> None:
        self.vertical: set[int] = set()
        self.horizontal: set[int] = set()


def _find_crossings(vertical: list[Edge], horizontal: list[Edge], steps: _Steps) -> dict[Point, _Crossing]:
    by_top = sorted(range(len(horizontal)), key=lambda number: (horizontal[number].top, horizontal[number].x0))
    tops = [horizontal[number].top for number in by_top]
    crossings: dict[Point, _Crossing] = {}
    for number, edge in enumerate(vertical):
        first, last = bisect_left(tops, edge.top - TOLERANCE), bisect_right(tops, edge.bottom + TOLERANCE)
        steps.spend(last - first)
        x = edge.x0
        for other in by_top[first:last]:
            across = horizontal[other]
            if across.x0 - TOLERANCE <= x <= across.x1 + TOLERANCE:
                crossing = crossings.setdefault((x, across.top), _Crossing())
                crossing.vertical.add(number)
                crossing.horizontal.add(other)
        if len(crossings) > MAXIMUM_CROSSINGS:
            raise TooManyLinesError
    return crossings


def _find_cells(crossings: dict[Point, _Crossing], steps: _Steps) -> list[Box]:
    """Return, for each crossing, the smallest cell of which it is the top left corner."""
    points = sorted(crossings)
    columns: defaultdict[float, list[float]] = defaultdict(list)  # x → the tops of its crossings, downwards
    rows: defaultdict[float, list[float]] = defaultdict(list)  # top → the x of its crossings, to the right
    for x, top in points:
        columns[x].append(top)
        rows[top].append(x)
    cells: list[Box] = []
    for x, top in points:
        corner = crossings[x, top]
        column, row = columns[x], rows[top]
        below = column[bisect_right(column, top) :]
        right = row[bisect_right(row, x) :]
        cell = _smallest_cell(crossings, corner, x, top, below, right, steps)
        if cell is not None:
            cells.append(cell)
    return cells


def _smallest_cell(
    crossings: dict[Point, _Crossing],
    corner: _Crossing,
    x: float,
    top: float,
    below: list[float],
    right: list[float],
    steps: _Steps,
) -> Box | None:
    # An edge that reaches a crossing passes all those before it, so the first unconnected one ends the search.
    for bottom in below:
        lower = crossings[x, bottom]
        if corner.vertical.isdisjoint(lower.vertical):
            return None
        for x1 in right:
            steps.spend(1)
            beside = crossings[x1, top]
            if corner.horizontal.isdisjoint(beside.horizontal):
                break
            opposite = crossings.get((x1, bottom))
            if (
                opposite is not None
                and not opposite.vertical.isdisjoint(beside.vertical)
                and not opposite.horizontal.isdisjoint(lower.horizontal)
            ):
                return (x, top, x1, bottom)
    return None


def _group_cells(cells: list[Box]) -> list[FoundTable]:
    """Cells that share a corner, directly or through others, are a table; a single cell is none."""
    parents = list(range(len(cells)))

    def find_root(number: int) -> int:
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number

    owners: dict[Point, int] = {}
    for number, (x0, top, x1, bottom) in enumerate(cells):
        for point in ((x0, top), (x0, bottom), (x1, top), (x1, bottom)):
            owner = owners.setdefault(point, number)
            parents[find_root(number)] = find_root(owner)
    groups: defaultdict[int, list[Box]] = defaultdict(list)
    for number, cell in enumerate(cells):
        groups[find_root(number)].append(cell)
    tables = [group for group in groups.values() if len(group) > 1]
    tables.sort(key=lambda group: min((cell[1], cell[0]) for cell in group))
    return [FoundTable(_bounds(group), _arrange(group)) for group in tables]


def _arrange(cells: list[Box]) -> list[list[Box | None]]:
    columns = sorted({cell[0] for cell in cells})
    if len(columns) * len({cell[1] for cell in cells}) > MAXIMUM_CROSSINGS:
        raise TooManyLinesError
    ordered = sorted(cells, key=lambda cell: (cell[1], cell[0]))
    rows: list[list[Box | None]] = []
    for _, row in itertools.groupby(ordered, lambda cell: cell[1]):
        by_column = {cell[0]: cell for cell in row}
        rows.append([by_column.get(x) for x in columns])
    return rows


def _bounds(boxes: Iterable[Box]) -> Box:
    x0, top, x1, bottom = zip(*boxes, strict=True)
    return (min(x0), min(top), max(x1), max(bottom))


# The text of the cells


def read_cells(table: FoundTable, chars: list[Char]) -> list[list[str | None]]:
    """Return the text of each cell: the characters whose middle lies in it, in pdfplumber's order and spacing."""
    placed = sorted(
        ((char.top + char.bottom) / 2, (char.x0 + char.x1) / 2, number) for number, char in enumerate(chars)
    )
    heights = [middle for middle, _, _ in placed]
    data: list[list[str | None]] = []
    for row in table.rows:
        boxes = [cell for cell in row if cell is not None]
        _, row_top, _, row_bottom = _bounds(boxes)
        first, last = bisect_left(heights, row_top), bisect_left(heights, row_bottom)
        in_row = sorted((x, y, number) for y, x, number in placed[first:last])
        middles = [x for x, _, _ in in_row]
        texts: list[str | None] = []
        for cell in row:
            if cell is None:
                texts.append(None)
                continue
            x0, top, x1, bottom = cell
            inside = in_row[bisect_left(middles, x0) : bisect_left(middles, x1)]
            numbers = sorted(number for _, y, number in inside if top <= y < bottom)
            texts.append(join_chars([chars[number] for number in numbers]))
        data.append(texts)
    return data


Item = TypeVar("Item")
LIGATURES = {"ﬀ": "ff", "ﬃ": "ffi", "ﬄ": "ffl", "ﬁ": "fi", "ﬂ": "fl", "ﬆ": "st", "ﬅ": "st"}


def join_chars(chars: list[Char]) -> str:
    """Return the text of *chars* (of one cell, or of a page) as pdfplumber's `extract_text` spaces it."""
    if not chars:
        return ""
    if not all(char.upright for char in chars):
        return _join_turned_chars(chars)
    words: list[tuple[float, str]] = []  # top, text
    for line in _cluster(chars, lambda char: char.top):
        words += _split_words(sorted(line, key=lambda char: char.x0))
    return "\n".join(" ".join(text for _, text in line) for line in _cluster(words, lambda word: word[0]))


def _split_words(line: list[Char]) -> Iterator[tuple[float, str]]:
    word: list[Char] = []
    for char in line:
        if char.text.isspace():
            if word:
                yield _as_word(word)
            word = []
            continue
        if word:
            last = word[-1]
            if char.x0 > last.x1 + TOLERANCE or abs(char.top - last.top) > TOLERANCE:
                yield _as_word(word)
                word = []
        word.append(char)
    if word:
        yield _as_word(word)


def _as_word(chars: list[Char]) -> tuple[float, str]:
    return min(char.top for char in chars), "".join(LIGATURES.get(char.text, char.text) for char in chars)


def _cluster(items: list[Item], position: Callable[[Item], float]) -> list[list[Item]]:
    """Group items whose positions form a chain of steps within the tolerance; groups in order, members as they came."""
    order = sorted({position(item) for item in items})
    groups: list[list[Item]] = []
    group_of: dict[float, list[Item]] = {}
    for number, value in enumerate(order):
        if number == 0 or value > order[number - 1] + TOLERANCE:
            groups.append([])
        group_of[value] = groups[-1]
    for item in items:
        group_of[position(item)].append(item)
    return groups


def _join_turned_chars(chars: list[Char]) -> str:
    fields: list[dict[str, Any]] = [
        {**char._asdict(), "doctop": char.top, "height": char.bottom - char.top, "width": char.x1 - char.x0}
        for char in chars
    ]
    return str(extract_text(fields, x_tolerance=TOLERANCE, y_tolerance=TOLERANCE))
