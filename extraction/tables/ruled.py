"""Find the ruled tables of a page: pdfplumber's "lines" rules, with faster data structures.

Coordinates are pdfplumber's: points, x to the right, top and bottom measured downwards. The rules are those of
pdfplumber 0.11 with its default settings; tests/extraction/test_reader.py compares the two.
"""

import itertools
from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable
from operator import itemgetter
from typing import NamedTuple, TypeVar

from extraction.page.geometry import Edges
from extraction.values import Box, Point

TOLERANCE = 3.0  # points: for snapping, joining and crossing lines
MINIMUM_EDGE_LENGTH = 3.0  # points, after joining
MAXIMUM_CROSSINGS = 150_000  # twice those of the fullest real page seen; as many cells
MAXIMUM_STEPS = 6_000_000  # comparisons for one page: a few seconds

Item = TypeVar("Item")


class Grid(NamedTuple):
    """A table before its text is read."""

    bbox: Box
    rows: list[list[Box | None]]  # a cell, or None where a row has no cell in that column


class TooManyLinesError(Exception):
    """The page has more lines than are worth comparing."""


class _Steps:
    """The work that one page may cost."""

    def __init__(self) -> None:
        self._left = MAXIMUM_STEPS

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise TooManyLinesError


def find_grids(edges: Edges) -> list[Grid]:
    """Return the tables that these lines, joined, draw, top to bottom, then left to right.

    Raises:
        TooManyLinesError: above 150,000 crossings or cells, or when comparing the lines takes too long.
    """
    if len(edges.vertical) < 2 or len(edges.horizontal) < 2:
        return []
    steps = _Steps()
    return _group_cells(_find_cells(_find_crossings(edges.vertical, edges.horizontal, steps), steps))


def join_edges(edges: Edges) -> Edges:
    """Return the rules that these pieces make, by their places."""
    vertical, horizontal = _snap(edges.vertical, axis=0), _snap(edges.horizontal, axis=1)
    return Edges(_join(vertical, axis=0), _join(horizontal, axis=1))


def _snap(edges: list[Box], *, axis: int) -> list[Box]:
    """Move edges that form a chain of steps within the tolerance to their mean."""
    snapped: list[Box] = []
    for cluster in cluster_by(edges, itemgetter(axis)):
        mean = sum(edge[axis] for edge in cluster) / len(cluster)
        if axis == 0:
            snapped += [(mean, top, x1 + (mean - x0), bottom) for x0, top, x1, bottom in cluster]
        else:
            snapped += [(x0, mean, x1, bottom + (mean - top)) for x0, top, x1, bottom in cluster]
    return snapped


def _join(edges: list[Box], *, axis: int) -> list[Box]:
    """Join edges on one line whose ends are within the tolerance; drop what stays short."""
    start, end = (1, 3) if axis == 0 else (0, 2)
    joined: list[Box] = []
    for _, group in itertools.groupby(sorted(edges, key=itemgetter(axis, start)), itemgetter(axis)):
        first, *others = group
        low, high = first[start], first[end]
        for edge in others:
            if edge[start] > high + TOLERANCE:
                joined.append(_spanning(first, low, high, axis))
                first, low, high = edge, edge[start], edge[end]
            elif edge[end] > high:
                high = edge[end]
        joined.append(_spanning(first, low, high, axis))
    return [edge for edge in joined if edge[end] - edge[start] >= MINIMUM_EDGE_LENGTH]


def _spanning(edge: Box, low: float, high: float, axis: int) -> Box:
    return (edge[0], low, edge[2], high) if axis == 0 else (low, edge[1], high, edge[3])


class _Crossing:
    """A point where edges meet, by their numbers."""

    __slots__ = ("horizontal", "vertical")

    def __init__(self) -> None:
        self.vertical: set[int] = set()
        self.horizontal: set[int] = set()


def _find_crossings(vertical: list[Box], horizontal: list[Box], steps: _Steps) -> dict[Point, _Crossing]:
    across = sorted(enumerate(horizontal), key=lambda numbered: (numbered[1][1], numbered[1][0]))
    tops = [edge[1] for _, edge in across]
    crossings: dict[Point, _Crossing] = {}
    for number, (x, top, _, bottom) in enumerate(vertical):
        first, last = bisect_left(tops, top - TOLERANCE), bisect_right(tops, bottom + TOLERANCE)
        steps.spend(last - first)
        for other, (x0, y, x1, _) in across[first:last]:
            if x0 - TOLERANCE <= x <= x1 + TOLERANCE:
                crossing = crossings.get((x, y))
                if crossing is None:
                    crossing = crossings[x, y] = _Crossing()
                crossing.vertical.add(number)
                crossing.horizontal.add(other)
        if len(crossings) > MAXIMUM_CROSSINGS:
            raise TooManyLinesError
    return crossings


def _find_cells(crossings: dict[Point, _Crossing], steps: _Steps) -> list[Box]:
    """Return the smallest cell of which each crossing is the top left corner, if there is one."""
    columns: defaultdict[float, list[float]] = defaultdict(list)  # x → the tops of its crossings, downwards
    rows: defaultdict[float, list[float]] = defaultdict(list)  # top → the x of its crossings, to the right
    points = sorted(crossings)
    for x, top in points:
        columns[x].append(top)
        rows[top].append(x)
    cells: list[Box] = []
    for x, top in points:
        cell = _find_smallest_cell(crossings, (x, top), columns[x], rows[top], steps)
        if cell is not None:
            cells.append(cell)
    return cells


def _find_smallest_cell(
    crossings: dict[Point, _Crossing], point: Point, column: list[float], row: list[float], steps: _Steps
) -> Box | None:
    # An edge that reaches a crossing passes all those before it: the first that is not connected ends the loop
    x, top = point
    corner = crossings[point]
    right = bisect_right(row, x)
    if right == len(row):
        return None
    for below in range(bisect_right(column, top), len(column)):
        bottom = column[below]
        lower = crossings[x, bottom]
        if corner.vertical.isdisjoint(lower.vertical):
            return None
        for beside in range(right, len(row)):
            steps.spend(1)
            x1 = row[beside]
            upper = crossings[x1, top]
            if corner.horizontal.isdisjoint(upper.horizontal):
                break
            opposite = crossings.get((x1, bottom))
            if (
                opposite is not None
                and not opposite.vertical.isdisjoint(upper.vertical)
                and not opposite.horizontal.isdisjoint(lower.horizontal)
            ):
                return (x, top, x1, bottom)
    return None


def _group_cells(cells: list[Box]) -> list[Grid]:
    """Cells that share a corner, directly or through others, form a table; a single cell does not."""
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
            if owner != number:
                parents[find_root(number)] = find_root(owner)
    groups: defaultdict[int, list[Box]] = defaultdict(list)
    for number, cell in enumerate(cells):
        groups[find_root(number)].append(cell)
    grids = [Grid(_bounds(group), arrange(group)) for group in groups.values() if len(group) > 1]
    return sorted(grids, key=lambda grid: min((cell[1], cell[0]) for cell in grid.rows[0] if cell is not None))


def arrange(cells: list[Box]) -> list[list[Box | None]]:
    """Return the cells by row and column, None where a row has no cell."""
    columns = sorted({cell[0] for cell in cells})
    if len(columns) * len({cell[1] for cell in cells}) > MAXIMUM_CROSSINGS:
        raise TooManyLinesError
    rows: list[list[Box | None]] = []
    for _, row in itertools.groupby(sorted(cells, key=itemgetter(1, 0)), itemgetter(1)):
        by_column = {cell[0]: cell for cell in row}
        rows.append([by_column.get(x) for x in columns])
    return rows


def _bounds(boxes: Iterable[Box]) -> Box:
    x0, top, x1, bottom = zip(*boxes, strict=True)
    return (min(x0), min(top), max(x1), max(bottom))


def cluster_by(items: list[Item], position: Callable[[Item], float]) -> list[list[Item]]:
    """Group items whose positions form a chain of steps within the tolerance; groups in order, members as they came."""
    order = sorted({position(item) for item in items})
    if not order or order[-1] - order[0] <= TOLERANCE:
        return [items] if items else []
    groups: list[list[Item]] = []
    group_of: dict[float, list[Item]] = {}
    last = order[0] - 2 * TOLERANCE
    for value in order:
        if value > last + TOLERANCE:
            groups.append([])
        group_of[value] = groups[-1]
        last = value
    for item in items:
        group_of[position(item)].append(item)
    return groups
