"""The words of a page as the table finder takes them: those of its main direction, two box calls each."""

import re
from array import array
from collections.abc import Callable, Iterable
from itertools import islice, repeat

from extraction.chunks import Token
from extraction.directions import Piece
from extraction.geometry import is_on_earth
from extraction.hyphens import HYPHEN_MARKS
from extraction.native import get_loose_box, run_all
from extraction.textpage import TextPage
from extraction.values import MAXIMUM_WORDS, Box

_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_tokens(text: TextPage, pieces: Iterable[Piece], display: Callable[[Box], Box]) -> list[Token]:
    """Return the words of *text* that are in the *pieces*, at most 20,000, in their order; *display* maps their boxes.

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
    boxes = array("f", bytes(16 * len(ends)))
    address = boxes.buffer_info()[0]
    run_all(map(get_loose_box, repeat(text.address), ends, range(address, address + 16 * len(ends), 16)))
    found: list[Token] = []
    places = iter(boxes)
    for word, (left, top, right, bottom, left1, top1, right1, bottom1) in zip(
        words, zip(*repeat(places, 8), strict=True), strict=True
    ):
        box = display((min(left, left1), min(bottom, bottom1), max(right, right1), max(top, top1)))
        if is_on_earth(box) and box[0] < box[2] and box[1] < box[3]:
            found.append(Token(word, *box))
    return found
