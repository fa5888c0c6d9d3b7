"""Read PDF files with PDFium: open, metadata, and each page's text, characters and ruling lines.

PDFium aborts its process when memory runs out and crashes when two threads share it: only the workers of pdf.py
import this. What it returns is raw: pdf.py cleans the text.
"""

import ctypes
import itertools
import math
import os
import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterator
from functools import cached_property
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from errors import BadPdfError, PasswordRequiredError
from extraction.edges import (
    LIMIT,
    MAXIMUM_SEGMENTS,
    Box,
    Edges,
    Matrix,
    Point,
    find_edges,
    get_object_matrix,
    is_on_earth,
    multiply,
    prototype,
    read_matrix,
    run_all,
)

MAXIMUM_WORDS = 20_000  # of one page
MAXIMUM_FORM_DEPTH = 30
MAXIMUM_PIXELS = 4_000_000  # of a picture
MAXIMUM_PICTURE_SIDE = 16_000  # pixels; WebP has 14 bits for it
LOST_TEXT_RATIO = 0.6  # characters per text object, below which PDFium has lost text (fonts it has not got)
METADATA_KEYS = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")
TEXT, PATH, FORM = pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_PATH, pdfium.FPDF_PAGEOBJ_FORM
HYPHEN_MARKS = "\x02\ufffe"  # what PDFium makes of a hyphen at the end of a line

_WORD = re.compile(rf"[^\s{HYPHEN_MARKS}]+[{HYPHEN_MARKS}]?|[{HYPHEN_MARKS}]")

Char = tuple[str, float, float, float, float, bool]  # text, x0, top, x1, bottom, upright
Word = tuple[str, float, float, float, float]  # text, x0, top, x1, bottom


_address, _int = ctypes.c_void_p, ctypes.c_int
_get_page_object = prototype(pdfium.FPDFPage_GetObject, _address, _address, _int)
_get_form_object = prototype(pdfium.FPDFFormObj_GetObject, _address, _address, ctypes.c_ulong)
_count_form_objects = prototype(pdfium.FPDFFormObj_CountObjects, _int, _address)
_get_type = prototype(pdfium.FPDFPageObj_GetType, _int, _address)
_get_loose_box = prototype(pdfium.FPDFText_GetLooseCharBox, _int, _address, _int, _address)
_get_text_object = prototype(pdfium.FPDFText_GetTextObject, _address, _address, _int)
_get_unicode = prototype(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _address, _int)
_get_origin = prototype(pdfium.FPDFText_GetCharOrigin, _int, _address, _int, _address, _address)
_get_text_matrix = prototype(pdfium.FPDFText_GetMatrix, _int, _address, _int, _address)
_get_font_size = prototype(pdfium.FPDFText_GetFontSize, ctypes.c_double, _address, _int)
_get_font = prototype(pdfium.FPDFTextObj_GetFont, _address, _address)
_get_descent = prototype(pdfium.FPDFFont_GetDescent, _int, _address, ctypes.c_float, _address)
_has_map_error = prototype(pdfium.FPDFText_HasUnicodeMapError, _int, _address, _int)


class UnreadableError(Exception):
    """PDFium cannot open the file; another reader may."""


class _NoTextError(Exception):
    """PDFium cannot make a page's text."""


class Picture(NamedTuple):
    """A page as displayed, on white."""

    width: int  # pixels
    height: int
    stride: int  # bytes of a row
    pixels: bytes  # blue, green, red and one unused, from the top left
    across: float  # pixels of a point
    down: float

    def place(self, box: Box) -> tuple[int, int, int, int]:
        """Return the pixels that *box*, in points, covers: left, top, right, bottom."""
        x0, top, x1, bottom = box
        return (
            math.floor(self.across * x0),
            math.floor(self.down * top),
            math.ceil(self.across * x1),
            math.ceil(self.down * bottom),
        )


class Document:
    """An open PDF file; a context manager."""

    def __init__(self, path: Path, password: str | None = None) -> None:
        """Open *path*; an encrypted file opens with its user's or its owner's password, or if its user's is empty.

        Raises:
            PasswordRequiredError; BadPdfError if the file is empty; UnreadableError if PDFium cannot read it.
        """
        self._held: Any = None  # the bytes PDFium reads from, when not from the file
        if path.stat().st_size == 0:
            raise BadPdfError("Error processing PDF: the file is empty.")
        for secret in _spellings(password):
            self._document = pdfium.FPDF_LoadDocument(os.fsencode(path), secret)
            if not self._document and pdfium.FPDF_GetLastError() != pdfium.FPDF_ERR_PASSWORD:
                self._open_after_junk(path, secret)
            if self._document:
                break
        if not self._document:
            if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
                raise PasswordRequiredError
            raise UnreadableError
        self.page_count: int = max(0, pdfium.FPDF_GetPageCount(self._document))
        self.encrypted: bool = pdfium.FPDF_GetSecurityHandlerRevision(self._document) >= 0

    def _open_after_junk(self, path: Path, secret: bytes | None) -> None:
        content = path.read_bytes()
        start = content.find(b"%PDF-")
        if start > 0:
            self._held = ctypes.create_string_buffer(content[start:], len(content) - start)
            self._document = pdfium.FPDF_LoadMemDocument64(self._held, len(self._held), secret)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        pdfium.FPDF_CloseDocument(self._document)

    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for key in METADATA_KEYS:
            length = pdfium.FPDF_GetMetaText(self._document, key.encode(), None, 0)
            if 2 < length < 1_000_000:
                buffer = ctypes.create_string_buffer(length)
                pdfium.FPDF_GetMetaText(self._document, key.encode(), buffer, length)
                found[key] = buffer.raw[: length - 2].decode("utf-16-le", "ignore")
        return found

    def open_page(self, index: int) -> "Page | None":
        """Return the page, to be closed; None if PDFium cannot load it. *index* counts from 0."""
        page = pdfium.FPDF_LoadPage(self._document, index)
        if not page:
            return None
        try:
            return Page(page)
        except _NoTextError:
            return None

    def render_page(self, index: int, width: int) -> Picture | None:
        """Return the page, *width* pixels wide, or less if that were too many in all; None if it cannot be loaded."""
        page = pdfium.FPDF_LoadPage(self._document, index)
        if not page:
            return None
        try:
            return _render(page, width)
        finally:
            pdfium.FPDF_ClosePage(page)


def _render(page: Any, width: int) -> Picture:
    page_width = min(max(float(pdfium.FPDF_GetPageWidthF(page)), 1.0), LIMIT)
    page_height = min(max(float(pdfium.FPDF_GetPageHeightF(page)), 1.0), LIMIT)
    scale = min(
        width / page_width,
        math.sqrt(MAXIMUM_PIXELS / (page_width * page_height)),
        MAXIMUM_PICTURE_SIDE / max(page_width, page_height),
    )
    columns, rows = max(1, int(page_width * scale + 1e-6)), max(1, int(page_height * scale + 1e-6))
    bitmap = pdfium.FPDFBitmap_Create(columns, rows, 0)
    if not bitmap:
        raise MemoryError
    try:
        pdfium.FPDFBitmap_FillRect(bitmap, 0, 0, columns, rows, 0xFFFFFFFF)
        pdfium.FPDF_RenderPageBitmap(bitmap, page, 0, 0, columns, rows, 0, pdfium.FPDF_ANNOT)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        pixels = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), stride * rows)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return Picture(columns, rows, stride, pixels, columns / page_width, rows / page_height)


def _spellings(password: str | None) -> list[bytes | None]:
    """Return the bytes a password may stand for: UTF-8 in new files, Latin-1 in old ones."""
    if password is None:
        return [None]
    spellings: list[bytes | None] = [password.encode("utf-8", "replace")]
    if not password.isascii():
        spellings.append(password.encode("latin-1", "replace"))
    return spellings


class _Line(NamedTuple):
    """What the characters of one text object have in common, in page space."""

    level: bool  # written horizontally, so low and high are y; else vertically, so they are x
    low: float
    high: float
    upright: bool  # as displayed


class _Text:
    """The text of a page as PDFium reads it when the page is turned: upright text is what it puts in order well."""

    def __init__(self, page: Any, turn: int = 0) -> None:
        """*turn*: the quarter turns, clockwise, of the text that shall be upright. Raises _NoTextError."""
        if turn:
            rotation = pdfium.FPDFPage_GetRotation(page)
            pdfium.FPDFPage_SetRotation(page, (rotation - turn) % 4)
            self.handle = pdfium.FPDFText_LoadPage(page)
            pdfium.FPDFPage_SetRotation(page, rotation)
        else:
            self.handle = pdfium.FPDFText_LoadPage(page)
        if not self.handle:
            raise _NoTextError
        self.address: int = ctypes.cast(self.handle, ctypes.c_void_p).value or 0
        self.char_count: int = max(0, pdfium.FPDFText_CountChars(self.handle))
        self._units = ctypes.create_string_buffer(4 * self.char_count + 4)  # room even if each were a surrogate pair
        units = ctypes.cast(self._units, ctypes.POINTER(ctypes.c_ushort))
        written = pdfium.FPDFText_GetText(self.handle, 0, self.char_count, units) if self.char_count else 1
        self._unit_count = max(0, written - 1)

    def close(self) -> None:
        pdfium.FPDFText_ClosePage(self.handle)

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
        """Whether places in the string are those of the characters: PDFium leaves out some that no text has."""
        return len(self.string) == self.char_count

    @cached_property
    def chars(self) -> str:
        """All characters, at their places."""
        if self.is_exact:
            return self.string
        return "".join(chr(min(_get_unicode(self.address, index), 0x10FFFF)) for index in range(self.char_count))

    def read_boxes(self, start: int, count: int) -> "array[float]":
        """Return left, top, right and bottom of each character's advance box, in page space."""
        boxes = array("f", bytes(16 * count))
        address = boxes.buffer_info()[0]
        places = range(address, address + 16 * count, 16)
        run_all(map(_get_loose_box, repeat(self.address), range(start, start + count), places))
        return boxes

    @cached_property
    def objects(self) -> list[int | None]:
        """The text object of each character; None for what PDFium put in."""
        return list(map(_get_text_object, repeat(self.address), range(self.char_count)))

    @cached_property
    def _spans(self) -> dict[int, tuple[int, int]]:
        spans: dict[int, tuple[int, int]] = {}  # first and last character of a text object
        for index, item in enumerate(self.objects):
            if item is not None:
                spans[item] = (spans[item][0] if item in spans else index, index)
        return spans

    def find_stretch(self, objects: set[int], limit: int) -> tuple[int, int] | None:
        """Return the start and the count of the characters of these text objects, if they stand together.

        None if others are among them, or if they are more than *limit*.
        """
        spans = [self._spans[item] for item in objects if item in self._spans]
        if not spans:
            return None
        start, stop = min(first for first, _ in spans), max(last for _, last in spans) + 1
        if stop - start > limit or set(self.objects[start:stop]) - objects - {None}:
            return None
        return start, stop - start


class _Piece(NamedTuple):
    """A stretch of a page's text."""

    text: _Text
    start: int  # in *text*
    length: int
    place: int  # in what `Page.read_text` returns


class Page:
    """A loaded page.

    Edges and characters have pdfplumber's coordinates: the media box as displayed, top and bottom measured downwards.
    Boxes of words and hits are in points from the top left of what is displayed, which is at `corner`.
    """

    def __init__(self, page: Any) -> None:
        """Raise _NoTextError, the page closed, if it has no text that can be asked for."""
        self._page = page
        self.width = _bounded(float(pdfium.FPDF_GetPageWidthF(page)))
        self.height = _bounded(float(pdfium.FPDF_GetPageHeightF(page)))
        self._to_display = _display_matrix(page)
        shown = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, shown)
        left, top, _, _ = self._display((shown.left, shown.bottom, shown.right, shown.top))
        self.corner: Point = (_bounded(left), _bounded(top))
        self._text_objects = 0
        self._turned: dict[int, int] = {}  # the text objects that are not upright: their quarter turns, clockwise
        self._paths: list[tuple[int, Matrix]] = []  # with the matrix from the path's space to the displayed page
        self._find_objects()
        self._turn, self._strays = self._find_turn()
        self._others: dict[int, _Text] = {}  # the page turned for the rest of the text
        try:
            self._text = _Text(page, self._turn)
        except _NoTextError:
            pdfium.FPDF_ClosePage(page)
            raise

    def close(self) -> None:
        for text in (self._text, *self._others.values()):
            text.close()
        pdfium.FPDF_ClosePage(self._page)

    @property
    def has_lost_text(self) -> bool:
        """Whether PDFium lacks fonts this page needs, and so has left out their text."""
        return self._text.char_count < LOST_TEXT_RATIO * self._text_objects

    @property
    def is_unmapped(self) -> bool:
        """Whether the fonts do not tell which characters their glyphs are, so that the text is gibberish."""
        count = self._text.char_count
        sample = range(0, count, max(1, count // 100))
        if not self._count_unmapped(sample[::5]):
            return False  # the most frequent, and quickest told
        return 2 * self._count_unmapped(sample) > len(sample)

    def _count_unmapped(self, sample: range) -> int:
        return list(map(_has_map_error, repeat(self._text.address), sample)).count(1)

    def read_text(self) -> str:
        """Return the text in the order it was drawn, and within a line as it is read, whichever way it is turned."""
        return self._arranged[0]

    @cached_property
    def _arranged(self) -> tuple[str, list[_Piece]]:
        """The text, and the pieces it is put together from: one, if nearly all of it is written in one direction."""
        main = self._text
        if self._strays < 2 or not main.is_exact:
            return main.string, [_Piece(main, 0, main.char_count, 0)]
        string = ""
        pieces: list[_Piece] = []
        for text, start, count in self._list_stretches():
            if string and not string.endswith("\n"):
                string += "\r\n"
            pieces.append(_Piece(text, start, count, len(string)))
            string += text.string[start : start + count]
        return string, pieces

    def _list_stretches(self) -> Iterator[tuple[_Text, int, int]]:
        """Yield the texts, starts and lengths of what is written in one direction, with the page turned for it."""
        objects = self._text.objects
        turns: list[int] = []
        for item in objects:
            turns.append(turns[-1] if item is None and turns else self._turned.get(item or 0, 0))
        start = 0
        for turn, group in itertools.groupby(turns):
            count = sum(1 for _ in group)
            stretch, other = None, self._text
            items = {item for item in objects[start : start + count] if item is not None}
            if turn != self._turn and len(items) > 1:
                other = self._turn_text(turn)
                # so few others between them that all stretches take time in proportion to the page
                stretch = other.find_stretch(items, 4 * count)
            yield (self._text, start, count) if stretch is None else (other, *stretch)
            start += count

    def _turn_text(self, turn: int) -> _Text:
        try:
            other = self._others.get(turn) or self._others.setdefault(turn, _Text(self._page, turn))
        except _NoTextError:
            return self._text
        return other if other.is_exact else self._text

    def _find_objects(self) -> None:
        """Walk the page and the forms in it; keep the paths, count the text objects."""
        page = ctypes.cast(self._page, ctypes.c_void_p).value
        count = max(0, pdfium.FPDFPage_CountObjects(self._page))
        self._sort_objects(list(map(_get_page_object, repeat(page), range(count))), self._to_display, 0)

    def _sort_objects(self, items: list[int], outer: Matrix, depth: int) -> None:
        texts: list[int] = []
        for item, kind in zip(items, map(_get_type, items), strict=True):
            if kind == TEXT:
                texts.append(item)
            elif kind == PATH:
                if len(self._paths) <= MAXIMUM_SEGMENTS:
                    self._paths.append((item, outer))
            elif kind == FORM and depth < MAXIMUM_FORM_DEPTH:
                count = max(0, _count_form_objects(item))
                inner = list(map(_get_form_object, repeat(item), range(count)))
                self._sort_objects(inner, multiply(read_matrix(get_object_matrix, item), outer), depth + 1)
        if texts:
            self._text_objects += len(texts)
            self._note_turned(texts, outer)

    def _note_turned(self, texts: list[int], outer: Matrix) -> None:
        matrices = array("f", bytes(24 * len(texts)))
        start = matrices.buffer_info()[0]
        run_all(map(get_object_matrix, texts, range(start, start + 24 * len(texts), 24)))
        along, across = matrices[0::6], matrices[1::6]
        p, q, r, s, _, _ = outer
        if p > 0 and q == 0 and not any(across) and min(along) > 0:
            return  # the most frequent, and quickest told
        for text, a, b in zip(texts, along, across, strict=True):
            x, y = a * p + b * r, a * q + b * s  # where it is written to, y downwards
            if abs(y) > abs(x):
                self._turned[text] = 1 if y > 0 else 3
            elif x < 0:
                self._turned[text] = 2

    def _find_turn(self) -> tuple[int, int]:
        """Return in how many quarter turns, clockwise, most text objects are written, and how many in others."""
        if not self._turned:
            return 0, 0
        turns = Counter(self._turned.values())
        turns[0] = self._text_objects - len(self._turned)
        turn, count = turns.most_common(1)[0]
        return turn, self._text_objects - count

    def find_boxes(self, start: int, count: int) -> list[Box]:
        """Return where these characters of `read_text` are shown, a box a line; none if they cannot be told apart."""
        if not self._text.is_exact:
            return []
        boxes: list[Box] = []
        for piece in self._arranged[1]:
            first, last = max(start, piece.place), min(start + count, piece.place + piece.length)
            if first < last:
                boxes += self._find_rects(piece.text, first - piece.place + piece.start, last - first)
        return boxes

    def _find_rects(self, text: _Text, start: int, count: int) -> list[Box]:
        boxes: list[Box] = []
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        for index in range(max(0, pdfium.FPDFText_CountRects(text.handle, start, count))):
            if not pdfium.FPDFText_GetRect(text.handle, index, left, top, right, bottom):
                continue
            box = self._show((left.value, bottom.value, right.value, top.value))
            if is_on_earth(box):
                boxes.append(box)
        return boxes

    # The words

    def read_words(self) -> list[Word]:
        """Return the words in the order of the text, with their boxes in points from the top left of what is displayed.

        At most 20,000. A word that is parted at the end of a line is two, the first with its hyphen.
        """
        words: list[Word] = []
        for piece in self._arranged[1]:
            words += itertools.islice(self._split_words(piece), MAXIMUM_WORDS - len(words))
        return words

    def _split_words(self, piece: _Piece) -> Iterator[Word]:
        boxes = piece.text.read_boxes(piece.start, piece.length)
        for word in _WORD.finditer(piece.text.chars[piece.start : piece.start + piece.length]):
            own = boxes[4 * word.start() : 4 * word.end()]
            placed = [box for box in struct.iter_unpack("4f", own) if box[1] > box[3]]
            if not placed:
                continue
            lefts, tops, rights, bottoms = zip(*placed, strict=True)
            box = self._show((min(lefts), min(bottoms), max(rights), max(tops)))
            if is_on_earth(box):
                yield word[0][:-1] + "-" if word[0][-1] in HYPHEN_MARKS else word[0], *box

    def _display(self, box: Box) -> Box:
        """Return where *box*, of page space, is displayed."""
        a, b, c, d, e, f = self._to_display
        left, bottom, right, top = box
        x0, x1 = a * left + c * bottom + e, a * right + c * top + e
        y0, y1 = b * left + d * bottom + f, b * right + d * top + f
        return (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))

    def _show(self, box: Box) -> Box:
        """Return where *box*, of page space, is displayed, from the corner."""
        left, top = self.corner
        x0, y0, x1, y1 = self._display(box)
        return (x0 - left, y0 - top, x1 - left, y1 - top)

    # The ruling lines

    def read_edges(self) -> Edges:
        """Return the straight lines drawn on the page, see `find_edges`."""
        return find_edges(self._paths)

    # The characters

    def read_chars(self) -> list[Char]:
        """Return the characters with pdfplumber's boxes; the spaces that PDFium generates between words are left out.

        Along the line a box is PDFium's advance box. Across, it is from the baseline plus font descent as high as the
        font size: pdfminer's rule, which decides to which cell a character belongs.
        """
        boxes = self._text.read_boxes(0, self._text.char_count)
        a, b, c, d, e, f = self._to_display
        is_upright_page = (a, b, c, d) == (1.0, 0.0, 0.0, -1.0)
        lines: dict[Point, _Line | None] = {}  # by their low and high
        chars: list[Char] = []
        for index, (char, (left, top, right, bottom)) in enumerate(
            zip(self._text.chars, struct.iter_unpack("4f", boxes), strict=True)
        ):
            if top == bottom or char == "\0" or not (right - left < LIMIT and top - bottom < LIMIT):
                continue  # generated, or without a box, or with one that overflowed
            line = lines.get((bottom, top)) or lines.get((left, right))
            if line is None:
                line = self._read_line(index)
                if line is not None:
                    lines[(bottom, top) if line.level else (left, right)] = line
            upright = True
            if line is not None:
                level, low, high, upright = line
                if level:
                    bottom, top = low, high
                else:
                    left, right = low, high
            text = "-" if char in HYPHEN_MARKS else char
            if is_upright_page:
                chars.append((text, left, f - top, right, f - bottom, upright))
                continue
            x0, x1 = a * left + c * bottom + e, a * right + c * top + e
            y0, y1 = b * left + d * bottom + f, b * right + d * top + f
            chars.append((text, min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), upright))
        return chars

    def _read_line(self, index: int) -> _Line | None:
        """Return the line of the character's text object; None if it is slanted."""
        text_page = self._text.address
        item = _get_text_object(text_page, index)
        if item is None:
            return None
        a, b, c, d, _, _ = read_matrix(_get_text_matrix, text_page, index)
        x, y, descent = ctypes.c_double(), ctypes.c_double(), ctypes.c_float()
        _get_origin(text_page, index, ctypes.addressof(x), ctypes.addressof(y))
        size = _get_font_size(text_page, index)
        _get_descent(_get_font(item), size, ctypes.addressof(descent))
        p, q, r, s, _, _ = multiply((a, b, c, d, 0.0, 0.0), self._to_display)
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


def _display_matrix(page: Any) -> Matrix:
    x0, y0, x1, y1 = _media_box(page)
    rotation = pdfium.FPDFPage_GetRotation(page)
    if rotation == 1:
        return (0.0, 1.0, 1.0, 0.0, 0.0, -2 * x0)
    if rotation == 2:
        return (-1.0, 0.0, 0.0, 1.0, x0 + x1, -2 * y0)
    if rotation == 3:
        return (0.0, -1.0, -1.0, 0.0, y0 + y1, x1 - x0)
    return (1.0, 0.0, 0.0, -1.0, 0.0, y1 - y0)


def _media_box(page: Any) -> Box:
    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    if pdfium.FPDFPage_GetMediaBox(page, left, bottom, right, top):
        box = (left.value, bottom.value, right.value, top.value)
    else:  # inherited: PDFium tells it only as the visible part of the page
        rect = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, rect)
        box = (rect.left, rect.bottom, rect.right, rect.top)
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    return (x0, y0, x1, y1)


def _bounded(number: float) -> float:
    """*number*, or the limit if it is beyond or none: JSON has no infinity."""
    return max(-LIMIT, min(LIMIT, number))
