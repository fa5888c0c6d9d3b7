"""Columns of prose that were drawn row by row: PDFium reads each row as one line."""

import re
from collections.abc import Sequence
from itertools import groupby, islice, pairwise
from typing import NamedTuple

from extraction.page.hyphens import HYPHEN_MARKS
from extraction.page.textlines import BREAK, Line, LineReader, Span

GUTTER = 0.9  # of the height: white that parts columns; justified lines seldom have blanks of .7
MINIMUM_ROWS = 4  # of a stretch that is parted
NEAR = 0.6  # of its height, that a line which one column has alone may stand below the last; headings are set off more
LATEST = 12  # rows that tell where the columns are
SAMPLES = 5  # lines that tell whether a page has such gaps at all
WORDS = 3.0  # of a row in a column of prose, on average; cells of tables are shorter
FIGURES = 0.2  # of the words of a column of prose, at most
FULL_WIDTH, FULL_ROWS = 0.7, 0.6  # of the widest row; of the rows that reach it, as lines of prose do, or hold any
GOES_ON = 0.4  # of the rows that begin with a small letter, as sentences do that go on from the row above
_WORD = re.compile(r"\S+")


class _Chunk(NamedTuple):
    """Words of a line without a wide gap between them."""

    spans: list[Span]
    x0: float
    x1: float


def part_columns(reader: LineReader, lines: list[Line]) -> list[Line]:
    """Return the lines, columns of prose one after the other; what may be a table stays as it is."""
    candidates = [line for line in lines if len(line.spans) == 1]
    sample = candidates[:: max(1, len(candidates) // SAMPLES)]
    wide = (line for line in sample if _may_be_prose(reader, line))
    if len(candidates) < MINIMUM_ROWS or len(list(islice(wide, 2))) < 2:
        return lines
    chunks = [_part(reader, line) for line in lines]
    parted: list[Line] = []
    for numbers in _group(lines, chunks):
        parted += _part_stretch(reader, lines, chunks, numbers)
    return parted


def _part_stretch(
    reader: LineReader, lines: Sequence[Line], chunks: Sequence[list[_Chunk]], numbers: list[int]
) -> list[Line]:
    stretch = [lines[number] for number in numbers]
    if len(chunks[numbers[0]]) == 1:
        return stretch
    if columns := _find_columns(reader, [chunks[number] for number in numbers]):
        return _read_columns(reader, stretch, columns)
    groups = [list(group) for _, group in groupby(numbers, key=lambda number: len(chunks[number]) > 1)]
    if len(groups) == 1:
        return stretch
    return [line for group in groups for line in _part_stretch(reader, lines, chunks, group)]


def _group(lines: Sequence[Line], chunks: Sequence[list[_Chunk]]) -> list[list[int]]:
    """Return the numbers of consecutive lines of several chunks, with those that one column has alone; or of others."""
    groups: list[list[int]] = []
    for number, row in enumerate(chunks):
        if groups:
            group = groups[-1]
            is_wide = len(chunks[group[0]]) > 1
            if is_wide == (len(row) > 1) or (is_wide and _goes_on(lines, chunks, group, number)):
                group.append(number)
                continue
        groups.append([number])
    return groups


def _goes_on(lines: Sequence[Line], chunks: Sequence[list[_Chunk]], group: list[int], number: int) -> bool:
    """Whether a line of one chunk is the next of a column: right below, and within one of them."""
    last, line = lines[group[-1]], lines[number]
    if not last.box[1] < line.box[1] < last.box[3] + NEAR * line.height:
        return False
    wide = [chunks[other] for other in group[-LATEST:] if len(chunks[other]) > 1] or [chunks[group[0]]]
    gutters = _find_gutters(wide)
    (chunk,) = chunks[number]
    return len(gutters) > 0 and not any(chunk.x0 < gutter < chunk.x1 for gutter in gutters)


def _may_be_prose(reader: LineReader, line: Line) -> bool:
    """Whether the line has several chunks, of enough words."""
    words = _list_words(reader, line)
    return len(words) >= 2 * WORDS and 1 < len(_part_words(reader, line, words)) <= len(words) / WORDS


def _part(reader: LineReader, line: Line) -> list[_Chunk]:
    return _part_words(reader, line, _list_words(reader, line))


def _list_words(reader: LineReader, line: Line) -> list[Span]:
    return [match.span() for span in line.spans for match in _WORD.finditer(reader.text.string, *span)]


def _part_words(reader: LineReader, line: Line, words: list[Span]) -> list[_Chunk]:
    boxes = reader.read_boxes([place for start, stop in words for place in (start, stop - 1)])
    firsts, lasts = boxes[::2], boxes[1::2]
    widest = GUTTER * line.height
    breaks = [
        number + 1
        for number, (left, right) in enumerate(zip(lasts, firsts[1:], strict=False))
        if not (right[0] - left[2] <= widest and left[0] - right[2] <= widest)  # written from the left, or the right
    ]
    return [
        _Chunk(
            words[start:stop],
            min(firsts[start][0], lasts[stop - 1][0]),
            max(firsts[start][2], lasts[stop - 1][2]),
        )
        for start, stop in pairwise([0, *breaks, len(words)])
    ]


def _find_columns(reader: LineReader, rows: list[list[_Chunk]]) -> list[list[_Chunk | None]]:
    """Return the columns of a stretch, row by row; nothing if they are not clearly prose."""
    if len(rows) < MINIMUM_ROWS:
        return []
    gutters = _find_gutters(rows)
    columns: list[list[_Chunk | None]] = []
    edges = [float("-inf"), *gutters, float("inf")]
    for left, right in pairwise(edges):
        columns.append([_join([chunk for chunk in row if left <= chunk.x0 < right]) for row in rows])
    if len(columns) < 2 or not all(_is_prose(reader, column) for column in columns):
        return []
    is_from_right = any(row[0].x0 > row[-1].x0 for row in rows[:SAMPLES])
    return columns[::-1] if is_from_right else columns


def _join(chunks: list[_Chunk]) -> _Chunk | None:
    if not chunks:
        return None
    spans = [span for chunk in chunks for span in chunk.spans]
    return _Chunk(spans, min(chunk.x0 for chunk in chunks), max(chunk.x1 for chunk in chunks))


def _find_gutters(rows: list[list[_Chunk]]) -> list[float]:
    """Return the middles of the strips that no chunk of any row covers."""
    gutters: list[float] = []
    covered = float("-inf")
    for chunk in sorted((chunk for row in rows for chunk in row), key=lambda chunk: chunk.x0):
        if float("-inf") < covered < chunk.x0:
            gutters.append((chunk.x0 + covered) / 2)
        covered = max(covered, chunk.x1)
    return gutters


def _is_prose(reader: LineReader, column: list[_Chunk | None]) -> bool:
    string = reader.text.string
    numbers = [number for number, chunk in enumerate(column) if chunk is not None]
    rows = [chunk for chunk in column if chunk is not None]
    if len(rows) < MINIMUM_ROWS or len(rows) < FULL_ROWS * (numbers[-1] + 1 - numbers[0]):
        return False
    words = [string[slice(*span)] for chunk in rows for span in chunk.spans]
    figures = sum(any(char.isdigit() for char in word) and not any(char.isalpha() for char in word) for word in words)
    widest = max(chunk.x1 - chunk.x0 for chunk in rows)
    full = sum(chunk.x1 - chunk.x0 >= FULL_WIDTH * widest for chunk in rows)
    starts = [string[chunk.spans[0][0]] for chunk in rows[1:]]
    going_on = sum(not start.isupper() for start in starts)  # scripts without capitals: always
    return (
        len(words) >= WORDS * len(rows)
        and figures <= FIGURES * len(words)
        and full >= FULL_ROWS * len(rows)
        and going_on >= GOES_ON * len(starts)
    )


def _read_columns(reader: LineReader, stretch: list[Line], columns: list[list[_Chunk | None]]) -> list[Line]:
    string = reader.text.string
    read: list[Line] = []
    for number, column in enumerate(columns):
        for line, chunk in zip(stretch, column, strict=True):
            if chunk is None:
                continue
            part = reader.cut(line, [(chunk.spans[0][0], chunk.spans[-1][1])])
            if part is None:
                continue
            if number < len(columns) - 1:  # the last column ends as the line did
                part.end = BREAK
            if read:
                read[-1].next = part
                last = read[-1].spans[-1]
                if string[last[1] - 1] == "-" and last[1] - last[0] > 1 and string[part.spans[0][0]].islower():
                    read[-1].spans[-1] = (last[0], last[1] - 1)
                    read[-1].end = HYPHEN_MARKS[0]
            read.append(part)
    read[-1].next = stretch[-1].next
    return read
