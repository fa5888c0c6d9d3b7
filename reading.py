"""Read PDF files with PDFium: open, metadata, and each page's text, characters and ruling lines.

PDFium aborts its process when memory runs out and crashes when two threads share it: only the workers of pdf.py
import this.
"""

import contextlib
import ctypes
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from errors import BadPdfError, PasswordRequiredError
from tables import MINIMUM_DRAWN_LENGTH, Char, Edge, Edges, TableText, TooManyLinesError, find_table_texts

MAXIMUM_SEGMENTS = 1_000_000  # of drawn paths on one page; the fullest real page seen has 75,088
MAXIMUM_FORM_DEPTH = 30
LOST_TEXT_RATIO = 0.6  # characters per text object, below which PDFium has lost text (fonts it has not got)
METADATA_KEYS = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")

Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)

# C0 but \n and \t, halves of surrogate pairs, and the non-characters PDFium uses for what it cannot map
_UNWANTED = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\uffff]")
_HYPHEN_MARK = re.compile("[\ufffe\x02]\n?")  # PDFium writes them for a hyphen at the end of a line


def clean_text(text: str) -> str:
    """Return *text* as it is stored: LF line ends, hyphenated words joined, nothing that PostgreSQL or JSON refuses."""
    return _UNWANTED.sub("", _HYPHEN_MARK.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


class UnreadableError(Exception):
    """PDFium cannot open the file; another reader may."""


class Document:
    """An open PDF file; a context manager."""

    def __init__(self, path: Path) -> None:
        """Open *path*; an encrypted file opens if its user password is empty.

        Raises:
            PasswordRequiredError; BadPdfError if the file is empty; UnreadableError if PDFium cannot read it.
        """
        self._held: Any = None  # the bytes PDFium reads from, when not from the file
        if path.stat().st_size == 0:
            raise BadPdfError("Error processing PDF: the file is empty.")
        self._document = pdfium.FPDF_LoadDocument(str(path).encode(), None)
        if not self._document and pdfium.FPDF_GetLastError() != pdfium.FPDF_ERR_PASSWORD:
            self._open_after_junk(path)
        if not self._document:
            if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
                raise PasswordRequiredError
            raise UnreadableError
        self.page_count: int = max(0, pdfium.FPDF_GetPageCount(self._document))
        self.encrypted: bool = pdfium.FPDF_GetSecurityHandlerRevision(self._document) >= 0

    def _open_after_junk(self, path: Path) -> None:
        content = path.read_bytes()
        start = content.find(b"%PDF-")
        if start > 0:
            self._held = ctypes.create_string_buffer(content[start:], len(content) - start)
            self._document = pdfium.FPDF_LoadMemDocument64(self._held, len(self._held), None)

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
                value = clean_text(buffer.raw[: length - 2].decode("utf-16-le", "ignore"))
                if value:
                    found[key] = value
        return found

    @contextlib.contextmanager
    def open_page(self, index: int) -> Iterator["Page | None"]:
        """Yield the page, or None if PDFium cannot load it; *index* counts from 0."""
        page = pdfium.FPDF_LoadPage(self._document, index)
        if not page:
            yield None
            return
        text_page = pdfium.FPDFText_LoadPage(page)
        try:
            yield Page(page, text_page) if text_page else None
        finally:
            if text_page:
                pdfium.FPDFText_ClosePage(text_page)
            pdfium.FPDF_ClosePage(page)


class _Style(NamedTuple):
    """What a text object says of all its characters, as displayed."""

    rise: tuple[float, float]  # from the baseline to the foot of a character's box
    height: tuple[float, float]  # from its foot to its head
    level: bool  # the writing direction: horizontal
    plumb: bool  # or vertical; neither is slanted
    upright: bool


class Page:
    """A loaded page. Boxes are pdfplumber's: the media box as displayed, top and bottom measured downwards."""

    def __init__(self, page: Any, text_page: Any) -> None:
        self._page = page
        self._text_page = text_page
        self.width: float = float(pdfium.FPDF_GetPageWidthF(page))
        self.height: float = float(pdfium.FPDF_GetPageHeightF(page))
        self._to_page: Matrix = self._display_matrix()
        self._char_count = max(0, pdfium.FPDFText_CountChars(text_page))
        self._text_objects = 0
        self._paths: list[tuple[Any, Matrix]] = []  # with the matrix from the path's space to the displayed page
        self._find_objects()

    @property
    def has_lost_text(self) -> bool:
        """Whether PDFium lacks fonts this page needs, and so has left out their text."""
        return bool(self._char_count < LOST_TEXT_RATIO * self._text_objects)

    @property
    def is_unmapped(self) -> bool:
        """Whether the fonts do not tell which characters their glyphs are, so that the text is gibberish."""
        sample = range(0, self._char_count, max(1, self._char_count // 100))
        unmapped = sum(pdfium.FPDFText_HasUnicodeMapError(self._text_page, index) == 1 for index in sample)
        return bool(unmapped * 2 > len(sample))

    def read_text(self) -> str:
        count = self._char_count
        if count == 0:
            return ""
        buffer = ctypes.create_string_buffer(2 * count + 2)
        unsigned = ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort))
        written = pdfium.FPDFText_GetText(self._text_page, 0, count, unsigned)
        return clean_text(buffer.raw[: 2 * max(0, written - 1)].decode("utf-16-le", "ignore"))

    def _display_matrix(self) -> Matrix:
        """Return the matrix from page space to pdfplumber's coordinates."""
        x0, y0, x1, y1 = self._media_box()
        rotation = pdfium.FPDFPage_GetRotation(self._page)
        if rotation == 1:
            return (0.0, 1.0, 1.0, 0.0, 0.0, -2 * x0)
        if rotation == 2:
            return (-1.0, 0.0, 0.0, 1.0, x0 + x1, -2 * y0)
        if rotation == 3:
            return (0.0, -1.0, -1.0, 0.0, y0 + y1, x1 - x0)
        return (1.0, 0.0, 0.0, -1.0, 0.0, y1 - y0)

    def _media_box(self) -> tuple[float, float, float, float]:
        left, bottom, right, top = (ctypes.c_float() for _ in range(4))
        if pdfium.FPDFPage_GetMediaBox(self._page, left, bottom, right, top):
            box = (left.value, bottom.value, right.value, top.value)
        else:  # inherited: PDFium tells it only as the visible part of the page
            rect = pdfium.FS_RECTF()
            pdfium.FPDF_GetPageBoundingBox(self._page, rect)
            box = (rect.left, rect.bottom, rect.right, rect.top)
        x0, x1 = sorted((box[0], box[2]))
        y0, y1 = sorted((box[1], box[3]))
        return (x0, y0, x1, y1)

    def read_tables(self) -> list[TableText]:
        """Return the page's tables.

        Raises:
            TooManyLinesError: see `read_edges` and `tables.find_table_texts`.
        """
        return find_table_texts(self.read_edges(), self.read_chars)

    # The ruling lines

    def read_edges(self) -> Edges:
        """Return the straight lines drawn on the page, in nested forms too; a rectangle is its four sides.

        Raises:
            TooManyLinesError: above 1,000,000 path segments.
        """
        edges = Edges([], [])
        segments_left = MAXIMUM_SEGMENTS
        for path, matrix in self._paths:
            count = pdfium.FPDFPath_CountSegments(path)
            segments_left -= max(1, count)
            if segments_left < 0:
                raise TooManyLinesError
            for points, closed in _split_path(path, count):
                _add_edges(edges, points, closed, matrix)
        return edges

    def _find_objects(self) -> None:
        """Walk the page and the forms in it; keep the paths, count the text objects."""
        found: list[tuple[Any, Matrix, int]] = []
        for index in range(pdfium.FPDFPage_CountObjects(self._page)):
            found.append((pdfium.FPDFPage_GetObject(self._page, index), self._to_page, 0))
            while found:
                item, outer, depth = found.pop()
                kind = pdfium.FPDFPageObj_GetType(item)
                if kind == pdfium.FPDF_PAGEOBJ_TEXT:
                    self._text_objects += 1
                elif kind == pdfium.FPDF_PAGEOBJ_PATH:
                    if len(self._paths) <= MAXIMUM_SEGMENTS:
                        self._paths.append((item, _multiply(_object_matrix(item), outer)))
                elif kind == pdfium.FPDF_PAGEOBJ_FORM and depth < MAXIMUM_FORM_DEPTH:
                    inner = _multiply(_object_matrix(item), outer)
                    numbers = range(pdfium.FPDFFormObj_CountObjects(item))
                    found += [(pdfium.FPDFFormObj_GetObject(item, number), inner, depth + 1) for number in numbers]

    # The characters

    def read_chars(self) -> list[Char]:
        """Return the characters with pdfplumber's boxes; the spaces that PDFium generates between words are left out.

        x is PDFium's advance box. y is baseline plus font descent, as high as the font size: pdfminer's rule, which
        decides to which cell a character belongs.
        """
        text_page = self._text_page
        rect, x, y = pdfium.FS_RECTF(), ctypes.c_double(), ctypes.c_double()
        a, b, c, d, e, f = self._to_page
        styles: dict[int, _Style] = {}
        chars: list[Char] = []
        for index in range(self._char_count):
            item = pdfium.FPDFText_GetTextObject(text_page, index)
            address = ctypes.cast(item, ctypes.c_void_p).value
            code = pdfium.FPDFText_GetUnicode(text_page, index)
            if not address or code == 0 or not pdfium.FPDFText_GetLooseCharBox(text_page, index, rect):
                continue
            style = styles.get(address)
            if style is None:
                style = styles[address] = self._read_style(index, item)
            pdfium.FPDFText_GetCharOrigin(text_page, index, x, y)
            x0, x1 = sorted((a * rect.left + c * rect.bottom + e, a * rect.right + c * rect.top + e))
            top, bottom = sorted((b * rect.left + d * rect.bottom + f, b * rect.right + d * rect.top + f))
            foot_x = a * x.value + c * y.value + e + style.rise[0]
            foot_y = b * x.value + d * y.value + f + style.rise[1]
            if style.level:
                top, bottom = sorted((foot_y, foot_y + style.height[1]))
            elif style.plumb:
                x0, x1 = sorted((foot_x, foot_x + style.height[0]))
            text = clean_text(chr(code)) if code < 0x110000 else ""
            if text:
                chars.append(Char(text, x0, top, x1, bottom, style.upright))
        return chars

    def _read_style(self, index: int, item: Any) -> _Style:
        matrix, descent = pdfium.FS_MATRIX(), ctypes.c_float()
        pdfium.FPDFText_GetMatrix(self._text_page, index, matrix)
        size = pdfium.FPDFText_GetFontSize(self._text_page, index)
        pdfium.FPDFFont_GetDescent(pdfium.FPDFTextObj_GetFont(item), ctypes.c_float(size), descent)
        a, b, c, d, _, _ = _multiply((matrix.a, matrix.b, matrix.c, matrix.d, 0.0, 0.0), self._to_page)
        return _Style(
            rise=(c * descent.value, d * descent.value),
            height=(c * size, d * size),
            level=abs(b) < 1e-4 * abs(a),
            plumb=abs(a) < 1e-4 * abs(b),
            # pdfplumber measures y upwards here: its b and d are ours with the sign turned
            upright=a * -d > 0 and -b * c <= 0,
        )


def _multiply(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the matrix that applies *inner*, then *outer*."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def _object_matrix(item: Any) -> Matrix:
    matrix = pdfium.FS_MATRIX()
    if not pdfium.FPDFPageObj_GetMatrix(item, matrix):
        return IDENTITY
    return (matrix.a, matrix.b, matrix.c, matrix.d, matrix.e, matrix.f)


Point = tuple[float, float]


def _split_path(path: Any, count: int) -> Iterator[tuple[list[Point], bool]]:
    """Yield the subpaths: their points (a curve counts by its end) and whether they are closed explicitly."""
    x, y = ctypes.c_float(), ctypes.c_float()
    points: list[Point] = []
    closed = False
    control_points = 0  # of a curve, still to be skipped
    for index in range(count):
        segment = pdfium.FPDFPath_GetPathSegment(path, index)
        pdfium.FPDFPathSegment_GetPoint(segment, x, y)
        kind = pdfium.FPDFPathSegment_GetType(segment)
        if kind == pdfium.FPDF_SEGMENT_MOVETO:
            if len(points) > 1:
                yield points, closed
            points, closed, control_points = [], False, 0
        elif kind == pdfium.FPDF_SEGMENT_BEZIERTO:
            control_points = (control_points + 1) % 3
            if control_points:
                continue
        # rounded, so that what was written as one number is one number again: PDFium keeps 32-bit floats
        points.append((round(x.value, 3), round(y.value, 3)))
        closed = closed or bool(pdfium.FPDFPathSegment_GetClose(segment))
    if len(points) > 1:
        yield points, closed


def _add_edges(edges: Edges, points: list[Point], closed: bool, matrix: Matrix) -> None:
    a, b, c, d, e, f = matrix
    placed = [(a * x + c * y + e, b * x + d * y + f) for x, y in points]
    if len(placed) == 2 or (closed and len(placed) == 3 and points[0] == points[2]):
        (x0, y0), (x1, y1) = placed[:2]
        _add_line(edges, x0, y0, x1, y1, slanted_too=True)
        return
    if closed and points[0] != points[-1]:
        placed.append(placed[0])
    for (x0, y0), (x1, y1) in itertools.pairwise(placed):
        _add_line(edges, x0, y0, x1, y1, slanted_too=False)


def _add_line(edges: Edges, x0: float, y0: float, x1: float, y1: float, *, slanted_too: bool) -> None:
    if y0 == y1:
        if abs(x1 - x0) >= MINIMUM_DRAWN_LENGTH:
            edges.horizontal.append(Edge(min(x0, x1), y0, max(x0, x1), y0))
    elif (slanted_too or x0 == x1) and abs(y1 - y0) >= MINIMUM_DRAWN_LENGTH:
        edges.vertical.append(Edge(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)))
