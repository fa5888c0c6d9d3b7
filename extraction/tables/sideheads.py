"""Heads that stand on their side over the columns of a table without rules."""

from collections import defaultdict
from collections.abc import Sequence
from itertools import pairwise

from extraction.page.geometry import surround
from extraction.tables.unruled import Found
from extraction.values import CellWord

REACH = 2.0  # row heights, that a head may stand above the first row
LEAST_SHARE = 0.5  # of the columns, that have such a head
MOST_WORDS = 500  # on their side, above a table


def add_heads(table: Found, words: Sequence[CellWord]) -> Found:
    """Return the table with a row of such heads, if it has no head; *words* are those of the page, as it is read."""
    columns, layout = table.columns, table.layout
    if layout.header_rows:
        return table
    _, first, _, last = table.bbox
    pitch = (last - first) / len(layout.data)
    edges = [(left.x1 + right.x0) / 2 for left, right in pairwise(columns)]
    edges = [columns[0].x0 - pitch, *edges, columns[-1].x1 + pitch]
    placed = [(word, column) for word in words if (column := _find_column(word, edges)) is not None]
    turned = [(word, column) for word, column in placed if word.turn % 2 and word.box[3] <= first + pitch / 2]
    if not 1 < len(turned) <= MOST_WORDS:
        return table
    found: defaultdict[int, list[CellWord]] = defaultdict(list)
    floors = [first - REACH * pitch] * len(columns)
    for word, column in sorted(turned, key=lambda pair: -pair[0].box[3]):
        if floors[column] <= word.box[3]:
            found[column].append(word)
            floors[column] = min(floors[column], word.box[1] - (word.box[2] - word.box[0]))
    top = min((word.box[1] for held in found.values() for word in held), default=first)
    for word, column in turned:  # that hang from the same line, and end higher
        if word.box[1] >= top - pitch / 2 and word not in found[column]:
            found[column].append(word)
    heads = {column: held for column, held in found.items() if held}
    if len(heads) < max(2, LEAST_SHARE * len(columns)):
        return table
    level: defaultdict[int, list[CellWord]] = defaultdict(list)
    for word, column in placed:
        if word.turn == 0 and column not in heads and top <= word.middle[1] < first:
            level[column].append(word)
    row: list[str | None] = [_write(heads.get(column) or level[column]) for column in range(len(columns))]
    used = [word.box for held in (*heads.values(), *level.values()) for word in held]
    spans = [(upper + 1, left, lower + 1, right) for upper, left, lower, right in layout.spans]
    return table._replace(
        bbox=surround([table.bbox, *used]),
        layout=layout._replace(data=[row, *layout.data], spans=spans, header_rows=1),
    )


def _find_column(word: CellWord, edges: Sequence[float]) -> int | None:
    middle = (word.box[0] + word.box[2]) / 2
    return next((number for number, (left, right) in enumerate(pairwise(edges)) if left <= middle < right), None)


def _write(words: Sequence[CellWord]) -> str:
    """Return the words of a head in their order, a line for each of its lines."""
    lines: list[list[CellWord]] = []
    turn = words[0].turn if words else 0
    across, along = (0, 1) if turn % 2 else (1, 0)
    for word in sorted(words, key=lambda word: word.box[across], reverse=turn == 1):
        middle = (word.box[across] + word.box[across + 2]) / 2
        if lines and lines[-1][0].box[across] < middle < lines[-1][0].box[across + 2]:
            lines[-1].append(word)
        else:
            lines.append([word])
    for line in lines:
        line.sort(key=lambda word: word.box[along], reverse=turn == 3)
    return "\n".join(" ".join(word.text for word in line) for line in lines)
