"""Where on a page tables without rules may be: stretches of lines that share a white strip."""

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from operator import itemgetter
from typing import NamedTuple

from extraction.page.chunks import Chunk, Line
from extraction.page.geometry import LIMIT
from extraction.tables.captions import is_caption
from extraction.values import Box

PROSE_STARTS = 5  # lines of prose that start at one place make a column of text
PROSE_WORDS = 4  # of one chunk; cells of figures have fewer
PANEL_HEIGHT = 10  # lines, at least
FIRST_FIGURES = 0.2  # of the lines of a panel may begin with one
CROSSING = 2  # rules over a gutter: more, and it is a table of text that they hold together
MEMORY = 4  # lines in which a gutter may be covered (a section's head, a spanning cell) and still go on
SINGLES = 4  # lines of one chunk between lines of several: heads and wrapped labels
WHITE = 2.6  # line heights; the widest white seen between rows of one table, but for those with rules
SAME_HEIGHT = 2.0  # points between pieces of one rule
SHARED = 0.25  # line heights of white that lines must share


class Rules(NamedTuple):
    """The horizontal and vertical lines on a page, joined, top to bottom and left to right."""

    horizontal: list[Box]
    vertical: list[Box]

    def between(self, top: float, bottom: float, x0: float, x1: float, share: float) -> list[float]:
        """Return the heights between *top* and *bottom* at which rules cover *share* of *x0* to *x1*."""
        first = bisect_left(self.horizontal, top, key=itemgetter(1))
        last = bisect_right(self.horizontal, bottom, key=itemgetter(1))
        found: list[float] = []
        covered: list[tuple[float, float]] = []
        height = -LIMIT
        for left, y, right, _ in self.horizontal[first:last]:
            if y > height + SAME_HEIGHT:
                if _length(covered, x0, x1) >= share * (x1 - x0):
                    found.append(height)
                covered, height = [], y
            covered.append((left, right))
        if _length(covered, x0, x1) >= share * (x1 - x0):
            found.append(height)
        return found


def _length(intervals: list[tuple[float, float]], low: float, high: float) -> float:
    total, last = 0.0, low
    for x0, x1 in sorted(intervals):
        x0, x1 = max(x0, last), min(x1, high)
        if x1 > x0:
            total += x1 - x0
            last = x1
    return total


def is_prose(chunk: Chunk) -> bool:
    """Whether this reads as a part of a sentence."""
    words = chunk.tokens
    return len(words) >= PROSE_WORDS and 2 * sum([word.text[:1].islower() for word in words]) >= len(words)


# Zones


def part_zones(lines: list[Line], rules: Rules, depth: int = 3) -> list[list[Line]]:
    """Part the stretches of lines that have a column of prose on one side of a gutter from what is beside it.

    And panels, as forms have them, from each other.
    """
    found = None
    if depth and len(lines) >= PROSE_STARTS:
        found = _find_panel(lines, rules) or _find_column(lines, rules)
    if found is None:
        return [lines]
    x, first, last = found
    left, right = _split(lines[first:last], x)
    zones: list[list[Line]] = []
    for part in (lines[:first], left, right, lines[last:]):
        if part:
            zones += part_zones(part, rules, depth - 1)
    return zones


def _split(lines: Sequence[Line], x: float) -> tuple[list[Line], list[Line]]:
    left: list[Line] = []
    right: list[Line] = []
    for line in lines:
        before = [chunk for chunk in line.chunks if chunk.x0 < x]
        after = [chunk for chunk in line.chunks if chunk.x0 >= x]
        if before:
            left.append(line.with_chunks(before))
        if after:
            right.append(line.with_chunks(after))
    return left, right


def _find_panel(lines: list[Line], rules: Rules) -> tuple[float, int, int] | None:
    """Return the place of an upright rule between two panels, each of several columns that begin with text, and their
    first and last line.
    """
    middles = [line.middle for line in lines]
    for x, top, _, bottom in rules.vertical:
        first, last = bisect_right(middles, top), bisect_left(middles, bottom)
        if bottom - top < PANEL_HEIGHT * lines[0].height or last - first < PROSE_STARTS:
            continue
        held = lines[first:last]
        if (  # first what tells most rules of tables
            not _is_crossed(rules, x, middles[first], middles[last - 1])
            and not any(chunk.x0 < x - 1 and chunk.x1 > x + 1 for line in held for chunk in line.chunks)
            and all(map(_is_panel, _split(held, x)))
        ):
            return x, first, last
    return None


def _is_panel(lines: list[Line]) -> bool:
    several = sum(len(line.chunks) > 1 for line in lines)
    figures = sum(line.chunks[0].number for line in lines)
    return len(lines) >= PROSE_STARTS and 2 * several >= len(lines) and figures <= FIRST_FIGURES * len(lines)


def _find_column(lines: list[Line], rules: Rules) -> tuple[float, int, int] | None:
    """Return the x at which a column begins beside another, one of them prose, and its first and last line."""
    long = (chunk for line in lines for chunk in line.chunks if len(chunk.tokens) >= PROSE_WORDS)
    if len(list(islice(filter(is_prose, long), PROSE_STARTS))) < PROSE_STARTS:
        return None  # quick to check, and usual where there are tables
    leftmost = min(line.x0 for line in lines)
    starts = Counter(
        round(chunk.x0 / 3) for line in lines for chunk in line.chunks if chunk.x0 > leftmost + 5 * line.height
    )
    best: tuple[float, int, int] | None = None
    best_count = 0
    for place, _ in starts.most_common(6):
        count = starts[place - 1] + starts[place] + starts[place + 1]
        if count < PROSE_STARTS:
            continue
        x = 3.0 * place - 4
        for first, last in _open_runs(lines, x):
            size = min(
                sum([line.x0 < x for line in lines[first:last]]),
                sum([line.chunks[-1].x0 >= x for line in lines[first:last]]),
            )
            if size < PROSE_STARTS or size <= best_count:
                continue  # quick to check, and usual
            if _cross(rules, x, lines[first].top, lines[last - 1].bottom) <= CROSSING and any(
                map(_flows, _split(lines[first:last], x))
            ):
                best, best_count = (x, first, last), size
    return best


def _open_runs(lines: list[Line], x: float) -> list[tuple[int, int]]:
    """Return the stretches of lines that leave a strip to the left of *x* white, from the first to the last that has
    something on both sides or on the right."""
    runs: list[tuple[int, int]] = []
    start: int | None = None
    for number, line in enumerate(lines):
        edge = x - 0.3 * line.height
        if line.x0 < x and any(chunk.x0 < x and chunk.x1 > edge for chunk in line.chunks):
            if start is not None:
                runs.append((start, number))
                start = None
        elif start is None:
            start = number
    if start is not None:
        runs.append((start, len(lines)))
    return runs


def _is_crossed(rules: Rules, x: float, top: float, bottom: float) -> bool:
    """Whether a rule crosses the gutter."""
    first = bisect_left(rules.horizontal, top, key=itemgetter(1))
    last = bisect_right(rules.horizontal, bottom, key=itemgetter(1))
    return any(rule[0] < x - 9 and rule[2] > x + 9 for rule in rules.horizontal[first:last])


def _cross(rules: Rules, x: float, top: float, bottom: float) -> int:
    """Return how many rules cross the gutter."""
    return len(
        {
            round(rule[1])
            for rule in rules.horizontal
            if top <= rule[1] <= bottom and rule[0] < x - 9 and rule[2] > x + 9
        }
    )


def _flows(lines: list[Line]) -> bool:
    """Whether these lines are a column of running text: many of them go on in the middle of a sentence."""
    single = [line for line in lines if len(line.chunks) == 1]
    if len(single) < 0.7 * len(lines):
        return False
    prose = sum(1 for line in single if is_prose(line.chunks[0]))
    going_on = sum(1 for line in single if line.text[:1].islower())
    return prose >= PROSE_STARTS and prose >= 0.5 * len(lines) and going_on >= 0.35 * len(lines)


# Blocks


def may_have_blocks(lines: list[Line]) -> bool:
    """Whether two lines have several chunks; a page of prose has none, and need not be looked at any further."""
    return sum(len(line.chunks) > 1 for line in lines) >= 2


def find_blocks(lines: list[Line], rules: Rules) -> list[list[Line]]:
    """Return the stretches of lines of which each of several chunks shares a gutter with one of those before it."""
    blocks: list[list[Line]] = []
    block: list[Line] = []
    pending: list[Line] = []  # lines of one chunk, which belong to the block if it goes on

    def end() -> None:
        nonlocal block, pending
        if sum(1 for line in block if len(line.chunks) > 1) >= 2:
            blocks.append(block)
        block, pending = [], []

    for line in lines:
        if block and _is_far((pending or block)[-1], line, block, rules):
            end()
        if len(line.chunks) == 1:
            if block:
                pending.append(line)
                if len(pending) > SINGLES or _ends(line, block) or is_caption(line.text):
                    end()
        elif not block:
            block = [line]
        else:
            if _shares(line, block):
                block += [*pending, line]
                pending = []
            else:
                end()
                block = [line]
    end()
    return blocks


def _is_far(upper: Line, lower: Line, block: list[Line], rules: Rules) -> bool:
    white = lower.top - upper.bottom
    if white <= WHITE * max(upper.height, lower.height):
        return False
    if white > 3 * WHITE * max(upper.height, lower.height):
        return True
    x0, x1 = min(line.x0 for line in block), max(line.x1 for line in block)
    return not rules.between(upper.middle, lower.middle, x0, x1, 0.8)


def _ends(line: Line, block: list[Line]) -> bool:
    """Whether a line of one chunk is running text below the block, not a section's head or a wrapped label."""
    width = max(other.x1 for other in block) - min(other.x0 for other in block)
    return is_prose(line.chunks[0]) and line.chunks[0].word_count >= 9 and line.x1 - line.x0 > 0.5 * width


def _gaps(line: Line) -> list[tuple[float, float]]:
    return [(left.x1, right.x0) for left, right in zip(line.chunks, line.chunks[1:], strict=False)]


def _shares(line: Line, block: list[Line]) -> bool:
    """Whether one of the last lines leaves white a strip that this one does."""
    least = SHARED * line.height
    own = _gaps(line)
    seen = 0
    for other in reversed(block):
        if len(other.chunks) < 2:
            continue
        if any(min(b, d) - max(a, c) >= least for a, b in own for c, d in _gaps(other)):
            return True
        seen += 1
        if seen == MEMORY:
            break
    return False
