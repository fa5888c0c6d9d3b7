"""Fast prototypes of the PDFium functions that are called by the thousand; they take addresses, not pointers."""

import ctypes
import struct
from array import array
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

from extraction.page.fonts import FONT_FOLDERS
from extraction.page.geometry import IDENTITY, Matrix

TEXT, PATH = pdfium.FPDF_PAGEOBJ_TEXT, pdfium.FPDF_PAGEOBJ_PATH
FORM, IMAGE = pdfium.FPDF_PAGEOBJ_FORM, pdfium.FPDF_PAGEOBJ_IMAGE
MOVE, BEZIER = pdfium.FPDF_SEGMENT_MOVETO, pdfium.FPDF_SEGMENT_BEZIERTO


def _prototype(function: Any, result: Any, *arguments: Any) -> Any:
    """Return *function* taking plain addresses and keeping the GIL: a call takes a third of the time."""
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


def address_of(handle: Any) -> int:
    return ctypes.cast(handle, ctypes.c_void_p).value or 0


_address, _int = ctypes.c_void_p, ctypes.c_int

# Objects of a page
count_page_objects = _prototype(pdfium.FPDFPage_CountObjects, _int, _address)
get_page_object = _prototype(pdfium.FPDFPage_GetObject, _address, _address, _int)
count_form_objects = _prototype(pdfium.FPDFFormObj_CountObjects, _int, _address)
get_form_object = _prototype(pdfium.FPDFFormObj_GetObject, _address, _address, ctypes.c_ulong)
get_object_type = _prototype(pdfium.FPDFPageObj_GetType, _int, _address)
get_object_matrix = _prototype(pdfium.FPDFPageObj_GetMatrix, _int, _address, _address)
get_bounds = _prototype(pdfium.FPDFPageObj_GetBounds, _int, _address, _address, _address, _address, _address)
get_fill_color = _prototype(pdfium.FPDFPageObj_GetFillColor, _int, _address, _address, _address, _address, _address)
set_active = _prototype(pdfium.FPDFPageObj_SetIsActive, _int, _address, _int)
get_render_mode = _prototype(pdfium.FPDFTextObj_GetTextRenderMode, _int, _address)
count_marks = _prototype(pdfium.FPDFPageObj_CountMarks, _int, _address)
get_mark = _prototype(pdfium.FPDFPageObj_GetMark, _address, _address, ctypes.c_ulong)
get_mark_number = _prototype(pdfium.FPDFPageObjMark_GetParamIntValue, _int, _address, ctypes.c_char_p, _address)

# Clips
get_clip = _prototype(pdfium.FPDFPageObj_GetClipPath, _address, _address)
count_clip_paths = _prototype(pdfium.FPDFClipPath_CountPaths, _int, _address)
count_clip_segments = _prototype(pdfium.FPDFClipPath_CountPathSegments, _int, _address, _int)
get_clip_segment = _prototype(pdfium.FPDFClipPath_GetPathSegment, _address, _address, _int, _int)

# Annotations
count_annotations = _prototype(pdfium.FPDFPage_GetAnnotCount, _int, _address)
get_annotation = _prototype(pdfium.FPDFPage_GetAnnot, _address, _address, _int)
close_annotation = _prototype(pdfium.FPDFPage_CloseAnnot, None, _address)
get_annotation_kind = _prototype(pdfium.FPDFAnnot_GetSubtype, _int, _address)
get_annotation_flags = _prototype(pdfium.FPDFAnnot_GetFlags, _int, _address)
has_annotation_key = _prototype(pdfium.FPDFAnnot_HasKey, _int, _address, ctypes.c_char_p)
get_annotation_string = _prototype(
    pdfium.FPDFAnnot_GetStringValue, ctypes.c_ulong, _address, ctypes.c_char_p, _address, ctypes.c_ulong
)

# Paths
count_segments = _prototype(pdfium.FPDFPath_CountSegments, _int, _address)
get_segment = _prototype(pdfium.FPDFPath_GetPathSegment, _address, _address, _int)
get_segment_point = _prototype(pdfium.FPDFPathSegment_GetPoint, _int, _address, _address, _address)
get_segment_type = _prototype(pdfium.FPDFPathSegment_GetType, _int, _address)
is_closing = _prototype(pdfium.FPDFPathSegment_GetClose, _int, _address)

# Characters of a text page
get_loose_box = _prototype(pdfium.FPDFText_GetLooseCharBox, _int, _address, _int, _address)
get_tight_box = _prototype(pdfium.FPDFText_GetCharBox, _int, _address, _int, _address, _address, _address, _address)
get_text_object = _prototype(pdfium.FPDFText_GetTextObject, _address, _address, _int)
get_unicode = _prototype(pdfium.FPDFText_GetUnicode, ctypes.c_uint, _address, _int)
has_map_error = _prototype(pdfium.FPDFText_HasUnicodeMapError, _int, _address, _int)
get_origin = _prototype(pdfium.FPDFText_GetCharOrigin, _int, _address, _int, _address, _address)
get_text_matrix = _prototype(pdfium.FPDFText_GetMatrix, _int, _address, _int, _address)
get_font_size = _prototype(pdfium.FPDFText_GetFontSize, ctypes.c_double, _address, _int)
get_font = _prototype(pdfium.FPDFTextObj_GetFont, _address, _address)
is_embedded = _prototype(pdfium.FPDFFont_GetIsEmbedded, _int, _address)
get_descent = _prototype(pdfium.FPDFFont_GetDescent, _int, _address, ctypes.c_float, _address)

_PALE = 128  # of 255: lighter, or less opaque, is pale


def is_pale(item: int) -> bool:
    """Whether a page object is filled lightly, or lets through what is behind it."""
    if not get_fill_color(item, *_color_addresses):
        return False
    *color, opacity = _color
    return opacity < _PALE or min(color) > _PALE


_color = (ctypes.c_uint * 4)()
_color_addresses = range(ctypes.addressof(_color), ctypes.addressof(_color) + 16, 4)
_matrix = (ctypes.c_float * 6)()
_matrix_address = ctypes.addressof(_matrix)


def read_matrix(get: Any, *arguments: int) -> Matrix:
    if not get(*arguments, _matrix_address):
        return IDENTITY
    a, b, c, d, e, f = struct.unpack("6f", _matrix)
    return (a, b, c, d, e, f)


def read_matrices(items: list[int]) -> list[Matrix]:
    """Return the matrices of page objects."""
    matrices = array("f", IDENTITY * len(items))
    start = matrices.buffer_info()[0]
    run_all(map(get_object_matrix, items, range(start, start + 24 * len(items), 24)))
    return list(struct.iter_unpack("6f", matrices))


def run_all(calls: Iterator[object]) -> None:
    deque(calls, maxlen=0)
