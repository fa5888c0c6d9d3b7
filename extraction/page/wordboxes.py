"""The words of a page as the table finder takes them: those of its main direction, two box calls each."""

import re
from itertools import islice, repeat

from extraction.page.chunks import Token
from extraction.page.directions import ArrangedText
from extraction.page.geometry import LIMIT, Matrix, surround, transform_boxes
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.values import MAXIMUM_WORDS

_make = tuple.__new__  # half the time of a call of the class
_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_tokens(text: ArrangedText, to_display: Matrix) -> list[Token]:
    """Return the words in the main direction of *text*, at most 20,000, in their order, as displayed.

    A hyphen at a line end is still PDFium's mark.
    """
    main = text.main
    words: list[str] = []
    ends: list[int] = []  # the first and the last character of each word
    going_on: list[int] = []  # the words that are the rest of those before them
    is_open = False
    has_strays = text.has_strays
    for glue, piece in text.list_glued():
        if piece.text is not main:
            continue
        start, stop = piece.start, piece.start + piece.length
        is_rest = is_open and not glue and not main.chars[start].isspace()
        is_open = not (main.chars[stop - 1].isspace() or main.chars[stop - 1] in HYPHEN_MARKS)
        for match in islice(_WORD.finditer(main.chars, start, stop), MAXIMUM_WORDS):
            if has_strays and text.is_stray(match.start()):
                is_rest = False
                continue
            if is_rest:
                going_on.append(len(words))
                is_rest = False
            words.append(match[0])
            ends += (match.start(), match.end() - 1)
    del words[MAXIMUM_WORDS:], ends[2 * MAXIMUM_WORDS :]
    sides = zip(*repeat(iter(main.read_boxes(ends)), 8), strict=True)
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
