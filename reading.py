"""Read PDF files with PDFium: open, metadata, and each page's text, characters and ruling lines.

PDFium aborts its process when memory runs out and crashes when two threads share it: only the workers of pdf.py
import this. What it returns is raw: pdf.py cleans the text.
"""

import ctypes
import itertools
import math
import os
import struct
from array import array
from collections import deque
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from errors import BadPdfError, PasswordRequiredError

MAXIMUM_SEGMENTS = 1_000_000  # of drawn paths on one page; the fullest real page seen has 75,088
MAXIMUM_FORM_DEPTH = 30
MAXIMUM_PIXELS = 4_000_000  # of a picture
MAXIMUM_PICTURE_SIDE = 16_000  # pixels; WebP has 14 bits for it
MINIMUM_LINE_LENGTH = 1.0  # points; pdfplumber's `edge_min_length_prefilter`
LIMIT = 1e7  # points from the origin; a page may be 14,400 wide
LOST_TEXT_RATIO = 0.6  # characters per text object, below which PDFium has lost text (fonts it has not got)
METADATA_KEYS = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")
HYPHEN_MARKS = (0x0002, 0xFFFE)  # what PDFium makes of a hyphen at the end of a line

Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Char = tuple[str, float, float, float, float, bool]  # text, x0, top, x1, bottom, upright
Point = tuple[float, float]
Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def _prototype(function: Any, result: Any, *arguments: Any) -> Any:
    """Return *function* for calls by the thousand: plain addresses for pointers, the GIL kept; a third of the time."""
    return ctypes.PYFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)


_address, _int = ctypes.c_void_p, ctypes.c_int
_get_page_object = _prototype(pdfium.FPDFPage_GetObject, _address, _address, _int)
_get_form_object = _prototype(pdfium.FPDFFormObj_GetObject, _address, _address, ctypes.c_ulong)
_count_form_objects = _prototype(pdfium.FPDFFormObj_CountObjects, _int, _address)
_get_type = _prototype(pdfium.FPDFPageObj_GetType, _int, _address)
_get_object_matrix = _prototype(pdfium.FPDFPageObj_GetMatrix, _int, _address, _address)
_count_segments = _prototype(pdfium.FPDFPath_CountSegments, _int, _address)
_get_segment = _prototype(pdfium.FPDFPath_GetPathSegment, _address, _address, _int)
_get_point = _prototype(pdfium.FPDFPathSegment_GetPoint, _int, _address, _address, _address)
_get_segment_type = _prototype(pdfium.FPDFPathSegment_GetType, _int, _address)
_is_closing = _prototype(pdfium.FPDFPathSegment_GetClose, _int, _address)
_get_loose_box = _prototype(pdfium.FPDFText_GetLooseCharBox, _int, _address, _int, _address)
_get_text_object = _prototype(pdfium.FPDFText_GetTextObject, _address, _address, _int)
_get_unicode = _prototype(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _address, _int)
_get_origin = _prototype(pdfium.FPDFText_GetCharOrigin, _int, _address, _int, _address, _address)
_get_text_matrix = _prototype(pdfium.FPDFText_GetMatrix, _int, _address, _int, _address)
_get_font_size = _prototype(pdfium.FPDFText_GetFontSize, ctypes.c_double, _address, _int)
_get_font = _prototype(pdfium.FPDFTextObj_GetFont, _address, _address)
_get_descent = _prototype(pdfium.FPDFFont_GetDescent, _int, _address, ctypes.c_float, _address)
_has_map_error = _prototype(pdfium.FPDFText_HasUnicodeMapError, _int, _address, _int)


class UnreadableError(Exception):
    """PDFium cannot open the file; another reader may."""


class TooManyPathsError(Exception):
    """The page draws more than is worth looking at for tables."""


class Edges(NamedTuple):
    """The straight lines of a page; a slanted one counts as vertical at x0, as it does for pdfplumber."""

    vertical: list[Box]
    horizontal: list[Box]


class Picture(NamedTuple):
    """A page as displayed, on white."""

    width: int  # pixels
    height: int
    stride: int  # bytes of a row
    pixels: bytes  # blue, green, red and one unused, from the top left
    from_points: Matrix  # from the points of boxes (media box, top left) to pixels

    def place(self, box: Box) -> tuple[int, int, int, int]:
        """Return the pixels that *box* covers: left, top, right, bottom."""
        a, _, _, d, e, f = self.from_points
        x0, top, x1, bottom = box
        return (int(a * x0 + e), int(d * top + f), math.ceil(a * x1 + e), math.ceil(d * bottom + f))


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
        text_page = pdfium.FPDFText_LoadPage(page)
        if not text_page:
            pdfium.FPDF_ClosePage(page)
            return None
        return Page(page, text_page)

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
    x0, y0 = _displayed(page, columns, rows, 0, 0)
    x1, y1 = _displayed(page, columns, rows, columns, rows)
    a, d = columns / max(x1 - x0, 1e-6), rows / max(y1 - y0, 1e-6)
    return Picture(columns, rows, stride, pixels, (a, 0.0, 0.0, d, -a * x0, -d * y0))


def _displayed(page: Any, columns: int, rows: int, x: int, y: int) -> Point:
    """Return the point of the displayed page that is at this pixel of its picture."""
    page_x, page_y = ctypes.c_double(), ctypes.c_double()
    pdfium.FPDF_DeviceToPage(page, 0, 0, columns, rows, 0, x, y, page_x, page_y)
    a, b, c, d, e, f = _display_matrix(page)
    return (a * page_x.value + c * page_y.value + e, b * page_x.value + d * page_y.value + f)


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


class Page:
    """A loaded page. Coordinates are pdfplumber's: the media box as displayed, top and bottom measured downwards."""

    def __init__(self, page: Any, text_page: Any) -> None:
        self._page = page
        self._text_handle = text_page
        self._text_page: int = ctypes.cast(text_page, ctypes.c_void_p).value or 0
        self.width: float = float(pdfium.FPDF_GetPageWidthF(page))
        self.height: float = float(pdfium.FPDF_GetPageHeightF(page))
        self._to_display = _display_matrix(page)
        self._char_count: int = max(0, pdfium.FPDFText_CountChars(text_page))
        self._text = ctypes.create_string_buffer(4 * self._char_count + 4)  # room even if each were a surrogate pair
        units = ctypes.cast(self._text, ctypes.POINTER(ctypes.c_ushort))
        written = pdfium.FPDFText_GetText(text_page, 0, self._char_count, units) if self._char_count else 1
        self._unit_count = max(0, written - 1)
        self._text_objects = 0
        self._paths: list[tuple[int, Matrix]] = []  # with the matrix from the path's space to the displayed page
        self._find_objects()

    def close(self) -> None:
        pdfium.FPDFText_ClosePage(self._text_handle)
        pdfium.FPDF_ClosePage(self._page)

    @property
    def has_lost_text(self) -> bool:
        """Whether PDFium lacks fonts this page needs, and so has left out their text."""
        return self._char_count < LOST_TEXT_RATIO * self._text_objects

    @property
    def is_unmapped(self) -> bool:
        """Whether the fonts do not tell which characters their glyphs are, so that the text is gibberish."""
        sample = range(0, self._char_count, max(1, self._char_count // 100))
        unmapped = [index for index in sample if _has_map_error(self._text_page, index) == 1]
        return 2 * len(unmapped) > len(sample)

    def read_text(self) -> str:
        return self._text.raw[: 2 * self._unit_count].decode("utf-16-le", "ignore")

    def _find_objects(self) -> None:
        """Walk the page and the forms in it; keep the paths, count the text objects."""
        page = ctypes.cast(self._page, ctypes.c_void_p).value
        count = max(0, pdfium.FPDFPage_CountObjects(self._page))
        self._sort_objects(list(map(_get_page_object, repeat(page), range(count))), self._to_display, 0)

    def _sort_objects(self, items: list[int], outer: Matrix, depth: int) -> None:
        for item, kind in zip(items, map(_get_type, items), strict=True):
            if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                self._text_objects += 1
            elif kind == pdfium.FPDF_PAGEOBJ_PATH:
                if len(self._paths) <= MAXIMUM_SEGMENTS:
                    self._paths.append((item, outer))
            elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAXIMUM_FORM_DEPTH:
                count = max(0, _count_form_objects(item))
                inner = list(map(_get_form_object, repeat(item), range(count)))
                self._sort_objects(inner, _multiply(_read_matrix(_get_object_matrix, item), outer), depth + 1)

    def find_boxes(self, start: int, count: int) -> list[Box]:
        """Return where these characters of `read_text` are, a box a line; none where they cannot be told apart."""
        if self._unit_count != self._char_count:
            return []  # characters of two units: the places in the text are not those on the page
        a, b, c, d, e, f = self._to_display
        boxes: list[Box] = []
        left, top, right, bottom = (ctypes.c_double() for _ in range(4))
        for index in range(max(0, pdfium.FPDFText_CountRects(self._text_handle, start, count))):
            if not pdfium.FPDFText_GetRect(self._text_handle, index, left, top, right, bottom):
                continue
            x0, x1 = a * left.value + c * bottom.value + e, a * right.value + c * top.value + e
            y0, y1 = b * left.value + d * bottom.value + f, b * right.value + d * top.value + f
            box = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
            if _is_on_earth(box):
                boxes.append(box)
        return boxes

    # The ruling lines

    def read_edges(self) -> Edges:
        """Return the straight lines drawn on the page, in nested forms too; a rectangle is its four sides.

        Raises:
            TooManyPathsError: above 1,000,000 path segments.
        """
        edges = Edges([], [])
        points = _Points()
        counts = [max(0, _count_segments(path)) for path, _ in self._paths]
        if sum(counts) > MAXIMUM_SEGMENTS or len(counts) > MAXIMUM_SEGMENTS:
            raise TooManyPathsError
        for (path, outer), count in zip(self._paths, counts, strict=True):
            if count < 2:
                continue
            matrix = _multiply(_read_matrix(_get_object_matrix, path), outer)
            segments = list(map(_get_segment, repeat(path), range(count)))
            placed = points.read(segments)
            if _is_plain(placed):  # the most frequent, and quickest told
                _add_figure(edges, placed, matrix)
                continue
            for figure, is_line in _split_path(segments, placed):
                _add_figure(edges, figure, matrix, is_line=is_line)
        return Edges(list(filter(_is_on_earth, edges.vertical)), list(filter(_is_on_earth, edges.horizontal)))

    # The characters

    def read_chars(self) -> list[Char]:
        """Return the characters with pdfplumber's boxes; the spaces that PDFium generates between words are left out.

        Along the line a box is PDFium's advance box. Across, it is from the baseline plus font descent as high as the
        font size: pdfminer's rule, which decides to which cell a character belongs.
        """
        count, text_page = self._char_count, self._text_page
        boxes = (ctypes.c_float * (4 * count))()
        start = ctypes.addressof(boxes)
        _run_all(map(_get_loose_box, repeat(text_page), range(count), range(start, start + 16 * count, 16)))
        a, b, c, d, e, f = self._to_display
        is_upright_page = (a, b, c, d) == (1.0, 0.0, 0.0, -1.0)
        lines: dict[Point, _Line | None] = {}  # by their low and high
        chars: list[Char] = []
        for index, code, (left, top, right, bottom) in zip(
            range(count), self._read_codes(), struct.iter_unpack("4f", boxes), strict=True
        ):
            if top == bottom or code == 0 or not (right - left < LIMIT and top - bottom < LIMIT):
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
            text = "-" if code in HYPHEN_MARKS else chr(code)
            if is_upright_page:
                chars.append((text, left, f - top, right, f - bottom, upright))
                continue
            x0, x1 = a * left + c * bottom + e, a * right + c * top + e
            y0, y1 = b * left + d * bottom + f, b * right + d * top + f
            chars.append((text, min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1), upright))
        return chars

    def _read_codes(self) -> "array[int] | list[int]":
        if self._unit_count == self._char_count:
            units = array("H")
            units.frombytes(self._text.raw[: 2 * self._unit_count])
            return units
        return [min(_get_unicode(self._text_page, index), 0x10FFFF) for index in range(self._char_count)]

    def _read_line(self, index: int) -> _Line | None:
        """Return the line of the character's text object; None if it is slanted."""
        item = _get_text_object(self._text_page, index)
        if item is None:
            return None
        a, b, c, d, _, _ = _read_matrix(_get_text_matrix, self._text_page, index)
        x, y, descent = ctypes.c_double(), ctypes.c_double(), ctypes.c_float()
        _get_origin(self._text_page, index, ctypes.addressof(x), ctypes.addressof(y))
        size = _get_font_size(self._text_page, index)
        _get_descent(_get_font(item), size, ctypes.addressof(descent))
        p, q, r, s, _, _ = _multiply((a, b, c, d, 0.0, 0.0), self._to_display)
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


def _run_all(calls: Iterator[object]) -> None:
    deque(calls, maxlen=0)


def _multiply(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the matrix that applies *inner*, then *outer*."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


_matrix = (ctypes.c_float * 6)()
_matrix_address = ctypes.addressof(_matrix)


def _read_matrix(get: Any, *arguments: int) -> Matrix:
    if not get(*arguments, _matrix_address):
        return IDENTITY
    a, b, c, d, e, f = struct.unpack("6f", _matrix)
    return (a, b, c, d, e, f)


class _Points:
    """A buffer that reads the points of a path at once."""

    def __init__(self) -> None:
        self._size = 0

    def read(self, segments: list[int]) -> list[Point]:
        if len(segments) > self._size:
            self._size = 2 * len(segments)
            self._buffer = (ctypes.c_float * (2 * self._size))()
        start = ctypes.addressof(self._buffer)
        stop = start + 8 * len(segments)
        _run_all(map(_get_point, segments, range(start, stop, 8), range(start + 4, stop + 4, 8)))
        return list(struct.iter_unpack("2f", memoryview(self._buffer).cast("B")[: stop - start]))


def _is_plain(points: list[Point]) -> bool:
    """Whether this is one line, level or plumb, or one rectangle."""
    if len(points) == 2:
        return points[0][0] == points[1][0] or points[0][1] == points[1][1]
    if len(points) != 5 or points[0] != points[4]:
        return False
    (x0, y0), (x1, y1), (x2, y2), (x3, y3), _ = points
    return (x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0) or (y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0)


def _is_on_earth(edge: Box) -> bool:
    """Whether the edge has places that can be compared: no overflow, no NaN."""
    x0, top, x1, bottom = edge
    return min(x0, top) > -LIMIT and max(x1, bottom) < LIMIT and x0 <= x1 and top <= bottom


def _split_path(segments: list[int], points: list[Point]) -> Iterator[tuple[list[Point], bool]]:
    """Yield the figures of a path, a curve counting by its end, and whether each is but one line."""
    figure: list[Point] = []
    control_points = 0  # of a curve, up to its end
    closing = False
    for segment, (x, y) in zip(segments, points, strict=True):
        kind = _get_segment_type(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            yield from _as_figure(figure, closing=closing)
            figure, control_points, closing = [], 0, False
        elif kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            control_points = (control_points + 1) % 3
            if control_points:
                continue
        # rounded, so that what was written as one number is one number again: PDFium keeps 32-bit floats
        figure.append((round(x, 3), round(y, 3)))
        if len(figure) == 3:
            closing = bool(_is_closing(segment))
    yield from _as_figure(figure, closing=closing)


def _as_figure(points: list[Point], *, closing: bool) -> Iterator[tuple[list[Point], bool]]:
    """PDFium writes the way back of a closed figure as a line of its own; there and back is one line."""
    if len(points) == 3 and closing and points[0] == points[2]:
        yield points[:2], True
    elif len(points) > 1:
        yield points, len(points) == 2


def _add_figure(edges: Edges, points: list[Point], matrix: Matrix, *, is_line: bool = False) -> None:
    a, b, c, d, e, f = matrix
    vertical, horizontal = edges
    placed = [(a * x + c * y + e, b * x + d * y + f) for x, y in points]
    for (x0, y0), (x1, y1) in itertools.pairwise(placed):
        if x0 > x1:
            x0, x1 = x1, x0
        if y0 == y1:
            if x1 - x0 >= MINIMUM_LINE_LENGTH:
                horizontal.append((x0, y0, x1, y0))
        elif is_line or x0 == x1:
            if y0 > y1:
                y0, y1 = y1, y0
            if y1 - y0 >= MINIMUM_LINE_LENGTH:
                vertical.append((x0, y0, x1, y1))
