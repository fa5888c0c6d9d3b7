"""The words of a page, and where each is."""

import itertools
import re
import struct
from collections.abc import Callable, Iterable, Iterator

from extraction.directions import Piece
from extraction.geometry import is_on_earth
from extraction.text import HYPHEN_MARKS
from extraction.values import MAXIMUM_WORDS, Box

_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_words(pieces: Iterable[Piece], show: Callable[[Box], Box]) -> list[tuple[str, Box]]:
    """Return the words in the order of the text, at most 20,000; *show* maps a box of page space to the displayed page.

    A word that is hyphenated at a line end is two words, the first with its hyphen.
    """
    words = itertools.chain.from_iterable(_split_words(piece, show) for piece in pieces)
    return list(itertools.islice(words, MAXIMUM_WORDS))


def _split_words(piece: Piece, show: Callable[[Box], Box]) -> Iterator[tuple[str, Box]]:
    boxes = piece.text.read_boxes(piece.start, piece.length)
    for word in _WORD.finditer(piece.text.chars[piece.start : piece.start + piece.length]):
        own = boxes[4 * word.start() : 4 * word.end()]
        placed = [box for box in struct.iter_unpack("4f", own) if box[1] > box[3]]
        if not placed:
            continue
        lefts, tops, rights, bottoms = zip(*placed, strict=True)
        box = show((min(lefts), min(bottoms), max(rights), max(tops)))
        if is_on_earth(box):
            yield word[0][:-1] + "-" if word[0][-1] in HYPHEN_MARKS else word[0], box
