"""PDF files as PDFium reads them: opening, metadata, pages, pictures.

PDFium aborts its process when memory runs out and crashes when two threads share it: only workers import this. The
text it returns is raw; the reader cleans it.
"""

import ctypes
import io
import math
import mmap
import os
import re
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from errors import BadPdfError, PasswordRequiredError
from extraction.notices import REPAIRED
from extraction.page.annotations import Forms, Remarks, flatten, has_bare_text, read_remarks
from extraction.page.chars import read_cell_words
from extraction.page.chunks import Token
from extraction.page.directions import ArrangedText
from extraction.page.edges import find_edges
from extraction.page.geometry import LIMIT, Edges, Matrix, bounded, is_on_earth, transform_box
from extraction.page.hyphens import HYPHEN_MARKS
from extraction.page.objects import PageObjects
from extraction.page.repair import Repaired, repair
from extraction.page.structure import read_structure
from extraction.page.textpage import NoTextError
from extraction.page.typed import draw_notes
from extraction.page.wordboxes import read_tokens
from extraction.page.words import read_words
from extraction.page.xmp import read_xmp
from extraction.values import Box, CellWord, Point, open_file

MAXIMUM_PIXELS = 4_000_000  # of a picture
MAXIMUM_PICTURE_SIDE = 16_000  # pixels; WebP has 14 bits for it
LOST_TEXT_RATIO = 0.6  # characters per text object, below which PDFium has lost text for want of fonts
SMALL = 1 << 20  # bytes of a file of which a copy costs less than the calls that read it
MARGINAL_CHARACTERS = 120  # of a header and a footer, that are put on a scan
MOST_OF_PAGE = 0.7  # of its area, that the pictures of a scan cover
MARGIN = 0.1  # of its size, in which they stand
MAX_LABEL_CHARACTERS = 64
MAX_LABELS_BYTES = 1_000_000  # of all labels longer than that, together: PDFium builds a long prefix anew for each page
MAX_METADATA_BYTES = 1_000_000  # of UTF-16, of one entry
_VISIBLE = re.compile(r"[^\s\x00-\x1f\x7f\xad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]")
METADATA_KEYS = ("Title", "Author", "Subject", "Keywords", "Creator", "Producer", "CreationDate", "ModDate")


class UnreadableError(Exception):
    """PDFium cannot open the file; another reader may."""


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

    def __init__(self, file: Path | int, password: str | None = None) -> None:
        """Open *file*, a path or a descriptor; an encrypted one opens with its user or owner password, or if its user
        password is empty.

        Raises:
            PasswordRequiredError; BadPdfError if the file is empty; UnreadableError if PDFium cannot read it.
        """
        self._findings: list[str] = []
        self.encrypted = False
        with open_file(file) as opened:
            if os.fstat(opened.fileno()).st_size == 0:
                raise BadPdfError("Error processing PDF: the file is empty.")
            content = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_COPY)  # PDFium opens files by name only
            self._held: mmap.mmap | bytes = content  # what PDFium reads
            self._password = password
            self._document = self._open(content)
            self.encrypted = self.encrypted or pdfium.FPDF_GetSecurityHandlerRevision(self._document) >= 0
            is_small = len(self._held) <= SMALL
            read = io.BytesIO(self._held[:]) if is_small or isinstance(self._held, bytes) else opened
            self._structure = read_structure(read, self._password)
            if self._structure.is_damaged:
                self._mend(content)
        self._has_hidden_layers = self._structure.has_hidden_layers
        if self._structure.rewritten is not None:
            self._load_instead(self._structure.rewritten)
        self.page_count: int = max(0, pdfium.FPDF_GetPageCount(self._document))
        self._forms = Forms(self._document)
        self._has_drawn_notes = False

    def _open(self, content: mmap.mmap) -> Any:
        for password, secret in _list_secrets(self._password):
            document = self._load(content, secret)
            is_refused = not document and pdfium.FPDF_GetLastError() != pdfium.FPDF_ERR_PASSWORD
            if is_refused and (start := content.find(b"%PDF-")) > 0:  # after junk
                document = self._load(content[start:], secret)
            if document:
                self._password = password
                return document
        if pdfium.FPDF_GetLastError() == pdfium.FPDF_ERR_PASSWORD:
            raise PasswordRequiredError
        repaired = repair(content[:], self._password)
        document = repaired and self._load(repaired.content, None)
        if not document:
            raise UnreadableError
        self._note_repair(repaired)
        return document

    def _mend(self, content: mmap.mmap) -> None:
        """Read the damaged file as qpdf repairs it, which loses less than PDFium does, if it can."""
        if REPAIRED in self._findings:
            return
        try:
            repaired = repair(content[:], self._password, thoroughly=False)
        except PasswordRequiredError:
            repaired = None
        self._note_repair(repaired)
        if repaired is not None:
            self._load_instead(repaired.content)
            self._structure = read_structure(io.BytesIO(repaired.content), None)

    def _note_repair(self, repaired: Repaired | None) -> None:
        self._findings.append(REPAIRED)
        self.encrypted = self.encrypted or (repaired is not None and repaired.was_encrypted)

    def _load_instead(self, content: bytes) -> None:
        pdfium.FPDF_CloseDocument(self._document)
        self._document = self._load(content, None)
        if not self._document:
            raise UnreadableError

    def _load(self, content: mmap.mmap | bytes, secret: bytes | None) -> Any:
        self._held = content  # PDFium keeps its address
        start = content if isinstance(content, bytes) else ctypes.byref(ctypes.c_char.from_buffer(content))
        return pdfium.FPDF_LoadMemDocument64(start, len(content), secret)

    @property
    def findings(self) -> list[str]:
        """The warnings about the file as a whole."""
        return [*self._findings, *self._structure.warnings]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._forms.close()
        pdfium.FPDF_CloseDocument(self._document)

    def metadata(self) -> dict[str, str]:
        found: dict[str, str] = {}
        buffer = ctypes.create_string_buffer(500)  # enough for most
        for key in METADATA_KEYS:
            length = pdfium.FPDF_GetMetaText(self._document, key.encode(), buffer, len(buffer))
            if len(buffer) < length < MAX_METADATA_BYTES:
                buffer = ctypes.create_string_buffer(length)
                pdfium.FPDF_GetMetaText(self._document, key.encode(), buffer, length)
            if 2 < length < MAX_METADATA_BYTES:
                found[key] = buffer.raw[: length - 2].decode("utf-16-le", "ignore")
        return {**read_xmp(self._structure.xmp), **{key: value for key, value in found.items() if value.strip()}}

    def read_labels(self) -> dict[int, str]:
        """What the document calls its pages, by page number; nothing if it takes too much to say so."""
        found: dict[int, str] = {}
        wasted = 0
        for index in range(self.page_count):
            length = pdfium.FPDF_GetPageLabel(self._document, index, None, 0)
            if length > 2 * MAX_LABEL_CHARACTERS:
                wasted += length
                if wasted > MAX_LABELS_BYTES:
                    return {}
            if 2 < length <= 2 * MAX_LABEL_CHARACTERS:
                buffer = ctypes.create_string_buffer(length)
                pdfium.FPDF_GetPageLabel(self._document, index, buffer, length)
                found[index + 1] = buffer.raw[: length - 2].decode("utf-16-le", "ignore")
        return found

    def open_page(self, index: int) -> "Page | None":
        """Return the page, to be closed; None if PDFium cannot load it. *index* counts from 0."""
        page = self._load_page(index)
        if not page:
            return None
        remarks = read_remarks(page, index + 1)
        drawn_count = max(0, pdfium.FPDFPage_CountObjects(page))
        if is_flattened := flatten(page, self._forms):
            pdfium.FPDF_ClosePage(page)
            page = pdfium.FPDF_LoadPage(self._document, index)
            if not page:
                return None
        try:
            return Page(
                page,
                remarks,
                added_from=drawn_count if is_flattened else None,
                has_hidden_layers=self._has_hidden_layers,
            )
        except NoTextError:
            return None

    def _load_page(self, index: int) -> Any:
        """Return the page, with its typed notes drawn; None if PDFium cannot load it."""
        page = pdfium.FPDF_LoadPage(self._document, index)
        if not page or self._has_drawn_notes or not has_bare_text(page):
            return page
        self._has_drawn_notes = True
        pdfium.FPDF_ClosePage(page)
        self._draw_notes()
        return pdfium.FPDF_LoadPage(self._document, index)

    def _draw_notes(self) -> None:
        """Read the file with its typed notes drawn instead, if it can be."""
        try:
            content = draw_notes(self._held[:], self._password)
        except MemoryError:
            raise
        except Exception:  # qpdf and damaged dictionaries raise anything
            return
        if content is None:
            return
        held, document = self._held, self._document
        self._document = self._load(content, None)
        if not self._document:
            self._held, self._document = held, document
            return
        self._forms.close()
        pdfium.FPDF_CloseDocument(document)
        self._password = None
        self._forms = Forms(self._document)

    def render_page(self, index: int, width: int) -> Picture | None:
        """Return the page, at most *width* pixels wide and within the limits; None if it cannot be loaded."""
        page = self._load_page(index)
        if not page:
            return None
        if pdfium.FPDFPage_GetAnnotCount(page) > 0:
            self._forms.welcome(page)
        try:
            return _render(page, width, self._forms)
        finally:
            self._forms.dismiss(page)
            pdfium.FPDF_ClosePage(page)


class Page:
    """A loaded page.

    Edges and the words of cells have pdfplumber's coordinates: the media box as displayed, top and bottom measured
    downwards.
    Boxes of words and hits are in points from the top left of the displayed page, which is at `corner`.
    """

    def __init__(
        self, page: Any, remarks: Remarks, *, added_from: int | None = None, has_hidden_layers: bool = False
    ) -> None:
        """Raise NoTextError, the page closed, if PDFium cannot make its text.

        The objects from number *added_from* on are what fields and notes show.
        """
        self._page = page
        self.width = bounded(float(pdfium.FPDF_GetPageWidthF(page)))
        self.height = bounded(float(pdfium.FPDF_GetPageHeightF(page)))
        self._to_display = _display_matrix(page)
        shown = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, shown)
        self._shown = self._display((shown.left, shown.bottom, shown.right, shown.top))
        left, top, _, _ = self._shown
        self.corner: Point = (bounded(left), bounded(top))
        self.notes = remarks.notes
        self.has_files = remarks.has_files
        self._objects = PageObjects(
            page, self._to_display, self._shown, added_from=added_from, has_hidden_layers=has_hidden_layers
        )
        try:
            self._text = ArrangedText(page, self._objects, self._to_display)
        except NoTextError:
            pdfium.FPDF_ClosePage(page)
            raise

    def close(self) -> None:
        self._text.close()
        pdfium.FPDF_ClosePage(self._page)

    @property
    def has_lost_text(self) -> bool:
        """Whether PDFium lacks fonts that this page needs, and so has left out their text."""
        return self._text.main.char_count < LOST_TEXT_RATIO * self._objects.text_count

    @property
    def lacks_glyphs(self) -> bool:
        return self._text.main.lacks_glyphs

    @property
    def is_unmapped(self) -> bool:
        main = self._text.main
        if main.is_unmapped:
            return True
        if not _VISIBLE.search(main.string):
            return self._objects.has_ink  # letters that are said to be blanks
        return 2 * sum(map(main.string.count, HYPHEN_MARKS)) > len(main.string)  # or nothing at all

    def read_text(self) -> str:
        """Return the text in the order it was drawn, and within a line as it is read, whichever way it is turned."""
        return self._text.string

    def find_boxes(self, start: int, count: int) -> list[Box]:
        """Return the boxes of these characters of `read_text`, one a line; none if they are not known."""
        return list(filter(is_on_earth, map(self._show, self._text.find_boxes(start, count))))

    def read_words(self) -> list[tuple[str, Box]]:
        return read_words(self._text, self._show)

    def read_edges(self) -> Edges:
        vertical, horizontal, slanted = find_edges(self._objects.paths)
        left, top, right, bottom = self._shown
        shown = [  # those for which not `is_apart`, without a call each
            [edge for edge in side if edge[0] <= right and edge[2] >= left and edge[1] <= bottom and edge[3] >= top]
            for side in (vertical, horizontal)
        ]
        return Edges(shown[0], shown[1], slanted)

    @property
    def is_picture(self) -> bool:
        """Whether it shows pictures, or letters as outlines, and has nothing to read but what is put on a scan."""
        text = self._text.string.strip()
        if not text:
            return bool(self._objects.images) or self._objects.has_outlines
        if not self._objects.images or len(text) > MARGINAL_CHARACTERS:
            return False
        width, height = self.width, self.height
        covered = sum(map(_area, (_intersect(self._shown, image) for image in self._objects.images)))
        if covered < MOST_OF_PAGE * _area(self._shown):
            return False
        boxes = self.find_boxes(0, len(self._text.string))
        return bool(boxes) and all(
            box[3] < MARGIN * height or box[1] > height - MARGIN * height or box[2] < MARGIN * width for box in boxes
        )

    def read_cell_words(self) -> list[CellWord]:
        return read_cell_words(self._text, self._to_display)

    @property
    def has_turned_words(self) -> bool:
        return self._text.has_strays

    def read_tokens(self) -> tuple[int, list[Token]]:
        """Return how most of the text is turned, in quarter turns clockwise, and the words of that direction."""
        return self._text.turn, read_tokens(self._text, self._to_display)

    def _display(self, box: Box) -> Box:
        """Return where *box*, of page space, is displayed."""
        return transform_box(self._to_display, box)

    def _show(self, box: Box) -> Box:
        """Return where *box*, of page space, is displayed, relative to the corner."""
        left, top = self.corner
        x0, y0, x1, y1 = self._display(box)
        return (x0 - left, y0 - top, x1 - left, y1 - top)


def _intersect(box: Box, other: Box) -> Box:
    return (max(box[0], other[0]), max(box[1], other[1]), min(box[2], other[2]), min(box[3], other[3]))


def _area(box: Box) -> float:
    return max(0.0, box[2] - box[0]) * max(0.0, box[3] - box[1])


def _render(page: Any, width: int, forms: Forms) -> Picture:
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
        forms.draw(bitmap, page, columns, rows)
        stride = pdfium.FPDFBitmap_GetStride(bitmap)
        pixels = ctypes.string_at(pdfium.FPDFBitmap_GetBuffer(bitmap), stride * rows)
    finally:
        pdfium.FPDFBitmap_Destroy(bitmap)
    return Picture(columns, rows, stride, pixels, columns / page_width, rows / page_height)


def _list_secrets(password: str | None) -> list[tuple[str | None, bytes | None]]:
    """Return the encodings of a password, UTF-8 in new files, Latin-1 in old ones; and none, which may do as well."""
    if password is None:
        return [(None, None)]
    secrets: list[tuple[str | None, bytes | None]] = [(password, password.encode("utf-8", "replace"))]
    if not password.isascii():
        secrets.append((password, password.encode("latin-1", "replace")))
    return [*secrets, (None, None)]


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
    else:  # inherited: PDFium only knows its visible part
        rect = pdfium.FS_RECTF()
        pdfium.FPDF_GetPageBoundingBox(page, rect)
        box = (rect.left, rect.bottom, rect.right, rect.top)
    x0, x1 = sorted((box[0], box[2]))
    y0, y1 = sorted((box[1], box[3]))
    return (x0, y0, x1, y1)
