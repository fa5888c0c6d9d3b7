"""Text from right to left, where PDFium's order needs a hand: ligatures, and blanks between directions."""

import re
from itertools import groupby

from extraction.textlines import Line, LineReader, Span
from extraction.values import Box

RIGHT_TO_LEFT = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_LETTERS = re.compile("[\u0621-\u064a\u0671-\u06d3]{2,}")
# Text from left to right that touches text from right to left
_TOUCHING = re.compile(rf"(?<={RIGHT_TO_LEFT.pattern})[A-Za-z0-9]|[A-Za-z0-9](?={RIGHT_TO_LEFT.pattern})")
_FOREIGN = re.compile("[A-Za-z0-9](?:[A-Za-z0-9.,:/+-]*[A-Za-z0-9])?")
BLANK = 0.2  # of the height: a wider gap between two directions is a blank


def mend_right_to_left(reader: LineReader, lines: list[Line]) -> None:
    """Put the letters of a ligature in order: PDFium turns a run around letter by letter, also what one glyph shows.

    And put in the blanks that PDFium leaves out where the direction changes.
    """
    string = reader.text.string
    if string.isascii() or not RIGHT_TO_LEFT.search(string):
        return
    for line in lines:
        spans: list[Span] = []
        glues: list[str] = []
        for span, glue in zip(line.spans, [*line.glues, ""], strict=True):
            for blank, part in _mend(reader, span):
                if spans:
                    glues.append(blank)
                spans.append(part)
            glues.append(glue)
        line.spans, line.glues = spans, glues[: len(spans) - 1]


def _mend(reader: LineReader, span: Span) -> list[tuple[str, Span]]:
    start, stop = span
    string = reader.text.string[start:stop]
    if not RIGHT_TO_LEFT.search(string):
        return [("", span)]
    boxes = reader.read_boxes(range(start, stop))
    order = list(range(len(string)))
    for run in _LETTERS.finditer(string):
        place = run.start()
        for _, group in groupby(range(run.start(), run.end()), key=lambda number: boxes[number][::2]):
            length = sum(1 for _ in group)
            order[place : place + length] = reversed(order[place : place + length])
            place += length
    blanks = set(_find_blanks(string, boxes)) if _TOUCHING.search(string) else set()
    parts: list[tuple[str, Span]] = []
    for number, place in enumerate(order):
        blank = " " if number in blanks else ""
        if parts and not blank and parts[-1][1][1] == start + place:
            parts[-1] = (parts[-1][0], (parts[-1][1][0], start + place + 1))
        else:
            parts.append((blank, (start + place, start + place + 1)))
    return parts


def _find_blanks(string: str, boxes: list[Box]) -> list[int]:
    """Return the places before which a blank is missing."""
    found: list[int] = []
    for run in _FOREIGN.finditer(string):
        first, last = boxes[run.start()], boxes[run.end() - 1]
        for place, neighbour in ((run.start(), run.start() - 1), (run.end(), run.end())):
            if 0 <= neighbour < len(string) and RIGHT_TO_LEFT.match(string[neighbour]):
                box = boxes[neighbour]
                gap = max(min(first[0], last[0]) - box[2], box[0] - max(first[2], last[2]))
                if gap > BLANK * (box[3] - box[1]):
                    found.append(place)
    return found
