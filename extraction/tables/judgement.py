"""Which ruled grids stay: those whose cells part their text."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

from extraction.page.chunks import Chunk, Line
from extraction.tables.blocks import Rules, is_prose
from extraction.tables.ruled import Grid, TooManyLinesError

MIXED = 0.20  # of its chunks may share a line of a cell with others
STACKED = 0.30  # of its filled cells may hold numbers in several lines
BESIDE = 0.25  # of its lines may go on beside the grid
SPARSE = 0.12  # of the places of a chart's lines hold text; a form that nobody filled in has its heads
PAGE_ROWS, PANEL_LINES = 3, 20
MANY = 20  # places; fewer do not tell
MAXIMUM_STEPS = 2_000_000  # comparisons for one grid: half a second


Held = list[tuple[int, list[list[Chunk]]]]  # the cells that hold text: the row of each, and its chunks by line


class Judge:
    """Judges the grids of one page."""

    def __init__(self, lines: Sequence[Line], rules: Rules) -> None:
        """*lines*: from top to bottom."""
        self._lines = lines
        self._rules = rules
        self._middles = [line.middle for line in lines]
        self._held: dict[int, tuple[Grid, Held]] = {}  # by the identity of a grid, which is kept with it

    def is_good(self, grid: Grid) -> bool:
        """Whether the cells part the text."""
        edges = sorted({cell[0] for row in grid.rows for cell in row if cell is not None})
        held = self.hold_chunks(grid)
        count = sum([len(chunks) for _, cell in held for chunks in cell])
        stacked = sum(sum(1 for chunks in cell if len(chunks) == 1 and chunks[0].number) > 1 for _, cell in held)
        crowds = [_Crowd(number, chunks) for number, cell in held for chunks in cell if len(chunks) > 1]
        mixed = sum(len(crowd.chunks) for crowd in crowds if crowd.is_parted(edges, crowds))
        if mixed > MIXED * count or stacked > STACKED * len(held):
            return False
        own = [line for line in self._lines if grid.bbox[1] <= line.middle <= grid.bbox[3]]
        return not _goes_on_beside(grid, own, self._rules)

    def overlaps(self, grid: Grid) -> bool:
        """Whether text lies in two cells at once: backgrounds that are drawn over each other, not rules."""
        held = [id(chunk) for _, cell in self.hold_chunks(grid) for chunks in cell for chunk in chunks]
        return len(held) > len(set(held))

    def is_frame(self, grid: Grid) -> bool:
        """Whether the grid is a frame around running text, or the lines of a chart."""
        held = self.hold_chunks(grid)
        place_count = len(grid.rows) * len(grid.rows[0])
        cell_count = sum([cell is not None for row in grid.rows for cell in row])
        if not held:
            return len(grid.rows) == 1 or len(grid.rows[0]) == 1 or cell_count < 0.8 * place_count
        if place_count >= MANY and cell_count < 0.8 * place_count and len(held) < SPARSE * place_count:
            return True
        undivided = sum(1 for row in grid.rows if sum([cell is not None for cell in row]) == 1)
        if undivided < 0.75 * len(grid.rows):
            return False
        chunks = [chunk for _, cell in held for line in cell for chunk in line]
        return sum(map(is_prose, chunks)) >= 0.5 * len(chunks)

    def is_page(self, grid: Grid) -> bool:
        """Whether these few cells are the panels of a page: most of its lines stand in one row, above each other."""
        if len(grid.rows) > PAGE_ROWS:
            return False
        return any(len(cell) > PANEL_LINES for _, cell in self.hold_chunks(grid))

    def hold_chunks(self, grid: Grid) -> Held:
        """Return each cell that holds text.

        Raises:
            TooManyLinesError: above two million comparisons; the fullest real page seen takes 60,000.
        """
        if id(grid) not in self._held:
            self._held[id(grid)] = grid, self._hold_chunks(grid)
        return self._held[id(grid)][1]

    def _hold_chunks(self, grid: Grid) -> Held:
        found: Held = []
        middles = self._middles
        steps = 0
        for number, row in enumerate(grid.rows):
            cells = [cell for cell in row if cell is not None]
            top, bottom = min([cell[1] for cell in cells]), max([cell[3] for cell in cells])
            if bisect_left(middles, top) == bisect_left(middles, bottom):
                continue  # no line: quick to check, and usual in large grids
            beside: dict[tuple[float, float], list[list[tuple[float, Chunk]]]] = {}  # lines, by what a cell covers
            for left, upper, right, lower in cells:
                own = beside.get((upper, lower))
                if own is None:
                    lines = self._lines[bisect_left(middles, upper) : bisect_left(middles, lower)]
                    own = [[((chunk.x0 + chunk.x1) / 2, chunk) for chunk in line.chunks] for line in lines]
                    beside[upper, lower] = own
                steps += 1 + sum(map(len, own))
                if steps > MAXIMUM_STEPS:
                    raise TooManyLinesError
                low, high = left - 1, right + 1
                held = [
                    chunks for line in own if (chunks := [chunk for middle, chunk in line if low <= middle <= high])
                ]
                if held:
                    found.append((number, held))
        return found


class _Crowd(NamedTuple):
    """Several chunks on one line of a cell: a row of columns that no rule parts, or words that are spaced widely."""

    row: int
    chunks: list[Chunk]

    @property
    def gaps(self) -> list[tuple[float, float]]:
        return [(left.x1, right.x0) for left, right in pairwise(self.chunks)]

    @property
    def has_number(self) -> bool:
        return any(chunk.number for chunk in self.chunks)

    def is_parted(self, edges: Sequence[float], crowds: Sequence["_Crowd"]) -> bool:
        """Whether a gap is where other rows have a column, or where two other rows, or lines of figures, have gaps."""
        for x0, x1 in self.gaps:
            if bisect_left(edges, x0 - 1) < bisect_left(edges, x1 + 1):
                return True
            alike: set[int] = set()
            for number, other in enumerate(crowds):
                if other is self or not any(low < x1 and high > x0 for low, high in other.gaps):
                    continue
                if other.row != self.row:
                    alike.add(other.row)
                elif self.has_number or other.has_number:
                    alike.add(-1 - number)
                if len(alike) == 2:
                    return True
        return False


def _goes_on_beside(grid: Grid, own: Sequence[Line], rules: Rules) -> bool:
    """Whether the table's rules, and text between them, go on to the left or right of the grid."""
    x0, top, x1, bottom = grid.bbox
    reaching = [
        rule
        for rule in rules.horizontal
        if top - 3 <= rule[1] <= bottom + 3
        and rule[0] < x1 - 3
        and rule[2] > x0 + 3
        and (rule[0] < x0 - 6 or rule[2] > x1 + 6)
    ]
    if len(reaching) < 2:
        return False
    left, right = min(rule[0] for rule in reaching), max(rule[2] for rule in reaching)
    beside = inside = 0
    for line in own:
        beside += any(
            left - 3 < chunk.x0 and chunk.x1 < right + 3 and (chunk.x1 < x0 + 1 or chunk.x0 > x1 - 1)
            for chunk in line.chunks
        )
        inside += any(x0 - 1 <= (chunk.x0 + chunk.x1) / 2 <= x1 + 1 for chunk in line.chunks)
    return beside > BESIDE * max(1, inside)
