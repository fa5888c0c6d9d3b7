"""The words of a page as the table finder takes them: those of its main direction, two box calls each."""

import re
from collections.abc import Iterable
from itertools import islice, repeat

from extraction.chunks import Token
from extraction.directions import Piece
from extraction.geometry import LIMIT, Matrix, transform_boxes
from extraction.hyphens import HYPHEN_MARKS
from extraction.textpage import TextPage
from extraction.values import MAXIMUM_WORDS

_make = tuple.__new__  # half the time of a call of the class
_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_tokens(text: TextPage, pieces: Iterable[Piece], to_display: Matrix) -> list[Token]:
    """Return the words of *text* that are in the *pieces*, at most 20,000, in their order, as displayed.

    A hyphen at a line end is still PDFium's mark.
    """
    words: list[str] = []
    ends: list[int] = []  # the first and the last character of each word
    for piece in pieces:
        if piece.text is not text:
            continue
        for match in islice(_WORD.finditer(text.chars, piece.start, piece.start + piece.length), MAXIMUM_WORDS):
            words.append(match[0])
            ends += (match.start(), match.end() - 1)
    del words[MAXIMUM_WORDS:], ends[2 * MAXIMUM_WORDS :]
    sides = zip(*repeat(iter(text.read_boxes(ends)), 8), strict=True)
    around = [  # of both: left, bottom, right, top; no calls, because a page has thousands
        (e if e < a else a, h if h < d else d, g if g > c else c, f if f > b else b) for a, b, c, d, e, f, g, h in sides
    ]
    return [
        _make(Token, (word, x0, top, x1, bottom))
        for word, (x0, top, x1, bottom) in zip(words, transform_boxes(to_display, around), strict=True)
        if -LIMIT < x0 < x1 < LIMIT and -LIMIT < top < bottom < LIMIT
    ]
