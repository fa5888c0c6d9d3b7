"""Form fields and notes of a page: what they show becomes part of it; what readers wrote in the margin is listed."""

import ctypes
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from extraction.page.native import (
    Handle,
    close_annotation,
    count_annotations,
    get_annotation,
    get_annotation_flags,
    get_annotation_kind,
    get_annotation_string,
    handle,
    handle_of,
    has_annotation_key,
    set_annotation_flags,
)
from extraction.values import Note

# Their words are part of the page: fields, and text that was typed, stamped or printed over it
_WORDED = frozenset(
    {
        pdfium.FPDF_ANNOT_WIDGET,
        pdfium.FPDF_ANNOT_FREETEXT,
        pdfium.FPDF_ANNOT_STAMP,
        pdfium.FPDF_ANNOT_WATERMARK,
    }
)
_REMARKS = frozenset(
    {
        pdfium.FPDF_ANNOT_TEXT,
        pdfium.FPDF_ANNOT_HIGHLIGHT,
        pdfium.FPDF_ANNOT_UNDERLINE,
        pdfium.FPDF_ANNOT_SQUIGGLY,
        pdfium.FPDF_ANNOT_STRIKEOUT,
        pdfium.FPDF_ANNOT_CARET,
        pdfium.FPDF_ANNOT_INK,
        pdfium.FPDF_ANNOT_LINE,
        pdfium.FPDF_ANNOT_SQUARE,
        pdfium.FPDF_ANNOT_CIRCLE,
        pdfium.FPDF_ANNOT_POLYGON,
        pdfium.FPDF_ANNOT_POLYLINE,
    }
)
_INVISIBLE = pdfium.FPDF_ANNOT_FLAG_INVISIBLE
_HIDDEN = pdfium.FPDF_ANNOT_FLAG_HIDDEN | pdfium.FPDF_ANNOT_FLAG_NOVIEW
MAXIMUM_ANNOTATIONS = 20_000  # of a page; more are not looked at
MAXIMUM_NOTE_BYTES = 64_000  # of UTF-16, of one string of a note


class Forms:
    """The form environment of a document: it gives fields and notes their appearance where the file does not."""

    def __init__(self, document: Any) -> None:
        self._document = document
        self._callbacks = pdfium.FPDF_FORMFILLINFO(version=2)  # PDFium keeps its address
        self._handle: Any = None

    def close(self) -> None:
        if self._handle:
            pdfium.FPDFDOC_ExitFormFillEnvironment(self._handle)

    def welcome(self, page: Any) -> None:
        """Give the fields and typed notes of a loaded page their appearance."""
        if not self._handle:
            self._handle = pdfium.FPDFDOC_InitFormFillEnvironment(self._document, self._callbacks)
            pdfium.FPDF_SetFormFieldHighlightAlpha(self._handle, 0)
        if self._handle:
            pdfium.FORM_OnAfterLoadPage(page, self._handle)

    def dismiss(self, page: Any) -> None:
        if self._handle:
            pdfium.FORM_OnBeforeClosePage(page, self._handle)

    def draw(self, bitmap: Any, page: Any, columns: int, rows: int) -> None:
        """Draw the fields of a page on a picture of it."""
        if self._handle:
            pdfium.FPDF_FFLDraw(self._handle, bitmap, page, 0, 0, columns, rows, 0, pdfium.FPDF_ANNOT)


def flatten(page: Any, forms: Forms) -> bool:
    """Make what fields, typed notes and stamps show part of the page, in memory; return whether to load it again."""
    held = handle_of(page)
    count = count_annotations(held)
    if not 0 < count <= MAXIMUM_ANNOTATIONS:
        return False
    others = [index for index in range(count) if not _shows_words(held, index)]
    if len(others) == count:
        return False
    forms.welcome(page)
    for index in reversed(others):
        pdfium.FPDFPage_RemoveAnnot(page, index)
    result = pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY)
    forms.dismiss(page)
    return bool(result == pdfium.FLATTEN_SUCCESS)


def _shows_words(page: Handle, index: int) -> bool:
    annotation = handle(get_annotation(page, index))
    if not annotation:
        return False
    try:
        flags, kind = get_annotation_flags(annotation), get_annotation_kind(annotation)
        if kind not in _WORDED or flags & _HIDDEN or (kind == pdfium.FPDF_ANNOT_WIDGET and flags & _INVISIBLE):
            return False
        if flags & _INVISIBLE:  # which is about kinds that nobody knows, and pictures show it, but flattening does not
            set_annotation_flags(annotation, flags & ~_INVISIBLE)
        return True
    finally:
        close_annotation(annotation)


class Remarks(NamedTuple):
    """What the annotations of a page are, besides what they draw."""

    notes: list[Note]  # of readers: sticky notes, and comments on what they marked
    has_files: bool  # attached to the page


def read_remarks(page: Any, page_number: int) -> Remarks:
    held = handle_of(page)
    notes: list[Note] = []
    has_files = False
    for index in range(min(count_annotations(held), MAXIMUM_ANNOTATIONS)):
        annotation = handle(get_annotation(held, index))
        if not annotation:
            continue
        kind = get_annotation_kind(annotation)
        if kind in _REMARKS and not has_annotation_key(annotation, b"StateModel"):
            text = _read_string(annotation, b"Contents")
            if text.strip():
                notes.append(Note(page_number, _read_string(annotation, b"T"), text))
        elif kind == pdfium.FPDF_ANNOT_FILEATTACHMENT:
            has_files = True
        close_annotation(annotation)
    return Remarks(notes, has_files)


def has_bare_text(page: Any) -> bool:
    """Whether the page has typed notes for which the file has no appearance."""
    held = handle_of(page)
    return any(_is_bare_text(held, index) for index in range(min(count_annotations(held), MAXIMUM_ANNOTATIONS)))


def _is_bare_text(page: Handle, index: int) -> bool:
    annotation = handle(get_annotation(page, index))
    if not annotation:
        return False
    try:
        is_text = get_annotation_kind(annotation) == pdfium.FPDF_ANNOT_FREETEXT
        return is_text and not has_annotation_key(annotation, b"AP")
    finally:
        close_annotation(annotation)


def _read_string(annotation: Handle, key: bytes) -> str:
    size = get_annotation_string(annotation, key, None, 0)
    if not 2 < size <= MAXIMUM_NOTE_BYTES:
        return ""
    buffer = ctypes.create_string_buffer(size)
    get_annotation_string(annotation, key, ctypes.addressof(buffer), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "ignore")
