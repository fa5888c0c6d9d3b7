"""The tables of a page: those that rules draw, and those that only white parts."""

from collections.abc import Sequence
from typing import NamedTuple

from extraction.page.chunks import Token, read_lines
from extraction.page.geometry import Edges
from extraction.page.text import clean_rows, clean_text
from extraction.tables.blocks import Rules
from extraction.tables.captions import is_caption
from extraction.tables.cells import read_cells
from extraction.tables.heads import count_head_rows
from extraction.tables.mending import Span, arrange, find_spans
from extraction.tables.ruled import Grid, find_grids, join_edges
from extraction.tables.sideheads import add_heads
from extraction.tables.skew import Page, UprightPage, find_slope
from extraction.tables.titles import find_title
from extraction.tables.unruled import find_tables, merge_rules
from extraction.values import Box, CellWord, Point, TableKind, TableSet

_make = tuple.__new__  # half the time of a call of the class


class PageTable(NamedTuple):
    data: list[list[str | None]]
    bbox: Box  # from the corner
    kind: TableKind
    header_rows: int
    spans: list[Span]
    title: str


def read_tables(page: Page, wanted: TableSet) -> list[PageTable]:
    """Return the tables from top to bottom, then left to right; if *ruled* ones are wanted, exactly pdfplumber's.

    Raises:
        TooManyPathsError, TooManyLinesError: if the page has more lines than are worth comparing.
    """
    edges = page.read_edges()
    if wanted == "ruled":
        found = _read_grids(page, find_grids(join_edges(edges)))
    elif slope := find_slope(edges):
        upright = UprightPage(page, edges, slope)
        tables = _read_all(upright, upright.read_edges())
        found = [table._replace(bbox=upright.turn(table.bbox, -1)) for table in tables]
    else:
        found = _read_all(page, edges)
    left, top = page.corner
    return [
        table._replace(bbox=(table.bbox[0] - left, table.bbox[1] - top, table.bbox[2] - left, table.bbox[3] - top))
        for table in found
    ]


def _read_grids(page: Page, grids: Sequence[Grid]) -> list[PageTable]:
    if not grids:
        return []
    words = page.read_cell_words()
    return [_describe(words, grid) for grid in grids]


def _describe(words: Sequence[CellWord], grid: Grid, title: str = "", turn: int = 0) -> PageTable:
    upright, texts = read_cells(words, grid, turn)
    data = clean_rows(texts)
    spans = find_spans(upright)
    return PageTable(data, grid.bbox, "ruled", count_head_rows(data, spans), spans, title)


def _read_all(page: Page, edges: Edges) -> list[PageTable]:
    joined = join_edges(edges)
    grids = find_grids(joined)
    turn, words = page.read_tokens()
    if not words:
        return _read_grids(page, grids)
    if turn:
        places = _turn_all([word[1:] for word in words], turn)
        words = [_make(Token, (word[0], *place)) for word, place in zip(words, places, strict=True)]
        joined = join_edges(_turn_edges(edges, turn))
        grids = [_turn_grid(grid, turn) for grid in grids]
    rules = Rules(joined.horizontal, joined.vertical)
    lines, dashes = read_lines(words)
    kept, others = find_tables(words, lines, merge_rules(rules, dashes), grids)
    found: list[PageTable] = []
    back = (4 - turn) % 4
    if kept:
        cell_words = page.read_cell_words()
        for grid in kept:
            title = clean_text(find_title(grid.bbox, lines))
            found.append(_take_caption(_describe(cell_words, _turn_grid(grid, back), title, turn)))
    if others and page.has_turned_words:
        upright = [
            word._replace(box=_turn(word.box, turn), middle=_middle(_turn(word.box, turn)), turn=(word.turn - turn) % 4)
            for word in page.read_cell_words()
        ]
        others = [add_heads(table, upright) for table in others]
    for bbox, layout, _ in others:
        data = clean_rows(layout.data)
        title = clean_text(find_title(bbox, lines))
        found.append(PageTable(data, _turn(bbox, back), "unruled", layout.header_rows, layout.spans, title))
    return sorted(found, key=lambda table: _turn(table.bbox, turn)[1::-1])


def _take_caption(table: PageTable) -> PageTable:
    """Make a first row that is a caption over all columns the title."""
    first, *others = table.data
    caption = first[0] or ""
    if not others or len(first) < 2 or any(cell is not None for cell in first[1:]) or not is_caption(caption):
        return table
    spans = [(top - 1, left, bottom - 1, right) for top, left, bottom, right in table.spans if top > 0]
    return table._replace(data=others, spans=spans, header_rows=max(0, table.header_rows - 1), title=caption)


# Turned pages: found with the text upright, told as displayed


def _turn(box: Sequence[float], turn: int) -> Box:
    """Return the box after *turn* quarter turns anticlockwise about the origin."""
    x0, top, x1, bottom = box
    if turn == 1:
        return (top, -x1, bottom, -x0)
    if turn == 2:
        return (-x1, -bottom, -x0, -top)
    if turn == 3:
        return (-bottom, x0, -top, x1)
    return (x0, top, x1, bottom)


def _middle(box: Box) -> Point:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def _turn_all(boxes: list[Box], turn: int) -> list[Box]:
    """Return what `_turn` makes of each box, without a call for each."""
    if turn == 1:
        return [(top, -x1, bottom, -x0) for x0, top, x1, bottom in boxes]
    if turn == 3:
        return [(-bottom, x0, -top, x1) for x0, top, x1, bottom in boxes]
    return [_turn(box, turn) for box in boxes]


def _turn_edges(edges: Edges, turn: int) -> Edges:
    sides = [_turn_all(side, turn) for side in (edges.vertical, edges.horizontal)]
    vertical, horizontal = sides if turn == 2 else sides[::-1]
    return Edges(vertical, horizontal)


def _turn_grid(grid: Grid, turn: int) -> Grid:
    if not turn:
        return grid
    return arrange([_turn(cell, turn) for row in grid.rows for cell in row if cell is not None])
