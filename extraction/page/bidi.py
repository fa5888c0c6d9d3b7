"""Text from right to left, where PDFium's order needs a hand: ligatures, and blanks between directions."""

import re
import unicodedata
from itertools import groupby, islice

from extraction.page.scripts import RIGHT_TO_LEFT
from extraction.page.textlines import Line, LineReader, Span
from extraction.values import Box

_LETTERS = re.compile("[\u0621-\u064a\u0671-\u06d3]{2,}")
# Text from left to right that touches text from right to left
_TOUCHING = re.compile(rf"(?<={RIGHT_TO_LEFT.pattern})[A-Za-z0-9]|[A-Za-z0-9](?={RIGHT_TO_LEFT.pattern})")
_FOREIGN = re.compile("[A-Za-z0-9](?:[A-Za-z0-9.,:/+-]*[A-Za-z0-9])?")
# What the characters of ligatures stand for, in reading order: PDFium parts them so, and what a map tells the other way
_PARTS = {
    parts
    for code in (*range(0xFB50, 0xFE00), *range(0xFE70, 0xFEFD))
    if len(parts := unicodedata.normalize("NFKC", chr(code))) > 1
}
_LOOSE_MARK = re.compile(r"(?<!\S)[\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]+(?!\S)")
MAXIMUM_MARKS = 500  # of a page, that are put at their letters
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
            letters = string[place : place + length]
            if letters not in _PARTS or letters[::-1] in _PARTS:
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


def attach_marks(reader: LineReader, lines: list[Line]) -> list[Line]:
    """Put accents and vowel signs that were drawn apart from their letters behind them: PDFium makes them words."""
    string = reader.text.string
    if string.isascii():
        return lines
    for found in islice(_LOOSE_MARK.finditer(string), MAXIMUM_MARKS):
        span = found.span()
        number = next((n for n, line in enumerate(lines) if any(a <= span[0] < b for a, b in line.spans)), None)
        if number is None:
            continue
        left, top, right, bottom = reader.read_boxes([span[0]])[0]
        rest = [part for a, b in lines[number].spans for part in ((a, min(b, span[0])), (max(a, span[1]), b))]
        without = reader.cut(lines[number], [part for part in rest if part[0] < part[1]])
        others = [*lines[:number], *([without] if without else []), *lines[number + 1 :]]
        middle = (left + right) / 2
        for line in others:
            shared = min(line.box[3], bottom) - max(line.box[1], top)
            if line.box[0] <= middle <= line.box[2] and 2 * shared > bottom - top:
                if _insert_mark(reader, line, span, middle):
                    lines = others
                break
    return lines


def _insert_mark(reader: LineReader, line: Line, mark: Span, middle: float) -> bool:
    """Put the mark behind the letter over *middle*; return whether there is one."""
    for number, (start, stop) in enumerate(line.spans):
        for place, (left, _, right, _) in enumerate(reader.read_boxes(range(start, stop)), start=start):
            if left <= middle <= right and reader.text.string[place].isalpha():
                parts = [(start, place + 1), mark, *([(place + 1, stop)] if place + 1 < stop else [])]
                line.spans[number : number + 1] = parts
                line.glues[number:number] = [""] * (len(parts) - 1)
                return True
    return False
