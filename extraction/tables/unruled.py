"""Find the tables of a page, ruled or not: grids that part their text stay, gutters find the others.

Coordinates are as displayed, top and bottom measured downwards; the text is upright.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from extraction.page.chunks import Line, Token, read_lines
from extraction.tables.blocks import Rules, find_blocks, may_have_blocks, part_zones
from extraction.tables.captions import is_caption
from extraction.tables.columns import Interval, Placer, find_columns
from extraction.tables.judgement import Judge
from extraction.tables.mending import close_rows, fill_holes, mend
from extraction.tables.rows import FULL, Layout, PlacedLine, lay_out
from extraction.tables.ruled import Grid
from extraction.tables.verdicts import is_table
from extraction.values import Box

GIVEN = 0.6  # of a bad grid's text must be in the table that takes its place
FRAME_PLACES = 4  # of rows and columns, at most, of a page's background with a table cut out of it
HEAD_LINES = 8  # above the first line of several chunks, below a rule
LEAST_HEADED = 3  # lines: a title, a head, rows
_UNIT = re.compile(r"\(.*\)")
_NOTES = re.compile(r"(?:notes?|sources?)\b", re.IGNORECASE)


class Found(NamedTuple):
    bbox: Box
    layout: Layout
    columns: list[Interval]


def find_tables(
    words: Sequence[Token], lines: list[Line], rules: Rules, grids: Sequence[Grid]
) -> tuple[list[Grid], list[Found]]:
    """Return the grids that stay, mended, and the tables found by gutters; *lines* are those of the *words*."""
    mended = [(grid, close_rows(fill_holes(mend(grid, lines), lines), lines, rules, grids)) for grid in grids]
    judge = Judge(lines, rules)
    mended = [(grid, better) for grid, better in mended if not judge.is_frame(better)]
    grids = [better for _, better in mended]
    grids = [grid for grid in grids if not _is_inner_frame(grid, grids)]
    grids = [grid for grid in grids if not _is_outer_frame(grid, grids, judge)]
    bad = [
        better
        for grid, better in mended
        if better in grids and (len(better.rows) == 1 or judge.overlaps(grid) or not judge.is_good(better))
    ]
    kept = [grid for grid in grids if grid not in bad and not any(_lies_in(grid.bbox, other.bbox) for other in bad)]
    if kept:
        for grid in kept:
            words = _list_held(grid.bbox, words, others=True)
        lines, _ = read_lines(words)
    found: list[Found] = []
    for zone in part_zones(lines, rules) if may_have_blocks(lines) else ():
        for block in find_blocks(zone, rules):
            table = _read_block(block, zone, rules)
            if table is not None:
                found.append(table)
    for grid in grids:
        if grid in kept:
            continue
        inside = _list_held(grid.bbox, words)
        held = [len(_list_held(table.bbox, inside)) for table in found]
        if inside and max(held, default=0) >= GIVEN * len(inside):
            continue
        if grid in bad and judge.is_page(grid):
            continue
        kept.append(grid)
        found = [
            table for table, count in zip(found, held, strict=True) if 2 * count < len(_list_held(table.bbox, words))
        ]
    return kept, found


def merge_rules(rules: Rules, dashes: list[Box]) -> Rules:
    return Rules(sorted([*rules.horizontal, *dashes], key=lambda box: (box[1], box[0])), rules.vertical)


def _is_inner_frame(grid: Grid, others: Sequence[Grid]) -> bool:
    """Whether this is a box of one row or column inside another table: what it holds is in that one's cell."""
    return (len(grid.rows) == 1 or len(grid.rows[0]) == 1) and any(
        other is not grid and _lies_in(grid.bbox, other.bbox) for other in others
    )


def _is_outer_frame(grid: Grid, others: Sequence[Grid], judge: Judge) -> bool:
    """Whether these few cells are the page around another table."""
    place_count = len(grid.rows) * len(grid.rows[0])
    return place_count <= FRAME_PLACES and any(
        other is not grid
        and len(other.rows) * len(other.rows[0]) > place_count
        and min(len(other.rows), len(other.rows[0])) > 1
        and _lies_in(other.bbox, grid.bbox)
        and judge.is_good(other)
        for other in others
    )


def _lies_in(inner: Box, outer: Box) -> bool:
    return inner[0] > outer[0] - 1 and inner[1] > outer[1] - 1 and inner[2] < outer[2] + 1 and inner[3] < outer[3] + 1


def _list_held(bbox: Box, words: Sequence[Token], *, others: bool = False) -> list[Token]:
    """Return the words of which the box holds the middle; or the *others*."""
    left, top, right, bottom = bbox[0] - 1, bbox[1] - 1, bbox[2] + 1, bbox[3] + 1
    return [
        word
        for word, (_, x0, upper, x1, lower) in zip(words, words, strict=True)
        if (top <= (upper + lower) / 2 <= bottom and left <= (x0 + x1) / 2 <= right) is not others
    ]


def _read_block(block: list[Line], zone: list[Line], rules: Rules) -> Found | None:
    block = _trim(block)
    if len(block) < 2:
        return None
    columns = find_columns(block)
    if len(columns) < 2:
        return None
    block = _drop_title(_extend(block, zone, rules), rules)
    placer = Placer(columns)
    placed = [PlacedLine(line, placer.place_chunks(line)) for line in block]
    layout = lay_out(placed, columns, rules)
    if not is_table(block, columns, layout, rules):
        return None
    bbox = (min(line.x0 for line in block), block[0].top, max(line.x1 for line in block), block[-1].bottom)
    return Found(bbox, layout, columns)


def _trim(block: list[Line]) -> list[Line]:
    """Without the lines of a caption above, and of notes below."""
    first, last = 0, len(block)
    for number, line in enumerate(block[:4]):
        if is_caption(line.text):
            first = number + 1
    while last > first and (len(block[last - 1].chunks) == 1 or _NOTES.match(block[last - 1].text)):
        last -= 1
    return block[first:last]


def _drop_title(block: list[Line], rules: Rules) -> list[Line]:
    """Without a first line between two rules over the head: a title, and the unit on its right."""
    if len(block) <= LEAST_HEADED or len(block[0].chunks) != 2 or not _UNIT.fullmatch(block[0].chunks[1].text):
        return block
    x0, x1 = min(line.x0 for line in block), max(line.x1 for line in block)
    first, second, *others = block
    is_over = rules.between(first.middle, second.middle, x0, x1, FULL)
    is_head = rules.between(second.middle, others[min(HEAD_LINES, len(others)) - 1].middle, x0, x1, FULL)
    is_under = rules.between(first.top - 2 * first.height, first.middle, x0, x1, FULL)
    return [second, *others] if is_over and is_head and is_under else block


def _extend(block: list[Line], zone: list[Line], rules: Rules) -> list[Line]:
    """With the lines above that stand under the table's first rule, and those below over its last."""
    x0, x1 = min(line.x0 for line in block), max(line.x1 for line in block)
    numbers = {id(line): number for number, line in enumerate(zone)}
    first, last = numbers[id(block[0])], numbers[id(block[-1])]
    top = first
    for number in range(first - 1, max(-1, first - 1 - HEAD_LINES), -1):
        line = zone[number]
        if zone[number + 1].top - line.bottom > 2 * line.height:
            break
        if rules.between(line.middle, zone[number + 1].middle, x0, x1, FULL):
            break
        ceiling = zone[number - 1].middle if number else line.top - 2 * line.height
        if rules.between(max(ceiling, line.top - 2 * line.height), line.middle, x0, x1, FULL):
            top = number
    above = zone[top:first]
    end = last
    for number in range(last + 1, min(len(zone), last + 4)):
        line = zone[number]
        if line.top - zone[number - 1].bottom > line.height or rules.between(
            zone[number - 1].middle, line.middle, x0, x1, FULL
        ):
            break
        floor = zone[number + 1].middle if number + 1 < len(zone) else line.bottom + 2 * line.height
        if rules.between(line.middle, min(floor, line.bottom + line.height), x0, x1, FULL):
            end = number
    return [*above, *block, *zone[last + 1 : end + 1]]
