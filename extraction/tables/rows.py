"""The rows of a table without rules: its head, its lines joined to rows, its cells' text."""

import itertools
from collections.abc import Sequence
from typing import NamedTuple

from extraction.page.chunks import Line, has_letters, is_years
from extraction.tables.blocks import Rules
from extraction.tables.columns import Cell, Interval, split_at_gutters

FULL = 0.8  # of the width: a rule that parts a head or rows; shorter ones part the columns under a spanning cell
MOST_HEAD_LINES = 10
CENTRED = 0.08  # of the width between two upright rules: how far the middle of a head may stand from theirs
TIGHT = 0.9  # line heights of white between the lines of one head cell
PEAKS = 1.35  # times the white inside rows is the least between them, if line distances tell rows
Span = tuple[int, int, int, int]  # row, column, last row, last column


class PlacedLine(NamedTuple):
    line: Line
    cells: list[Cell]

    @property
    def number_count(self) -> int:
        return sum(1 for cell in self.cells if cell.chunk.number)


class Layout(NamedTuple):
    """A table's cells: "" where a row has nothing in a column, None where a spanning cell lies."""

    data: list[list[str | None]]
    spans: list[Span]
    header_rows: int


class _HeadCell:
    """A cell of the head, over the columns from *first* to *last*."""

    def __init__(self, cell: Cell, level: int, line: Line) -> None:
        self.first, self.last = cell.first, cell.last
        self.level = level
        self.texts = [cell.chunk.text]
        self.bottom = line.bottom
        self.middle = line.middle


def lay_out(placed: list[PlacedLine], columns: Sequence[Interval], rules: Rules) -> Layout:
    upper_count = head_count = find_head(placed, columns, rules)
    if head_count:
        head_count += _count_lower_heads(placed[head_count:], columns, rules)
    head = _arrange_head(placed[:head_count], upper_count, columns, rules)
    level_count = 1 + max((cell.level for cell in head), default=-1)
    data: list[list[str | None]] = [[""] * len(columns) for _ in range(level_count)]
    spans: list[Span] = []
    below = [level_count] * len(columns)  # the level of the next cell down, by column
    for top in sorted(head, key=lambda cell: -cell.level):
        bottom = min(below[top.first : top.last + 1]) - 1
        _put(data, spans, "\n".join(top.texts), (top.level, top.first, max(bottom, top.level), top.last))
        below[top.first : top.last + 1] = [top.level] * (top.last + 1 - top.first)
    body = placed[head_count:]
    for row in _join_lines(body, columns, rules):
        number = len(data)
        data.append([""] * len(columns))
        texts: dict[tuple[int, int], list[str]] = {}
        for line in row:
            begun = list(texts)  # by lines above; the cells of one line have no column in common
            for cell in line.cells:
                last = cell.last if cell.first and len(line.cells) > 1 else cell.first
                key = (cell.first, last)
                if begun:
                    key = next((key for key in begun if key[0] <= last and cell.first <= key[1]), key)
                texts.setdefault(key, []).append(cell.chunk.text)
        for (first, last), lines in texts.items():
            _put(data, spans, "\n".join(lines), (number, first, number, last))
    return Layout(data, sorted(spans), level_count)


def _put(data: list[list[str | None]], spans: list[Span], text: str, span: Span) -> None:
    top, left, bottom, right = span
    if top < bottom or left < right:
        spans.append(span)
        for row in range(top, bottom + 1):
            data[row][left : right + 1] = [None] * (right + 1 - left)
    data[top][left] = text


# The head


def find_head(placed: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules) -> int:
    """Return how many lines the head has: to the first full rule, else to the first row of numbers."""
    x0, x1 = columns[0].x0, columns[-1].x1
    numeric = [number for number, line in enumerate(placed) if _is_numeric(line, columns)]
    first_numeric = next((number for number in numeric if not _is_years(placed[number])), None)
    tops = [
        top
        for top in rules.between(placed[0].line.middle, placed[-1].line.middle, x0, x1, FULL)
        if rules.between(top - 1, top + 1, *columns[0], 0.5)  # else the rules under the cells that span the others
    ]
    if tops:
        above = sum(1 for line in placed if line.line.middle < tops[0])
        figures = sum(1 for n in numeric if n < above and placed[n].cells[0].first == 0 and not _is_years(placed[n]))
        if figures <= 1 and above <= MOST_HEAD_LINES:
            return above
    if first_numeric is None:
        return 1 if _is_head_of_text(placed) else 0
    # a section's head just above the first row of numbers is the body's
    count = first_numeric
    while count > 1 and len(placed[count - 1].cells) == 1 and placed[count - 1].cells[0].first == 0:
        count -= 1
    return count


def _count_lower_heads(body: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules) -> int:
    """Return how many lines below the head belong to it, as a second full rule above the first row of numbers tells."""
    count = next((number for number, line in enumerate(body) if _is_numeric(line, columns)), 0)
    heads = body[:count]
    if not 0 < count <= MOST_HEAD_LINES or any(line.number_count or not line.cells[-1].first for line in heads):
        return 0
    x0, x1 = columns[0].x0, columns[-1].x1
    return count if rules.between(body[count - 1].line.middle, body[count].line.middle, x0, x1, FULL) else 0


def _is_numeric(placed: PlacedLine, columns: Sequence[Interval]) -> bool:
    others = [cell for cell in placed.cells if cell.first > 0]
    if not others:
        return False
    numbers = sum(1 for cell in others if cell.chunk.number)
    return 2 * numbers >= len(others) and 3 * numbers >= len(columns) - 1


def _is_years(placed: PlacedLine) -> bool:
    others = [cell.chunk.text for cell in placed.cells if cell.first > 0]
    return bool(others) and all(map(is_years, others))


def _is_head_of_text(placed: Sequence[PlacedLine]) -> bool:
    first = placed[0]
    return (
        len(first.cells) > 1
        and not first.number_count
        and all(cell.chunk.text[:1].isupper() and len(cell.chunk.tokens) <= 4 for cell in first.cells)
    )


def _arrange_head(
    placed: Sequence[PlacedLine], upper_count: int, columns: Sequence[Interval], rules: Rules
) -> list[_HeadCell]:
    """Tight stacks become one cell, a spanning cell makes a level, and so does the full rule below the upper lines."""
    placed = [_part_stacked(number, placed, columns, rules) for number in range(len(placed))]
    found: list[_HeadCell] = []
    lowest: list[_HeadCell | None] = [None] * len(columns)
    lower_level = 0  # of the first below that rule
    for number, (line, cells) in enumerate(placed):
        if number == upper_count:
            lower_level = 1 + max((cell.level for cell in found), default=-1)
        for cell in _widen(line, cells, placed[number + 1 :], columns, rules):
            above = [lowest[column] for column in range(cell.first, cell.last + 1)]
            same = above[0]
            if (
                same is not None
                and all(other is same for other in above)
                and (same.first, same.last) == (cell.first, cell.last)
                and line.top - same.bottom <= TIGHT * line.height
                and not rules.between(same.middle, line.middle, columns[cell.first].x0, columns[cell.last].x1, 0.6)
            ):
                same.texts.append(cell.chunk.text)
                same.bottom, same.middle = line.bottom, line.middle
                continue
            level = max((other.level + 1 for other in above if other is not None), default=0)
            if number >= upper_count:
                level = max(level, lower_level)
            new = _HeadCell(cell, level, line)
            found.append(new)
            lowest[cell.first : cell.last + 1] = [new] * (cell.last + 1 - cell.first)
    return found


def _part_stacked(number: int, placed: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules) -> PlacedLine:
    """Part the cells in the middle of a stack that have a part for each of their columns."""
    line = placed[number]
    begun = {cell.first for cell in placed[number - 1].cells if cell.first == cell.last} if number else set()
    cells: list[Cell] = []
    for cell in line.cells:
        parts = [cell]
        own = set(range(cell.first, cell.last + 1))
        if len(own) > 1 and begun & own and _may_part(cell, number, placed, columns, rules):
            chunks = split_at_gutters(cell.chunk, columns, lambda left, right: True)
            if len(chunks) == len(own):
                parts = [Cell(cell.first + place, cell.first + place, chunk) for place, chunk in enumerate(chunks)]
        cells += parts
    return PlacedLine(line.line, cells)


def _may_part(cell: Cell, number: int, placed: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules) -> bool:
    """Whether no rule comes between the cell and the line above, or the next, with a cell for each of its columns.

    A cell that lies over two gutters at least, and has a word for each column, needs no such line.
    """
    if cell.last - cell.first > 1 and len(cell.chunk.tokens) == cell.last + 1 - cell.first:
        return True
    own = set(range(cell.first, cell.last + 1))
    line = placed[number].line
    return any(
        {other.first for other in near.cells if other.first == other.last} >= own
        and not rules.between(
            min(near.line.middle, line.middle),
            max(near.line.middle, line.middle),
            columns[cell.first].x0,
            columns[cell.last].x1,
            0.6,
        )
        for near in placed[max(0, number - 1) : number + 2]
        if near.line is not line
    )


def _widen(
    line: Line, cells: Sequence[Cell], lower: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules
) -> list[Cell]:
    """Return the cells with the columns that they head: between upright rules, over a rule of their own, else as they
    are centred; *lower* are the lines of the head below.
    """
    widened: list[Cell] = []
    for number, cell in enumerate(cells):
        low = widened[-1].last + 1 if widened else 0
        high = cells[number + 1].first - 1 if number + 1 < len(cells) else len(columns) - 1
        first, last = cell.first, cell.last
        below = next((other for other in lower if any(low <= held.first <= high for held in other.cells)), None)
        covered: list[int] = []
        if below is not None:
            limits = _rules_beside(line, cell, below.line, columns, rules) or _rule_below(
                line, cell, below.line, columns, rules
            )
            if limits is not None:
                covered = [
                    column
                    for column, (x0, x1) in enumerate(columns)
                    if min(limits[1], x1) - max(limits[0], x0) > 0.5 * (x1 - x0) and low <= column <= high
                ]
                if covered and number + 1 < len(cells) and cells[number + 1].chunk.x1 <= limits[1] + 3:
                    covered = _share(cell, columns, covered)
            if covered:
                first, last = min(first, covered[0]), max(last, covered[-1])
            elif limits is None and first < last:
                first, last = _centre(cell, columns, max(low, 1), high)
        widened.append(Cell(first, max(first, last), cell.chunk))
    return widened


def _share(cell: Cell, columns: Sequence[Interval], covered: list[int]) -> list[int]:
    """Return the first of the *covered* columns over which the cell is centred: those after it are another's."""
    middle = cell.chunk.x0 + cell.chunk.x1
    ends = [column for column in covered if column >= cell.last] or covered[-1:]
    last = min(ends, key=lambda column: abs(columns[covered[0]].x0 + columns[column].x1 - middle))
    return [column for column in covered if column <= last]


def _rules_beside(
    line: Line, cell: Cell, below: Line, columns: Sequence[Interval], rules: Rules
) -> tuple[float, float] | None:
    """Return the places of the upright rules to the left and the right of the cell, if it is centred between them or
    others begin under it; None if one is missing, or if they are the frame of the table.
    """
    beside = [x for x, top, _, bottom in rules.vertical if top <= line.middle <= bottom]
    left = max((x for x in beside if x <= cell.chunk.x0 + 3), default=None)
    right = min((x for x in beside if x >= cell.chunk.x1 - 3), default=None)
    if left is None or right is None or (left <= columns[0].x0 and right >= columns[-1].x1):
        return None
    aside = abs(left + right - cell.chunk.x0 - cell.chunk.x1) / 2
    if aside > CENTRED * (right - left) and not any(
        left < x < right and line.middle < top <= below.middle for x, top, _, _ in rules.vertical
    ):
        return None
    return left, right


def _rule_below(
    line: Line, cell: Cell, below: Line, columns: Sequence[Interval], rules: Rules
) -> tuple[float, float] | None:
    """Return the ends of the rule between the cell and the next line, if it is wider than the cell's text but not the
    table's.
    """
    widest = FULL * (columns[-1].x1 - columns[0].x0)
    for x0, y, x1, _ in rules.horizontal:
        if y > below.middle:
            break
        if line.middle < y and x1 - x0 < widest and x0 <= cell.chunk.x0 + 3 and x1 >= cell.chunk.x1 - 3:
            return x0, x1
    return None


def _centre(cell: Cell, columns: Sequence[Interval], low: int, high: int) -> tuple[int, int]:
    middle = (cell.chunk.x0 + cell.chunk.x1) / 2
    best = (cell.first, cell.last)
    best_distance = abs((columns[best[0]].x0 + columns[best[1]].x1) / 2 - middle)
    for first in range(min(low, cell.first), cell.first + 1):
        for last in range(cell.last, max(high, cell.last) + 1):
            distance = abs((columns[first].x0 + columns[last].x1) / 2 - middle)
            if distance < best_distance - 2:
                best, best_distance = (first, last), distance
    return best


# The body


def _join_lines(body: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules) -> list[list[PlacedLine]]:
    """Return the lines of each row: between rules if each holds one row, else as distances or the text itself tell."""
    if not body:
        return []
    return _join_by_rules(body, columns, rules) or _join_by_distance(body, columns) or _join_by_text(body, columns)


def _join_by_rules(
    body: Sequence[PlacedLine], columns: Sequence[Interval], rules: Rules
) -> list[list[PlacedLine]] | None:
    x0, x1 = columns[0].x0, columns[-1].x1
    tops = rules.between(body[0].line.middle, body[-1].line.middle, x0, x1, FULL)
    if len(tops) < 2 or 3 * (len(tops) + 1) < len(body):
        return None
    rows: list[list[PlacedLine]] = [[]]
    for line in body:
        while tops and line.line.middle > tops[0]:
            tops.pop(0)
            if rows[-1]:
                rows.append([])
        rows[-1].append(line)
    several = [row for row in rows if len(row) > 1]
    if any(_has_several_rows(row) for row in several):
        return None
    return rows


def _has_several_rows(row: Sequence[PlacedLine]) -> bool:
    """Whether two lines have numbers in one column."""
    seen: set[int] = set()
    for line in row:
        own = {cell.first for cell in line.cells if cell.chunk.number}
        if own & seen:
            return True
        seen |= own
    return False


def _join_by_distance(body: Sequence[PlacedLine], columns: Sequence[Interval]) -> list[list[PlacedLine]] | None:
    """If the distances of lines have two peaks, the wider part the rows."""
    if len(body) < 4:
        return None
    steps = [lower.line.middle - upper.line.middle for upper, lower in itertools.pairwise(body)]
    ordered = sorted(steps)
    jumps = [(ordered[k + 1] / max(ordered[k], 0.1), k) for k in range(len(ordered) - 1)]
    ratio, place = max(jumps)
    narrow, wide = place + 1, len(ordered) - place - 1
    if ratio < 1.2 or narrow < 2 or wide < 2:
        return None
    limit = (ordered[place] + ordered[place + 1]) / 2
    rows = [[body[0]]]
    for step, line in zip(steps, body[1:], strict=True):
        if step < limit:
            rows[-1].append(line)
        else:
            rows.append([line])
    if any(_has_several_rows(row) for row in rows):
        return None
    # what is joined must go on: its lines fill the same columns as the first of the row, or fewer
    complete = sum(1 for row in rows if len(row[0].cells) > 1 or len(row) == 1)
    full = [row for row in rows if len(row) > 1]
    if not full or complete < 0.8 * len(rows):
        return None
    return rows


def _join_by_text(body: Sequence[PlacedLine], columns: Sequence[Interval]) -> list[list[PlacedLine]]:
    rows: list[list[PlacedLine]] = []
    for number, line in enumerate(body):
        if rows and _goes_on(rows[-1], line, body[number + 1] if number + 1 < len(body) else None, columns):
            rows[-1].append(line)
        else:
            rows.append([line])
    return rows


def _goes_on(
    row: Sequence[PlacedLine], line: PlacedLine, below: PlacedLine | None, columns: Sequence[Interval]
) -> bool:
    """Whether the line continues the row above: it has no numbers, and is a lower-case or deeper start, or a tail."""
    above = row[-1]
    if line.line.top - above.line.bottom > 0.8 * line.line.height:
        return False
    if line.number_count:
        return _is_tail(above, line)
    own = {column for cell in line.cells for column in range(cell.first, cell.last + 1)}
    if len(line.cells) == 1 and line.cells[0].first == 0:
        start = line.cells[0].chunk
        if len(above.cells) < 2 and not (start.text[:1].islower()):
            return False
        if start.text[:1].islower():
            return True
        deeper = start.x0 > row[0].line.x0 + 0.5 * line.line.height
        if below is not None and below.cells[0].first == 0 and below.line.x0 >= start.x0 - 1 and len(below.cells) > 1:
            return False  # the head of an indented group
        return deeper and has_letters(start.text)
    filled = {cell.first for other in row for cell in other.cells}
    if 0 in own or not own:
        return 0 in own and line.cells[0].chunk.text[:1].islower() and own <= filled
    return own <= filled


def _is_tail(above: PlacedLine, line: PlacedLine) -> bool:
    """Whether the figures stand beside the last line of a label: the line above is its first."""
    start, label = line.cells[0], above.cells[0]
    return (
        len(above.cells) == 1
        and label.first == start.first == 0
        and start.chunk.text[:1].islower()
        and not label.chunk.text.endswith(":")
        and abs(start.chunk.x0 - label.chunk.x0) < 0.5 * line.line.height
    )
