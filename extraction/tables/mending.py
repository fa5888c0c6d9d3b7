"""Ruled grids as a reader sees them: double rules are one, strips too slim for text are none."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from extraction.page.chunks import Line
from extraction.tables.blocks import Rules
from extraction.tables.ruled import Grid
from extraction.tables.ruled import arrange as arrange_cells
from extraction.values import Box

SLIM_COLUMN = 1.2  # line heights between rules with no text between them anywhere: a double frame and its padding
SLIM_ROW = 0.8  # rows are blank more often than columns, and never lower than a line
MAXIMUM_CELLS = 3_000  # the time grows with their square; larger grids are left as they were drawn
NEAR = 3.0  # points between a rule and the grid that it is part of: pdfplumber's tolerance
OPEN_LINES = 12  # of text in a row that is left open; more are a page in a frame
Span = tuple[int, int, int, int]  # row, column, last row, last column


def mend(grid: Grid, lines: Sequence[Line]) -> Grid:
    """Return the grid with rules that are nearer to each other than half a line joined, if no text is between them."""
    x0, top, x1, bottom = grid.bbox
    own = [line for line in lines if top <= line.middle <= bottom and line.x1 > x0 and line.x0 < x1]
    cells = [cell for row in grid.rows for cell in row if cell is not None]
    if not own or len(cells) > MAXIMUM_CELLS:
        return grid
    height = median(line.height for line in own)
    chunks = [(chunk.x0, chunk.x1) for line in own for chunk in line.chunks if chunk.x1 > x0 and chunk.x0 < x1]
    across = _join(
        {edge for cell in cells for edge in (cell[0], cell[2])},
        SLIM_COLUMN * height,
        [(low + high) / 2 for low, high in chunks],
    )
    down = _join(
        {edge for cell in cells for edge in (cell[1], cell[3])}, SLIM_ROW * height, [line.middle for line in own]
    )
    is_single = len(across) == len(set(across.values())) and len(down) == len(set(down.values()))
    if is_single and not any(_goes_on(chunk.text) for line in own for chunk in line.chunks):
        return grid  # the usual case, and quick to check
    moved = {
        (across[left], down[upper], across[right], down[lower])
        for left, upper, right, lower in cells
        if across[left] < across[right] and down[upper] < down[lower]
    }
    joined = _join_wrapped(moved, own)
    return arrange(joined) if len(joined) > 1 and joined != set(cells) else grid


def _join_wrapped(cells: set[Box], lines: Sequence[Line]) -> set[Box]:
    """Join cells that go on below where the others of the row do not end: each line has its own background."""
    by_top: dict[tuple[float, float, float], Box] = {(cell[0], cell[1], cell[2]): cell for cell in cells}
    joined = set(cells)
    for upper in sorted(cells, key=lambda cell: cell[1]):
        cell = upper
        while cell in joined and (lower := by_top.get((cell[0], cell[3], cell[2]))) is not None:
            if not _is_wrapped(cell, lower, joined, lines):
                break
            joined -= {cell, lower}
            cell = (cell[0], cell[1], cell[2], lower[3])
            joined.add(cell)
    return joined


def _is_wrapped(upper: Box, lower: Box, cells: set[Box], lines: Sequence[Line]) -> bool:
    start = _texts_in(lower, lines)
    if not start or not _goes_on(start[0]) or not _texts_in(upper, lines):
        return False
    passing = sum(1 for _, top, _, bottom in cells if top < upper[3] - 1 and bottom > upper[3] + 1)
    ending = sum(1 for cell in cells if cell[1] == upper[3] and cell != lower and _texts_in(cell, lines))
    return passing >= 2 and not ending


def _goes_on(text: str) -> bool:
    """Whether this begins as the second line of a cell does."""
    return text[:1].islower() or text[:1] == "("


def _texts_in(cell: Box, lines: Sequence[Line]) -> list[str]:
    return [
        chunk.text
        for line in lines
        if cell[1] <= line.middle < cell[3]
        for chunk in line.chunks
        if cell[0] <= (chunk.x0 + chunk.x1) / 2 < cell[2]
    ]


def _join(edges: Iterable[float], slim: float, middles: Sequence[float]) -> dict[float, float]:
    """Map each edge to the middle of those that are near it, with no text between."""
    joined: dict[float, float] = {}
    group: list[float] = []
    middles = sorted(middles)
    for edge in [*sorted(edges), float("inf")]:
        if group and (edge - group[0] > slim or bisect_left(middles, group[-1]) < bisect_left(middles, edge)):
            middle = (group[0] + group[-1]) / 2
            joined.update((member, middle) for member in group)
            group = []
        group.append(edge)
    return joined


def arrange(cells: Iterable[Box]) -> Grid:
    """Return the grid of these cells; the place of each is its top left corner."""
    boxes = list(cells)
    lefts, tops, rights, bottoms = zip(*boxes, strict=True)
    return Grid((min(lefts), min(tops), max(rights), max(bottoms)), arrange_cells(boxes))


def fill_holes(grid: Grid, lines: Sequence[Line]) -> Grid:
    """Return the grid with a cell wherever text stands in a row and a column of it and no rules enclose it.

    Bands of colour behind every other row enclose those rows alone: beside white rules, and without a frame, the rows
    between them have no sides.
    """
    cells = [cell for row in grid.rows for cell in row if cell is not None]
    lefts = sorted({cell[0] for cell in cells})
    if len(cells) == len(grid.rows) * len(lefts) or len(cells) > MAXIMUM_CELLS:
        return grid  # the usual case, and quick to check
    tops = [min(cell[1] for cell in row if cell is not None) for row in grid.rows]
    covered = {
        (row, column)
        for left, top, right, bottom in cells
        for row in range(bisect_left(tops, top), bisect_left(tops, bottom))
        for column in range(bisect_left(lefts, left), bisect_left(lefts, right))
    }
    rights, bottoms = [*lefts[1:], grid.bbox[2]], [*tops[1:], grid.bbox[3]]
    added: list[Box] = []
    for row, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
        own = [line for line in lines if top <= line.middle < bottom]
        for column, (left, right) in enumerate(zip(lefts, rights, strict=True)):
            if (row, column) not in covered and any(
                left - 1 <= chunk.x0 and chunk.x1 <= right + 1 for line in own for chunk in line.chunks
            ):
                added.append((left, top, right, bottom))
    return arrange([*cells, *added]) if added else grid


def close_rows(grid: Grid, lines: Sequence[Line], rules: Rules, others: Sequence[Grid]) -> Grid:
    """Return the grid with the rows that a page's end leaves open: its upright rules go on, and so does its text.

    Without a frame those between its columns do: white ones, above and below the first and the last band of colour.
    """
    x0, top, x1, bottom = grid.bbox
    added: list[Box] = []
    inner = {cell[0] for row in grid.rows for cell in row if cell is not None} - {x0}
    for edge, sign in ((top, -1), (bottom, 1)):
        ends = _find_ends(grid, rules, edge, sign)
        is_framed = len(ends) > 1 and min(ends) <= x0 + NEAR and max(ends) >= x1 - NEAR
        if not is_framed and not (len(ends) > 1 and inner <= ends.keys()):
            continue
        reach = min(ends.values(), key=lambda end: abs(end - edge))
        upper, lower = min(edge, reach), max(edge, reach)
        held = [line for line in lines if upper < line.middle < lower and line.x1 > x0 and line.x0 < x1]
        if not 0 < len(held) <= OPEN_LINES or lower - upper < held[0].height:
            continue
        if any(other.bbox[1] < lower - NEAR and other.bbox[3] > upper + NEAR for other in others if other is not grid):
            continue
        sides = sorted(ends if is_framed else {x0, *ends, x1})
        added += [(left, upper, right, lower) for left, right in pairwise(sides)]
    cells = [cell for row in grid.rows for cell in row if cell is not None]
    return arrange([*cells, *added]) if added else grid


def _find_ends(grid: Grid, rules: Rules, edge: float, sign: int) -> dict[float, float]:
    """Return how far the upright rules of the row at *edge* go beyond it, by their places."""
    row = [cell for cells in grid.rows for cell in cells if cell is not None and edge in (cell[1], cell[3])]
    places = {x for cell in row for x in (cell[0], cell[2])}
    ends: dict[float, float] = {}
    for x, upper, _, lower in rules.vertical:
        beyond = upper if sign < 0 else lower
        if upper - NEAR <= edge <= lower + NEAR and (beyond - edge) * sign > NEAR:
            place = next((place for place in places if abs(place - x) <= NEAR), None)
            if place is not None:
                ends[place] = beyond
    return ends


def find_spans(grid: Grid) -> list[Span]:
    """Return the cells that cover several rows or columns."""
    lefts = sorted({cell[0] for row in grid.rows for cell in row if cell is not None})
    tops = [min(cell[1] for cell in row if cell is not None) for row in grid.rows]
    spans: list[Span] = []
    for number, row in enumerate(grid.rows):
        for column, cell in enumerate(row):
            if cell is None:
                continue
            last = max(column, bisect_left(lefts, cell[2] - 1) - 1)
            bottom = max(number, bisect_left(tops, cell[3] - 1) - 1)
            if last == column and bottom == number:
                continue
            others = [
                other
                for below in range(number, bottom + 1)
                for other in grid.rows[below][column : last + 1]
                if other is not None and other is not cell
            ]
            if not others:
                spans.append((number, column, bottom, last))
    return spans
