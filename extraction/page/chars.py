"""The words of a page, with the boxes that decide in which cell of a table each stands."""

import ctypes
import re
import struct
from collections.abc import Sequence
from itertools import pairwise
from operator import eq
from typing import NamedTuple

from pdfplumber.utils.text import LIGATURES

from extraction.page.directions import ArrangedText, Piece
from extraction.page.geometry import LIMIT, Matrix, surround, transform_box
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.page.native import (
    Handle,
    get_descent,
    get_font,
    get_font_size,
    get_origin,
    get_text_matrix,
    read_matrix,
)
from extraction.page.textlines import BREAK
from extraction.page.textpage import TextPage
from extraction.values import Box, CellWord

SLANT = 0.02  # sideways for each point along: what is turned more, and by no quarter, is slanted
SAME_PLACE = 0.3  # of its width: how far a letter is printed again to look bold
LARGE = 3.0  # times as high; raised figures are at least half as high as their word
_NONE, _SPACE, _LINE_END = 0, 1, 2
_WORD = re.compile(r"\S+")
_ODD = re.compile(rf"[\0{HYPHEN_MARKS}{''.join(LIGATURES)}]")  # shown otherwise
_TWICE = re.compile(r"(.)\1", re.DOTALL)

_x, _y, _descent = ctypes.c_double(), ctypes.c_double(), ctypes.c_float()
_x_pointer, _y_pointer, _descent_pointer = map(ctypes.byref, (_x, _y, _descent))

_make = tuple.__new__  # half the time of a call of the class
_Glyph = tuple[str, Box, int, int]  # shown, as displayed; its text object; and how that is turned


class _Scale(NamedTuple):
    """Where the characters of one text object stand across their line, in page space, and how they are turned."""

    level: bool  # written horizontally, so low and high are y; else vertically, so they are x
    low: float
    high: float
    turn: int  # quarter turns, clockwise as displayed


def read_cell_words(text: ArrangedText, to_display: Matrix) -> list[CellWord]:
    """Return the words in the order of the text; none of what is slanted, or written over others.

    Along the line a character's box is PDFium's advance box. Across, it is from the baseline plus font descent as high
    as the font size: pdfminer's rule, which decides to which row a character belongs.
    """
    reader = _WordReader(to_display)
    glued = [(glue, piece) for glue, piece in text.list_glued() if piece.text is not text.overlay]
    for (glue, piece), (following, _) in zip(glued, [*glued[1:], (BREAK, None)], strict=True):
        if glue:
            reader.pass_glue(glue)
        reader.read(piece, is_ended=following[:1].isspace())
    reader.end_word(_LINE_END)
    return reader.words


class _WordReader:
    """Reads words, as a rule whole, and character by character where something is odd."""

    def __init__(self, to_display: Matrix) -> None:
        self.words: list[CellWord] = []
        self._to_display = to_display
        self._scales: dict[tuple[float, float, int], _Scale | None] = {}  # by two sides of a box, and its text object
        self._descents: dict[tuple[int, float], float] = {}  # by font and size
        self._glyphs: list[_Glyph] = []  # of a word that has begun
        self._gap = _LINE_END  # before it

    def end_word(self, next_gap: int) -> None:
        if self._glyphs:
            self.words.append(_to_word(self._glyphs, self._gap))
            self._glyphs = []
            self._gap = next_gap
        else:
            self._gap = max(self._gap, next_gap)

    def pass_glue(self, glue: str) -> None:
        if self._glyphs and (glue[0] in HYPHEN_MARKS or glue[0] == "-"):
            self._glyphs.append(("-", *self._glyphs[-1][1:]))
        self.end_word(_SPACE if glue == " " else _LINE_END)

    def read(self, piece: Piece, *, is_ended: bool) -> None:
        """Read the words of a piece; *is_ended*: its last word goes on in no other."""
        text, start, stop = piece.text, piece.start, piece.start + piece.length
        words = [match.span() for match in _WORD.finditer(text.chars, start, stop)]
        ends = struct.iter_unpack(
            "4f", text.read_boxes([place for first, last in words for place in (first, last - 1)])
        )
        end = start
        for (first, last), begin, finish in zip(words, ends, ends, strict=True):
            if end < first:
                self._pass_blanks(text.chars[end:first])
            if (
                self._glyphs
                or (last == stop and not is_ended)
                or not self._read_whole(text, first, last, begin, finish)
            ):
                boxes = struct.iter_unpack("4f", text.read_boxes(range(first, last)))
                for index, box in zip(range(first, last), boxes, strict=True):
                    self._add(text, text.chars[index], index, box)
            end = last
        if end < stop:
            self._pass_blanks(text.chars[end:stop])

    def _pass_blanks(self, blanks: str) -> None:
        self.end_word(_LINE_END if "\n" in blanks or "\r" in blanks else _SPACE)

    def _read_whole(self, text: TextPage, first: int, last: int, begin: Box, finish: Box) -> bool:
        """Add a word all of whose characters stand alike, by the boxes of its ends; return whether it is one."""
        word = text.chars[first:last]
        items = text.objects[first:last]
        item = items[0]
        if item is None or None in items or _ODD.search(word):
            return False
        scale = self._find_scale(text, first, item, begin)
        if scale is None:
            return False
        is_one = items.count(item) == len(word)
        boxes = [begin, finish]
        if not is_one or _TWICE.search(word):
            boxes = list(struct.iter_unpack("4f", text.read_boxes(range(first, last))))
            if not is_one and not self._is_even(text, first, items, boxes, scale):
                return False
        lefts, tops, rights, bottoms = zip(*boxes, strict=True)
        level, low, high, turn = scale
        if level:
            if bottoms.count(bottoms[0]) < len(boxes):  # a high glyph makes its box higher, and no more
                return False
        elif lefts.count(lefts[0]) < len(boxes) or rights.count(rights[0]) < len(boxes):
            return False
        sides, heights = lefts + rights, tops + bottoms
        left, right, bottom, top = min(sides), max(sides), min(heights), max(heights)
        if True in map(eq, tops, bottoms) or not (right - left < LIMIT and top - bottom < LIMIT):
            return False
        if len(boxes) == len(word) and _may_repeat(word, *((lefts, rights) if level else (bottoms, tops))):
            return False
        if level:
            bottom, top = low, high
        else:
            left, right = low, high
        a, b, c, d, e, f = self._to_display
        if b == c == 0.0 and d < 0.0 < a:  # as `transform_box`, without the call; the sides are in order
            x0, y0, x1, y1 = box = (a * left + e, d * top + f, a * right + e, d * bottom + f)
        else:
            x0, y0, x1, y1 = box = transform_box(self._to_display, (left, bottom, right, top))
        middle = ((x0 + x1) / 2, (y0 + y1) / 2)
        self.words.append(_make(CellWord, (word, box, middle, turn, item, items[-1], self._gap == _LINE_END)))
        self._gap = _NONE
        return True

    def _is_even(
        self, text: TextPage, first: int, items: Sequence[int | None], boxes: Sequence[Box], scale: _Scale
    ) -> bool:
        """Whether the text objects of a word, from character *first* on, all have this scale."""
        return all(
            item == before or self._find_scale(text, first + number, item or 0, boxes[number]) == scale
            for number, (before, item) in enumerate(pairwise(items), start=1)
        )

    def _add(self, text: TextPage, char: str, index: int, box: Box) -> None:
        glyph = self._place(text, char, index, box)
        glyphs = self._glyphs
        if glyph is None or (glyphs and _repeats(glyph, glyphs[-1])):
            return
        if glyphs and (glyph[3] != glyphs[-1][3] or _differ_in_size(glyph, glyphs[-1])):
            self.end_word(_SPACE)
        elif glyphs and _stand_above(glyph, glyphs[-1]):
            self.end_word(_LINE_END)
        self._glyphs.append(glyph)
        if char in HYPHEN_MARKS:
            self.end_word(_LINE_END)

    def _place(self, text: TextPage, char: str, index: int, box: Box) -> _Glyph | None:
        """Return the character as displayed; None if it is no character, slanted, or has no place."""
        left, top, right, bottom = box
        item = text.objects[index]
        if item is None or top == bottom or char == "\0" or not (right - left < LIMIT and top - bottom < LIMIT):
            return None
        scale = self._find_scale(text, index, item, box)
        if scale is None:
            return None
        if scale.level:
            bottom, top = scale.low, scale.high
        else:
            left, right = scale.low, scale.high
        a, b, c, d, e, f = self._to_display
        x0, x1 = a * left + c * bottom + e, a * right + c * top + e
        y0, y1 = b * left + d * bottom + f, b * right + d * top + f
        shown = "-" if char in HYPHEN_MARKS else LIGATURES.get(char, char)
        return shown, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), item, scale.turn

    def _find_scale(self, text: TextPage, index: int, item: int, box: Box) -> _Scale | None:
        """Return the scale of the character; None if it is slanted."""
        left, top, right, bottom = box
        scales = self._scales
        if (key := (bottom, top, item)) not in scales and (key := (left, right, item)) not in scales:
            scale = _read_scale(text.handle, index, item, self._to_display, self._descents)
            key = (left, right, item) if scale is not None and not scale.level else (bottom, top, item)
            scales[key] = scale
        return scales[key]


def _may_repeat(word: str, starts: Sequence[float], stops: Sequence[float]) -> bool:
    """Whether two equal neighbours stand so near to each other that one may be the other printed again."""
    for number, (one, other) in enumerate(pairwise(word)):
        if one == other:
            before, after = starts[number : number + 2]
            stop, end = stops[number : number + 2]
            if abs(after - before) < 2 * SAME_PLACE * max(abs(stop - before), abs(end - after)):
                return True
    return False


def _repeats(glyph: _Glyph, last: _Glyph) -> bool:
    """Whether a letter is printed again, a hair's breadth aside, to look bold."""
    (x0, top, x1, bottom), (other_x0, other_top, _, _) = glyph[1], last[1]
    return (
        glyph[0] == last[0]
        and abs(x0 - other_x0) < SAME_PLACE * (x1 - x0)
        and abs(top - other_top) < SAME_PLACE * (bottom - top)
    )


def _differ_in_size(glyph: _Glyph, last: _Glyph) -> bool:
    """Whether one of two letters is so much larger that it is of another text, as a watermark is."""
    low, high = (1, 3) if glyph[3] % 2 == 0 else (0, 2)
    own, other = glyph[1][high] - glyph[1][low], last[1][high] - last[1][low]
    return own > LARGE * other or other > LARGE * own


def _stand_above(glyph: _Glyph, last: _Glyph) -> bool:
    """Whether one of two letters of a line stands above the other, and not beside it."""
    low, high = (1, 3) if glyph[3] % 2 == 0 else (0, 2)
    return glyph[1][low] >= last[1][high] or last[1][low] >= glyph[1][high]


def _to_word(glyphs: list[_Glyph], gap: int) -> CellWord:
    turn = glyphs[0][3]
    x0, top, x1, bottom = box = surround(glyph[1] for glyph in glyphs)
    if turn % 2 == 0:  # raised and lowered characters do not count
        _, top, _, bottom = max((glyph[1] for glyph in glyphs), key=lambda own: own[3] - own[1])
    else:
        x0, _, x1, _ = max((glyph[1] for glyph in glyphs), key=lambda own: own[2] - own[0])
    return CellWord(
        "".join(glyph[0] for glyph in glyphs),
        box,
        ((x0 + x1) / 2, (top + bottom) / 2),
        turn,
        glyphs[0][2],
        glyphs[-1][2],
        gap == _LINE_END,
    )


def _find_descent(font: int, size: float, descents: dict[tuple[int, float], float]) -> float:
    descent = descents.get((font, size))
    if descent is None:
        _descent.value = 0.0
        get_descent(font, size, _descent_pointer)
        descent = descents[font, size] = _descent.value
    return descent


def _read_scale(
    text_page: Handle, index: int, item: int, to_display: Matrix, descents: dict[tuple[int, float], float]
) -> _Scale | None:
    """Return the scale of the character's text object; None if it is slanted."""
    a, b, c, d, _, _ = read_matrix(get_text_matrix, text_page, index)
    if abs(b) <= SLANT * abs(a):
        is_level = True
    elif abs(a) <= SLANT * abs(b):
        is_level = False
    else:
        return None
    _x.value = _y.value = 0.0
    size = get_font_size(text_page, index)
    get_origin(text_page, index, _x_pointer, _y_pointer)
    descent = _find_descent(get_font(item), size, descents)
    base, step = (_y.value, d) if is_level else (_x.value, c)
    low, high = base + step * descent, base + step * (descent + size)
    if not abs(high - low) < LIMIT:
        return None
    p, q = a * to_display[0] + b * to_display[2], a * to_display[1] + b * to_display[3]  # the direction of writing
    turn = (0 if p > 0 else 2) if abs(p) > abs(q) else (1 if q > 0 else 3)
    return _Scale(level=abs(b) < abs(a), low=min(low, high), high=max(low, high), turn=turn)
