"""The text of a page as PDFium reads it: characters, their boxes, the text objects they come from."""

import ctypes
import re
from array import array
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import repeat
from typing import Any

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from extraction.page.native import (
    get_font,
    get_object_text,
    get_render_mode,
    get_text_object,
    get_tight_box,
    get_unicode,
    handle,
    handle_of,
    has_map_error,
    is_embedded,
    read_loose_boxes,
)
from extraction.page.shown import INVISIBLE
from extraction.values import Box

NO_TEXT = 2  # bytes, of the zero at its end
FLAT = 0.01  # of its width: no letter is as low, not even the Chinese one
_FAR_LETTER = re.compile("[\u0590-\u1fff\u2e80-\ud7ff\uf900-\ufaff]")  # of scripts that a system may lack fonts for


class NoTextError(Exception):
    """PDFium cannot make a page's text."""


class TextPage:
    """The text of a page, turned so that the text of one direction is upright: only that is in good order."""

    def __init__(self, page: Any, turn: int = 0) -> None:
        """*turn*: the quarter turns, clockwise, of the text that should become upright. Raises NoTextError."""
        if turn:
            rotation = pdfium.FPDFPage_GetRotation(page)
            pdfium.FPDFPage_SetRotation(page, (rotation - turn) % 4)
            self._handle = pdfium.FPDFText_LoadPage(page)
            pdfium.FPDFPage_SetRotation(page, rotation)
        else:
            self._handle = pdfium.FPDFText_LoadPage(page)
        if not self._handle:
            raise NoTextError
        self.handle = handle_of(self._handle)
        self.char_count: int = max(0, pdfium.FPDFText_CountChars(self._handle))
        self._units = ctypes.create_string_buffer(4 * self.char_count + 4)  # enough even if each is a surrogate pair
        units = ctypes.cast(self._units, ctypes.POINTER(ctypes.c_ushort))
        written = pdfium.FPDFText_GetText(self._handle, 0, self.char_count, units) if self.char_count else 1
        self._unit_count = max(0, written - 1)

    def close(self) -> None:
        pdfium.FPDFText_ClosePage(self._handle)

    @cached_property
    def string(self) -> str:
        """The text; a character beyond the basic plane is two surrogates, as PDFium counts it."""
        units = memoryview(self._units)[: 2 * self._unit_count]
        try:
            string = str(units, "utf-16-le")
        except UnicodeDecodeError:
            string = ""
        return string if len(string) == self._unit_count else "".join(map(chr, array("H", bytes(units))))

    @property
    def is_exact(self) -> bool:
        """Whether positions in the string are those of the characters: PDFium omits some that are no text."""
        return len(self.string) == self.char_count

    @cached_property
    def chars(self) -> str:
        """All characters, at their positions."""
        if self.is_exact:
            return self.string
        return "".join(chr(min(get_unicode(self.handle, index), 0x10FFFF)) for index in range(self.char_count))

    @property
    def is_unmapped(self) -> bool:
        """Whether the fonts do not say which characters their glyphs are, so that the text is gibberish."""
        count = self.char_count
        sample = range(0, count, max(1, count // 100))
        if not self._count_unmapped(sample[::5]):
            return False  # the usual case, and quick to check
        return 2 * self._count_unmapped(sample) > len(sample)

    def _count_unmapped(self, sample: range) -> int:
        return list(map(has_map_error, repeat(self.handle), sample)).count(1)

    @property
    def lacks_glyphs(self) -> bool:
        """Whether letters have no shape, because their font is neither in the file nor on this system."""
        if self.string.isascii():
            return False  # the usual case, and quick to check
        places = [match.start() for match in _FAR_LETTER.finditer(self.chars)]
        sample = places[:: max(1, len(places) // 50)]
        return 2 * sum(map(self._lacks_glyph, sample)) > len(sample)

    def _lacks_glyph(self, place: int) -> bool:
        item = get_text_object(self.handle, place)
        if item is None or get_render_mode(handle(item)) == INVISIBLE or is_embedded(get_font(item)):
            return False
        left, right, bottom, top = (ctypes.c_double() for _ in range(4))
        get_tight_box(self.handle, place, *map(ctypes.byref, (left, right, bottom, top)))
        return top.value - bottom.value < FLAT * (right.value - left.value)

    def read_boxes(self, places: Sequence[int]) -> bytes:
        """Return left, top, right and bottom of the advance box, in page space, of each of these characters: floats."""
        return read_loose_boxes(self.handle, places)

    def find_rects(self, start: int, count: int) -> list[Box]:
        """Return the boxes, in page space, that these characters fill, one a line."""
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        return [
            (left.value, bottom.value, right.value, top.value)
            for index in range(max(0, pdfium.FPDFText_CountRects(self._handle, start, count)))
            if pdfium.FPDFText_GetRect(self._handle, index, left, top, right, bottom)
        ]

    @cached_property
    def objects(self) -> list[int | None]:
        """The text object of each character; None for characters that PDFium put in."""
        return list(map(get_text_object, repeat(self.handle), range(self.char_count)))

    @cached_property
    def _spans(self) -> dict[int, tuple[int, int]]:
        spans: dict[int, tuple[int, int]] = {}  # first and last character of a text object
        for index, item in enumerate(self.objects):
            if item is not None:
                spans[item] = (spans[item][0] if item in spans else index, index)
        return spans

    def has_characters(self, items: Iterable[int]) -> bool:
        """Whether a character comes from one of these text objects; PDFium looks at all characters for each."""
        return any(get_object_text(handle(item), self.handle, None, 0) > NO_TEXT for item in items)

    def find_stretch(self, objects: set[int], limit: int) -> tuple[int, int] | None:
        """Return the start and the length of the characters of these text objects, if they stand together.

        None if others are among them, or if they are more than *limit*.
        """
        spans = [self._spans[item] for item in objects if item in self._spans]
        if not spans:
            return None
        start, stop = min(first for first, _ in spans), max(last for _, last in spans) + 1
        if stop - start > limit or set(self.objects[start:stop]) - objects - {None}:
            return None
        return start, stop - start
