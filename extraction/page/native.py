"""Fast prototypes of the PDFium functions that are called by the thousand.

They return addresses, and take handles: what `handle` makes of one, so that a call converts nothing. Numbers are passed
as C's int. A call costs .07 to .12 µs so, half of what it does with declared types.
"""

import ctypes
import struct
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from extraction.page.fonts import FONT_FOLDERS
from extraction.page.geometry import IDENTITY, Matrix
from extraction.values import Box

TEXT, PATH = pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_PATH
FORM, IMAGE = pdfium.FPDF_PAGEOBJ_FORM, pdfium.FPDF_PAGEOBJ_IMAGE
MOVE, BEZIER = pdfium.FPDF_SEGMENT_MOVETO, pdfium.FPDF_SEGMENT_BEZIERTO


Handle = Any  # a pointer as ctypes passes it on
handle: Callable[[int | None], Handle] = ctypes.c_void_p.from_param


def _prototype(function: Any, result: Any, *arguments: Any) -> Any:
    """Return *function* keeping the GIL: a call takes a third of the time; *arguments* are the types to convert to."""
    return ctypes.PYFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)


def use_fonts(folders: Iterable[str]) -> None:
    """Have PDFium look for fonts in these *folders*, and in no others; no document may be open."""
    paths = [folder.encode() for folder in folders]
    _font_paths[:] = [(ctypes.c_char_p * (len(paths) + 1))(*paths, None)]
    config = pdfium.FPDF_LIBRARY_CONFIG(version=2)
    config.m_pUserFontPaths = ctypes.cast(_font_paths[0], type(config.m_pUserFontPaths))
    pdfium.FPDF_DestroyLibrary()
    pdfium.FPDF_InitLibraryWithConfig(config)


_font_paths: list[Any] = []  # PDFium keeps their address
use_fonts(FONT_FOLDERS)


def handle_of(pointer: Any) -> Handle:
    """Return the handle of a page, or of its text, as pypdfium2 holds it."""
    return handle(ctypes.cast(pointer, ctypes.c_void_p).value)


_address, _int = ctypes.c_void_p, ctypes.c_int

# Objects of a page
count_page_objects = _prototype(pdfium.FPDFPage_CountObjects, _int)
get_page_object = _prototype(pdfium.FPDFPage_GetObject, _address)
count_form_objects = _prototype(pdfium.FPDFFormObj_CountObjects, _int)
get_form_object = _prototype(pdfium.FPDFFormObj_GetObject, _address)
get_object_type = _prototype(pdfium.FPDFPageObj_GetType, _int, _address)  # also of an address
get_object_matrix = _prototype(pdfium.FPDFPageObj_GetMatrix, _int)
get_bounds = _prototype(pdfium.FPDFPageObj_GetBounds, _int)
get_fill_color = _prototype(pdfium.FPDFPageObj_GetFillColor, _int, _address)  # also of an address
set_active = _prototype(pdfium.FPDFPageObj_SetIsActive, _int, _address)  # also of an address
get_render_mode = _prototype(pdfium.FPDFTextObj_GetTextRenderMode, _int)
count_marks = _prototype(pdfium.FPDFPageObj_CountMarks, _int)
get_mark = _prototype(pdfium.FPDFPageObj_GetMark, _address)
get_mark_number = _prototype(pdfium.FPDFPageObjMark_GetParamIntValue, _int, _address)

# Clips
get_clip = _prototype(pdfium.FPDFPageObj_GetClipPath, _address)
count_clip_paths = _prototype(pdfium.FPDFClipPath_CountPaths, _int)
count_clip_segments = _prototype(pdfium.FPDFClipPath_CountPathSegments, _int)
get_clip_segment = _prototype(pdfium.FPDFClipPath_GetPathSegment, _address)

# Annotations
count_annotations = _prototype(pdfium.FPDFPage_GetAnnotCount, _int)
get_annotation = _prototype(pdfium.FPDFPage_GetAnnot, _address)
close_annotation = _prototype(pdfium.FPDFPage_CloseAnnot, None)
get_annotation_kind = _prototype(pdfium.FPDFAnnot_GetSubtype, _int)
get_annotation_flags = _prototype(pdfium.FPDFAnnot_GetFlags, _int)
set_annotation_flags = _prototype(pdfium.FPDFAnnot_SetFlags, _int)
has_annotation_key = _prototype(pdfium.FPDFAnnot_HasKey, _int)
get_annotation_string = _prototype(
    pdfium.FPDFAnnot_GetStringValue, ctypes.c_ulong, _address, ctypes.c_char_p, _address, ctypes.c_ulong
)

# Paths
count_segments = _prototype(pdfium.FPDFPath_CountSegments, _int)
get_segment = _prototype(pdfium.FPDFPath_GetPathSegment, _address)
get_segment_point = _prototype(pdfium.FPDFPathSegment_GetPoint, _int, _address)  # also of an address, as the next two
get_segment_type = _prototype(pdfium.FPDFPathSegment_GetType, _int, _address)
is_closing = _prototype(pdfium.FPDFPathSegment_GetClose, _int, _address)

# Characters of a text page
get_loose_box = _prototype(pdfium.FPDFText_GetLooseCharBox, _int)
get_tight_box = _prototype(pdfium.FPDFText_GetCharBox, _int)
get_text_object = _prototype(pdfium.FPDFText_GetTextObject, _address)
get_unicode = _prototype(pdfium.FPDFText_GetUnicode, ctypes.c_uint)
get_object_text = _prototype(pdfium.FPDFTextObj_GetText, ctypes.c_ulong)
has_map_error = _prototype(pdfium.FPDFText_HasUnicodeMapError, _int)
get_origin = _prototype(pdfium.FPDFText_GetCharOrigin, _int)
get_text_matrix = _prototype(pdfium.FPDFText_GetMatrix, _int)
get_font_size = _prototype(pdfium.FPDFText_GetFontSize, ctypes.c_double)
get_font = _prototype(pdfium.FPDFTextObj_GetFont, _address, _address)  # also of an address, as the next two
is_embedded = _prototype(pdfium.FPDFFont_GetIsEmbedded, _int, _address)
get_descent = _prototype(pdfium.FPDFFont_GetDescent, _int, _address, ctypes.c_float)

_PALE = 128  # of 255: lighter, or less opaque, is pale


def is_pale(item: int) -> bool:
    """Whether a page object is filled lightly, or lets through what is behind it."""
    if not get_fill_color(item, *_color_pointers):
        return False
    *color, opacity = _color
    return opacity < _PALE or min(color) > _PALE


_color = (ctypes.c_uint * 4)()
_color_pointers = [ctypes.byref(_color, offset) for offset in (0, 4, 8, 12)]
_matrix = (ctypes.c_float * 6)()
_matrix_pointer = ctypes.byref(_matrix)


def read_matrix(get: Any, *arguments: Any) -> Matrix:
    if not get(*arguments, _matrix_pointer):
        return IDENTITY
    a, b, c, d, e, f = struct.unpack("6f", _matrix)
    return (a, b, c, d, e, f)


class Records:
    """Room for what PDFium writes; to make the pointers anew would cost as much as the calls."""

    CAPACITY = 1024

    def __init__(self, default: Sequence[float], pointers: int) -> None:
        """A record is *default* where PDFium writes nothing, and is passed by this many pointers."""
        buffer = (ctypes.c_float * (len(default) * self.CAPACITY))()
        self._default = struct.pack(f"{len(default)}f", *default) * self.CAPACITY
        self._bytes = memoryview(buffer).cast("B")
        self._size = 4 * len(default)
        step = self._size // pointers
        self._pointers = [
            [ctypes.byref(buffer, self._size * number + step * place) for number in range(self.CAPACITY)]
            for place in range(pointers)
        ]

    def read(self, get: Any, items: Sequence[Any], *before: Iterable[Any]) -> bytes:
        """Return the records, one after the other, of *items*; *before* come first in each call."""
        parts: list[bytes] = []
        for start in range(0, len(items), self.CAPACITY):
            part = items[start : start + self.CAPACITY]
            end = self._size * len(part)
            self._bytes[:end] = self._default[:end]
            run_all(map(get, *before, part, *self._pointers))
            parts.append(bytes(self._bytes[:end]))
        return parts[0] if len(parts) == 1 else b"".join(parts)


_boxes = Records((0.0,) * 4, pointers=1)
_bounds = Records((0.0,) * 4, pointers=4)
_points = Records((0.0,) * 2, pointers=2)
_matrices = Records(IDENTITY, pointers=1)


def read_loose_boxes(text_page: Handle, places: Sequence[int]) -> bytes:
    """Return left, top, right and bottom of the advance box of each of these characters, as 32-bit floats."""
    return _boxes.read(get_loose_box, places, repeat(text_page))


def read_bounds(items: Sequence[Handle]) -> list[Box]:
    """Return the boxes of page objects, in the space that holds them: left, bottom, right, top."""
    return list(struct.iter_unpack("4f", _bounds.read(get_bounds, items)))


def read_points(segments: Sequence[int]) -> bytes:
    """Return x and y of each segment, as 32-bit floats."""
    return _points.read(get_segment_point, segments)


def read_matrices(items: Sequence[Handle]) -> bytes:
    """Return the matrices of page objects, as 32-bit floats."""
    return _matrices.read(get_object_matrix, items)


def run_all(calls: Iterator[object]) -> None:
    deque(calls, maxlen=0)
