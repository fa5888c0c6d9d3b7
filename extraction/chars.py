"""The characters of a page with pdfplumber's boxes, for the cells of tables."""

import ctypes
import struct
from typing import NamedTuple

from extraction.geometry import LIMIT, Matrix, multiply
from extraction.native import (
    get_descent,
    get_font,
    get_font_size,
    get_origin,
    get_text_matrix,
    get_text_object,
    read_matrix,
)
from extraction.text import HYPHEN_MARKS
from extraction.textpage import TextPage
from extraction.values import Char, Point


class _Line(NamedTuple):
    """What the characters of one text object have in common, in page space."""

    level: bool  # written horizontally, so low and high are y; else vertically, so they are x
    low: float
    high: float
    upright: bool  # as displayed


def read_chars(text: TextPage, to_display: Matrix) -> list[Char]:
    """Return the characters as displayed, without the spaces that PDFium generates between words.

    Along the line a box is PDFium's advance box. Across, it is from the baseline plus font descent as high as the
    font size: pdfminer's rule, which decides to which cell a character belongs.
    """
    boxes = text.read_boxes(0, text.char_count)
    a, b, c, d, e, f = to_display
    is_upright_page = (a, b, c, d) == (1.0, 0.0, 0.0, -1.0)
    lines: dict[Point, _Line | None] = {}  # by their low and high
    chars: list[Char] = []
    for index, (char, (left, top, right, bottom)) in enumerate(
        zip(text.chars, struct.iter_unpack("4f", boxes), strict=True)
    ):
        if top == bottom or char == "\0" or not (right - left < LIMIT and top - bottom < LIMIT):
            continue  # generated, or its box is missing or overflowed
        line = lines.get((bottom, top)) or lines.get((left, right))
        if line is None:
            line = _read_line(text.address, index, to_display)
            if line is not None:
                lines[(bottom, top) if line.level else (left, right)] = line
        upright = True
        if line is not None:
            level, low, high, upright = line
            if level:
                bottom, top = low, high
            else:
                left, right = low, high
        shown = "-" if char in HYPHEN_MARKS else char
        if is_upright_page:
            chars.append((shown, left, f - top, right, f - bottom, upright))
            continue
        x0, x1 = a * left + c * bottom + e, a * right + c * top + e
        y0, y1 = b * left + d * bottom + f, b * right + d * top + f
        chars.append((shown, min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), upright))
    return chars


def _read_line(text_page: int, index: int, to_display: Matrix) -> _Line | None:
    """Return the line of the character's text object; None if it is slanted."""
    item = get_text_object(text_page, index)
    if item is None:
        return None
    a, b, c, d, _, _ = read_matrix(get_text_matrix, text_page, index)
    x, y, descent = ctypes.c_double(), ctypes.c_double(), ctypes.c_float()
    get_origin(text_page, index, ctypes.addressof(x), ctypes.addressof(y))
    size = get_font_size(text_page, index)
    get_descent(get_font(item), size, ctypes.addressof(descent))
    p, q, r, s, _, _ = multiply((a, b, c, d, 0.0, 0.0), to_display)
    upright = p * -s > 0 and -q * r <= 0  # pdfplumber's rule, with y downwards
    if abs(b) < 1e-4 * abs(a):
        low, high = y.value + d * descent.value, y.value + d * (descent.value + size)
    elif abs(a) < 1e-4 * abs(b):
        low, high = x.value + c * descent.value, x.value + c * (descent.value + size)
    else:
        return None
    if not abs(high - low) < LIMIT:
        return None
    return _Line(abs(b) < abs(a), min(low, high), max(low, high), upright)
