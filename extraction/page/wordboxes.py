"""The words of a page as the table finder takes them: those of its main direction, two box calls each."""

import re
import struct
from itertools import islice

from extraction.page.chunks import Token
from extraction.page.directions import ArrangedText
from extraction.page.geometry import LIMIT, Matrix, surround, transform_boxes
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.values import MAXIMUM_WORDS

_span = re.Match.span
_make = tuple.__new__  # half the time of a call of the class
_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_tokens(text: ArrangedText, to_display: Matrix) -> list[Token]:
    """Return the words in the main direction of *text*, at most 20,000, in their order, as displayed.

    A hyphen at a line end is still PDFium's mark.
    """
    main = text.main
    chars = main.chars
    words: list[str] = []
    ends: list[int] = []  # the first and the last character of each word
    going_on: list[int] = []  # the words that are the rest of those before them
    is_open = False
    has_strays = text.has_strays
    for glue, piece in text.list_glued():
        if piece.text is not main:
            continue
        start, stop = piece.start, piece.start + piece.length
        is_rest = is_open and not glue and not chars[start].isspace()
        is_open = not (chars[stop - 1].isspace() or chars[stop - 1] in HYPHEN_MARKS)
        spans = list(map(_span, islice(_WORD.finditer(chars, start, stop), MAXIMUM_WORDS)))
        if has_strays:
            shown = [span for span in spans if not text.is_stray(span[0])]
            is_rest = is_rest and shown[:1] == spans[:1]
            spans = shown
        if is_rest and spans:
            going_on.append(len(words))
        words += [chars[first:last] for first, last in spans]
        ends += [place for first, last in spans for place in (first, last - 1)]
    del words[MAXIMUM_WORDS:], ends[2 * MAXIMUM_WORDS :]
    boxes = main.read_boxes(ends)
    if not going_on and (tokens := _place_upright(words, boxes, to_display)) is not None:
        return tokens
    sides = struct.iter_unpack("8f", boxes)
    around = [  # of both: left, bottom, right, top; no calls, because a page has thousands
        (e if e < a else a, h if h < d else d, g if g > c else c, f if f > b else b) for a, b, c, d, e, f, g, h in sides
    ]
    for number in reversed(going_on):
        if number < len(words):
            words[number - 1] += words.pop(number)
            around[number - 1] = surround((around[number - 1], around.pop(number)))
    return [
        _make(Token, (word, x0, top, x1, bottom))
        for word, (x0, top, x1, bottom) in zip(words, transform_boxes(to_display, around), strict=True)
        if -LIMIT < x0 < x1 < LIMIT and -LIMIT < top < bottom < LIMIT
    ]


def _place_upright(words: list[str], boxes: bytes, to_display: Matrix) -> list[Token] | None:
    """Return what the usual page has, in one pass; None if a word may need more care."""
    a, b, c, d, e, f = to_display
    if not (b == c == 0.0 and d < 0.0 < a):
        return None
    placed = [
        _make(Token, (word, x0, top, x1, bottom))
        for word, (l0, t0, r0, b0, l1, t1, r1, b1) in zip(words, struct.iter_unpack("8f", boxes), strict=True)
        if -LIMIT < (x0 := a * (l1 if l1 < l0 else l0) + e) < (x1 := a * (r1 if r1 > r0 else r0) + e) < LIMIT
        and -LIMIT < (top := d * (t1 if t1 > t0 else t0) + f) < (bottom := d * (b1 if b1 < b0 else b0) + f) < LIMIT
    ]
    return placed if len(placed) == len(words) else None
