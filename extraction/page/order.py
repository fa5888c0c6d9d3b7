"""The order in which lines are read where that of drawing is not it, and only where the geometry is clear."""

import re
from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from operator import itemgetter, le
from statistics import median

from extraction.page.textlines import BREAK, Line, LineReader
from extraction.values import Box

BELOW = 0.5  # of its height: a line that begins that much higher than the last was drawn out of order
SAME_HEIGHT = 0.3  # of the lower of two lines that stand side by side
PARAGRAPH_GAP = 5.0  # times the height: no paragraph is set off more
LEAST_WIDTH = 11.5  # times its height, of the longer of two lines of paragraphs
MOST_BETWEEN = 50  # lines in a gap that are looked at
LEAST_COMB = 3  # characters that stand one by one at equal steps
UNEVEN = 0.1  # of a step
FIRST_WIDE = "\u2e80"  # of the characters of Chinese and Japanese, which have no blanks
SLACK = 1.0  # points that two characters of a column may overlap
SAME_COLUMN = 0.5  # of the width of a line that lies in its column


def put_in_order(lines: list[Line]) -> list[Line]:
    """Return lines that were drawn out of order from top to bottom.

    Lines are drawn in runs, each from top to bottom. Runs that lie above each other are put in order; those beside each
    other, as columns are, stay as they were drawn, unless their lines are one column's.
    """
    if is_vertical(lines):
        return _put_in_vertical_order(lines)
    tops = [line.box[1] for line in lines]
    if all(map(le, tops, tops[1:])):
        return lines  # the usual case, and quick to check
    runs = _split_runs(lines)
    if len(runs) == 1:
        return lines
    runs = _split_at_gaps(runs)
    bands: list[tuple[float, float, list[list[Line]]]] = []  # top, bottom, runs as drawn
    for run in sorted(runs, key=lambda run: min(line.box[1] for line in run)):
        top, bottom = min(line.box[1] for line in run), max(line.box[3] for line in run)
        tolerance = SAME_HEIGHT * min(line.height for line in run)
        if bands and top < bands[-1][1] - tolerance:
            upper, lower, members = bands[-1]
            bands[-1] = (upper, max(lower, bottom), [*members, run])
        else:
            bands.append((top, bottom, [run]))
    places = {id(run): number for number, run in enumerate(runs)}
    ordered: list[Line] = []
    for _, _, members in bands:
        members.sort(key=lambda run: places[id(run)])
        band = [line for run in members for line in run]
        ordered += sorted(band, key=lambda line: line.box[1]) if len(members) > 1 and _is_one_column(band) else band
    return ordered


def _split_runs(lines: list[Line]) -> list[list[Line]]:
    runs = [[lines[0]]]
    for line in lines[1:]:
        last = runs[-1][-1]
        if line.box[1] < last.box[1] - BELOW * min(line.height, last.height):
            runs.append([])
        runs[-1].append(line)
    return runs


def _split_at_gaps(runs: list[list[Line]]) -> list[list[Line]]:
    """Part runs that pass over other lines, as a header and a footer that are drawn together pass over the page.

    Lines of another column beside a gap between two paragraphs do not count.
    """
    boxes = sorted((line.box for run in runs for line in run), key=itemgetter(1, 3))
    tops = [box[1] for box in boxes]
    parted: list[list[Line]] = []
    for run in runs:
        parted.append([run[0]])
        for last, line in pairwise(run):
            first = bisect_left(tops, last.box[3])
            between = boxes[first : min(first + MOST_BETWEEN, bisect_left(tops, line.box[1]))]
            if _may_be_paragraphs(last, line):
                between = [box for box in between if _is_over(box, last.box) or _is_over(box, line.box)]
            if between and between[0][3] <= line.box[1]:
                parted.append([])
            parted[-1].append(line)
    return parted


def _may_be_paragraphs(last: Line, line: Line) -> bool:
    width = max(part.box[2] - part.box[0] for part in (last, line))
    return line.box[1] - last.box[3] <= PARAGRAPH_GAP * line.height and width >= LEAST_WIDTH * line.height


def _is_over(box: Box, other: Box) -> bool:
    return box[0] < other[2] and box[2] > other[0]


def _is_one_column(band: list[Line]) -> bool:
    """Whether no two lines stand side by side, and all lie under each other."""
    ordered = sorted(band, key=lambda line: line.box[1])
    for upper, lower in pairwise(ordered):
        if upper.box[3] - lower.box[1] > SAME_HEIGHT * min(upper.height, lower.height):
            return False
    left, right = median(line.box[0] for line in band), median(line.box[2] for line in band)
    return all(
        min(line.box[2], right) - max(line.box[0], left) >= SAME_COLUMN * min(line.box[2] - line.box[0], right - left)
        for line in band
    )


# Vertical writing


def is_vertical(lines: Sequence[Line]) -> bool:
    """Whether most lines run downwards, as Japanese and Chinese may."""
    sunk = [line for line in lines if line.last[1] >= line.first[3] - BELOW * (line.first[3] - line.first[1])]
    if not sunk:
        return False  # the usual case, and quick
    down = [line for line in filter(_is_long, sunk) if _is_over(line.first, line.last)]
    return 2 * len(down) > sum(map(_is_long, lines))


def _is_long(line: Line) -> bool:
    return len(line.spans) > 1 or line.spans[0][1] - line.spans[0][0] > 1


def join_columns(reader: LineReader, lines: Sequence[Line]) -> list[Line]:
    """Join what goes on below in a column of vertical writing, as words of Latin letters and figures do in it.

    The blanks beside them that PDFium puts in are none of such scripts.
    """
    joined: list[Line] = []
    for line in lines:
        _drop_blanks(reader, line)
        if joined:
            left, top, right, bottom = joined[-1].last
            x0, y0, x1, _ = line.first
            middle = (x0 + x1) / 2
            if left < middle < right and 0 <= y0 - bottom + SLACK <= BELOW * (bottom - top):
                joined[-1].append("", line)
                continue
        joined.append(line)
    return joined


def _drop_blanks(reader: LineReader, line: Line) -> None:
    string, objects = reader.text.string, reader.text.objects
    spans: list[tuple[int, int]] = []
    glues: list[str] = []
    for (start, stop), glue in zip(line.spans, (*line.glues, ""), strict=True):
        first = start
        for place in range(start + 1, stop - 1):
            if (
                string[place] == " "
                and objects[place] is None
                and max(string[place - 1], string[place + 1]) >= FIRST_WIDE
            ):
                spans.append((first, place))
                glues.append("")
                first = place + 1
        spans.append((first, stop))
        glues.append(glue)
    line.spans, line.glues = spans, glues[:-1]


def _put_in_vertical_order(lines: list[Line]) -> list[Line]:
    """Columns from right to left, in tiers from top to bottom."""
    tiers: list[list[Line]] = []
    lowest = 0.0
    for line in sorted(lines, key=lambda line: line.box[1]):
        if tiers and line.box[1] < lowest:
            tiers[-1].append(line)
            lowest = max(lowest, line.box[3])
        else:
            tiers.append([line])
            lowest = line.box[3]
    return [line for tier in tiers for line in sorted(tier, key=lambda line: -line.box[2])]


# Text of fields and notes, which was drawn after the page


def place_added(reader: LineReader, lines: list[Line], added: Sequence[Line]) -> list[Line]:
    """Put each of *added* where it stands on the page: on the line that it fills in, or between two lines."""
    placed = list(lines)
    for chunk in added:
        _join_comb(reader, chunk)
        chunk.end, chunk.next = BREAK, None
        beside = [line for line in placed if _is_beside(line.box, chunk.box)]
        if beside:
            # of several columns, the line that ends, or has its gap, nearest before it
            line = min(beside, key=lambda line: _distance(line.box, chunk.box))
            placed[placed.index(line)] = _insert(reader, line, chunk)
            continue
        above = [number for number, line in enumerate(placed) if line.box[3] <= chunk.box[3]]
        near = [
            number for number in above if placed[number].box[0] < chunk.box[2] and placed[number].box[2] > chunk.box[0]
        ]
        number = max(near or above, key=lambda number: placed[number].box[3], default=-1)
        placed.insert(number + 1, chunk)
    return placed


def _join_comb(reader: LineReader, chunk: Line) -> None:
    """Join the characters of a field that has a place for each; an empty place is a blank."""
    string = reader.text.string
    places = [place for start, stop in chunk.spans for place in range(start, stop) if not string[place].isspace()]
    if len(places) < LEAST_COMB or any(after - before < 2 for before, after in pairwise(places)):
        return
    middles = [left + right for left, _, right, _ in reader.read_boxes(places)]
    steps = [after - before for before, after in pairwise(middles)]
    step = min(steps)
    counts = [round(each / step) for each in steps] if step > 0 else []
    if not counts or any(abs(each - count * step) > UNEVEN * step for each, count in zip(steps, counts, strict=True)):
        return
    objects = reader.text.objects
    gaps = zip(pairwise(places), counts, strict=True)
    if any(count == 1 and any(objects[before + 1 : after]) for (before, after), count in gaps):
        return  # blanks that somebody typed
    chunk.spans = [(place, place + 1) for place in places]
    chunk.glues = [" " * (count - 1) for count in counts]


def _is_beside(line: Box, chunk: Box) -> bool:
    middle = (line[1] + line[3]) / 2
    return chunk[1] <= middle <= chunk[3] or line[1] <= (chunk[1] + chunk[3]) / 2 <= line[3]


def _distance(line: Box, chunk: Box) -> float:
    if line[0] <= chunk[0] < line[2]:
        return 0.0
    return chunk[0] - line[2] if line[2] <= chunk[0] else 10 * (line[0] - chunk[0])  # rather after than before


def _insert(reader: LineReader, line: Line, chunk: Line) -> Line:
    """Return the line with *chunk* at its place between two words."""
    before: list[tuple[int, int]] = []
    after: list[tuple[int, int]] = []
    for span in line.spans:
        for word in re.finditer(r"\S+", reader.text.string[slice(*span)]):
            place = span[0] + word.start(), span[0] + word.end()
            x0, _, x1, _ = reader.read_boxes([place[0]])[0]
            (before if (x0 + x1) / 2 < chunk.box[0] else after).append(place)
    whole = None
    for part in (_join(before), None, _join(after)):
        piece = chunk if part is None else reader.cut(line, part)
        if piece is None:
            continue
        if whole is None:
            whole = piece
        else:
            whole.append(" ", piece)
    assert whole is not None
    whole.end, whole.next = line.end, line.next
    return whole


def _join(words: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the words as spans, with the blanks between them."""
    joined: list[tuple[int, int]] = []
    for start, stop in words:
        if joined and start - joined[-1][1] <= 1:
            joined[-1] = (joined[-1][0], stop)
        else:
            joined.append((start, stop))
    return joined
