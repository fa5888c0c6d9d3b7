"""The words of a page, and where each is."""

import re
import struct
from array import array
from collections.abc import Callable

from extraction.page.directions import ArrangedText
from extraction.page.geometry import is_on_earth
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.values import MAXIMUM_WORDS, Box

_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")


def read_words(text: ArrangedText, show: Callable[[Box], Box]) -> list[tuple[str, Box]]:
    """Return the words in the order of the text, at most 20,000; *show* maps a box of page space to the displayed page.

    A word that is hyphenated at a line end is two words, the first with its hyphen.
    """
    string, boxes = "", array("f")
    for glue, piece in text.list_glued():
        string += glue + piece.text.chars[piece.start : piece.start + piece.length]
        boxes.extend(array("f", bytes(16 * len(glue))))
        boxes.frombytes(piece.text.read_boxes(range(piece.start, piece.start + piece.length)))
    words: list[tuple[str, Box]] = []
    for word in _WORD.finditer(string):
        own = boxes[4 * word.start() : 4 * word.end()]
        placed = [box for box in struct.iter_unpack("4f", own) if box[1] > box[3]]
        if not placed:
            continue
        lefts, tops, rights, bottoms = zip(*placed, strict=True)
        box = show((min(lefts), min(bottoms), max(rights), max(tops)))
        if is_on_earth(box):
            words.append((word[0][:-1] + "-" if word[0][-1] in HYPHEN_MARKS else word[0], box))
            if len(words) == MAXIMUM_WORDS:
                break
    return words
