"""The words of a page, with the boxes that decide in which cell of a table each stands."""

import ctypes
import struct
from collections.abc import Iterator

from pdfplumber.utils.text import LIGATURES

from extraction.directions import ArrangedText, Piece
from extraction.geometry import LIMIT, Matrix, multiply, surround
from extraction.hyphens import HYPHEN_MARKS
from extraction.native import (
    get_descent,
    get_font,
    get_font_size,
    get_origin,
    get_text_matrix,
    read_matrix,
)
from extraction.textpage import TextPage
from extraction.values import Box, CellWord

SLANT = 0.02  # sideways for each point along: what is turned more, and by no quarter, is slanted
SAME_PLACE = 0.3  # of its width: how far a letter is printed again to look bold
_SPACE, _LINE_END = 1, 2

_Glyph = tuple[str, Box, int, int]  # shown, as displayed; its text object; and how that is turned


class _Scale:
    """Where the characters of one text object stand across their line, in page space, and how they are turned."""

    __slots__ = ("high", "level", "low", "turn")

    def __init__(self, *, level: bool, low: float, high: float, turn: int) -> None:
        self.level = level  # written horizontally, so low and high are y; else vertically, so they are x
        self.low = low
        self.high = high
        self.turn = turn  # quarter turns, clockwise as displayed


_Scales = dict[tuple[float, float, int], _Scale | None]  # by two sides of a character's box, and its text object


def read_cell_words(text: ArrangedText, to_display: Matrix) -> list[CellWord]:
    """Return the words in the order of the text; none of what is slanted.

    Along the line a character's box is PDFium's advance box. Across, it is from the baseline plus font descent as high
    as the font size: pdfminer's rule, which decides to which row a character belongs.
    """
    words: list[CellWord] = []
    scales: _Scales = {}
    glyphs: list[_Glyph] = []
    gap = _LINE_END

    def end_word(next_gap: int) -> None:
        nonlocal gap
        if glyphs:
            words.append(_to_word(glyphs, gap))
            glyphs.clear()
            gap = next_gap
        else:
            gap = max(gap, next_gap)

    for glue, piece in text.list_glued():
        if glue:
            if glyphs and (glue[0] in HYPHEN_MARKS or glue[0] == "-"):
                glyphs.append(("-", *glyphs[-1][1:]))
            end_word(_SPACE if glue == " " else _LINE_END)
        for char, box, item, index in _list_chars(piece):
            if char.isspace():
                end_word(_LINE_END if char in "\r\n" else _SPACE)
                continue
            glyph = _place(char, box, item, index, piece.text, to_display, scales)
            if glyph is None or (glyphs and _repeats(glyph, glyphs[-1])):
                continue
            if glyphs and glyph[3] != glyphs[-1][3]:
                end_word(_SPACE)
            glyphs.append(glyph)
            if char in HYPHEN_MARKS:
                end_word(_LINE_END)
    end_word(_LINE_END)
    return words


def _list_chars(piece: Piece) -> Iterator[tuple[str, Box, int | None, int]]:
    """Yield each character, its box in page space (left, top, right, bottom), its text object and its number."""
    text, start, stop = piece.text, piece.start, piece.start + piece.length
    boxes = struct.iter_unpack("4f", text.read_boxes(start, piece.length))
    return zip(text.chars[start:stop], boxes, text.objects[start:stop], range(start, stop), strict=True)


def _place(
    char: str, box: Box, item: int | None, index: int, text: TextPage, to_display: Matrix, scales: _Scales
) -> _Glyph | None:
    """Return the character as displayed; None if it is no character, slanted, or has no place."""
    left, top, right, bottom = box
    if item is None or top == bottom or char == "\0" or not (right - left < LIMIT and top - bottom < LIMIT):
        return None
    if (key := (bottom, top, item)) not in scales and (key := (left, right, item)) not in scales:
        scale = _read_scale(text.address, index, item, to_display)
        key = (left, right, item) if scale is not None and not scale.level else (bottom, top, item)
        scales[key] = scale
    scale = scales[key]
    if scale is None:
        return None
    if scale.level:
        bottom, top = scale.low, scale.high
    else:
        left, right = scale.low, scale.high
    a, b, c, d, e, f = to_display
    x0, x1 = a * left + c * bottom + e, a * right + c * top + e
    y0, y1 = b * left + d * bottom + f, b * right + d * top + f
    shown = "-" if char in HYPHEN_MARKS else LIGATURES.get(char, char)
    return shown, (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)), item, scale.turn


def _repeats(glyph: _Glyph, last: _Glyph) -> bool:
    """Whether a letter is printed again, a hair's breadth aside, to look bold."""
    (x0, top, x1, bottom), (other_x0, other_top, _, _) = glyph[1], last[1]
    return (
        glyph[0] == last[0]
        and abs(x0 - other_x0) < SAME_PLACE * (x1 - x0)
        and abs(top - other_top) < SAME_PLACE * (bottom - top)
    )


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


def _read_scale(text_page: int, index: int, item: int, to_display: Matrix) -> _Scale | None:
    """Return the scale of the character's text object; None if it is slanted."""
    a, b, c, d, _, _ = read_matrix(get_text_matrix, text_page, index)
    x, y, descent = ctypes.c_double(), ctypes.c_double(), ctypes.c_float()
    get_origin(text_page, index, ctypes.addressof(x), ctypes.addressof(y))
    size = get_font_size(text_page, index)
    get_descent(get_font(item), size, ctypes.addressof(descent))
    p, q, _, _, _, _ = multiply((a, b, c, d, 0.0, 0.0), to_display)  # the direction of writing, y downwards
    if abs(b) <= SLANT * abs(a):
        low, high = y.value + d * descent.value, y.value + d * (descent.value + size)
    elif abs(a) <= SLANT * abs(b):
        low, high = x.value + c * descent.value, x.value + c * (descent.value + size)
    else:
        return None
    if not abs(high - low) < LIMIT:
        return None
    turn = (0 if p > 0 else 2) if abs(p) > abs(q) else (1 if q > 0 else 3)
    return _Scale(level=abs(b) < abs(a), low=min(low, high), high=max(low, high), turn=turn)
