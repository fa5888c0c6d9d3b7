"""What a page of PDFium draws, as the straight edges that pdfplumber's rules for tables look at."""

import ctypes
import itertools
import struct
from collections import deque
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

import pypdfium2.raw as pdfium  # type: ignore[import-untyped]

MAXIMUM_SEGMENTS = 1_000_000  # of drawn paths on one page; the fullest real page seen has 75,088
MINIMUM_LINE_LENGTH = 1.0  # points; pdfplumber's `edge_min_length_prefilter`
LIMIT = 1e7  # points from the origin; a page may be 14,400 wide

Box = tuple[float, float, float, float]  # x0, top, x1, bottom
Point = tuple[float, float]
Matrix = tuple[float, float, float, float, float, float]
IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)


def prototype(function: Any, result: Any, *arguments: Any) -> Any:
    """Return *function* for calls by the thousand: plain addresses for pointers, the GIL kept; a third of the time."""
    return ctypes.PYFUNCTYPE(result, *arguments)(ctypes.cast(function, ctypes.c_void_p).value or 0)


_address, _int = ctypes.c_void_p, ctypes.c_int
get_object_matrix = prototype(pdfium.FPDFPageObj_GetMatrix, _int, _address, _address)
_count_segments = prototype(pdfium.FPDFPath_CountSegments, _int, _address)
_get_segment = prototype(pdfium.FPDFPath_GetPathSegment, _address, _address, _int)
_get_point = prototype(pdfium.FPDFPathSegment_GetPoint, _int, _address, _address, _address)
_get_segment_type = prototype(pdfium.FPDFPathSegment_GetType, _int, _address)
_is_closing = prototype(pdfium.FPDFPathSegment_GetClose, _int, _address)


class TooManyPathsError(Exception):
    """The page draws more than is worth looking at for tables."""


class Edges(NamedTuple):
    """The straight lines of a page; a slanted one counts as vertical at x0, as it does for pdfplumber."""

    vertical: list[Box]
    horizontal: list[Box]


def find_edges(paths: Sequence[tuple[int, Matrix]]) -> Edges:
    """Return the straight lines that *paths* (addresses, and how each is placed) draw; a rectangle is its four sides.

    Raises:
        TooManyPathsError: above 1,000,000 path segments.
    """
    edges = Edges([], [])
    points = _Points()
    counts = [max(0, _count_segments(path)) for path, _ in paths]
    if sum(counts) > MAXIMUM_SEGMENTS or len(counts) > MAXIMUM_SEGMENTS:
        raise TooManyPathsError
    for (path, outer), count in zip(paths, counts, strict=True):
        if count < 2:
            continue
        matrix = multiply(read_matrix(get_object_matrix, path), outer)
        segments = list(map(_get_segment, repeat(path), range(count)))
        placed = points.read(segments)
        if _is_plain(placed):  # the most frequent, and quickest told
            _add_figure(edges, placed, matrix)
            continue
        for figure, is_line in _split_path(segments, placed):
            _add_figure(edges, figure, matrix, is_line=is_line)
    return Edges(list(filter(is_on_earth, edges.vertical)), list(filter(is_on_earth, edges.horizontal)))


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
        run_all(map(_get_point, segments, range(start, stop, 8), range(start + 4, stop + 4, 8)))
        return list(struct.iter_unpack("2f", memoryview(self._buffer).cast("B")[: stop - start]))


def _is_plain(points: list[Point]) -> bool:
    """Whether this is one line, level or plumb, or one rectangle."""
    if len(points) == 2:
        return points[0][0] == points[1][0] or points[0][1] == points[1][1]
    if len(points) != 5 or points[0] != points[4]:
        return False
    (x0, y0), (x1, y1), (x2, y2), (x3, y3), _ = points
    return (x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0) or (y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0)


def is_on_earth(edge: Box) -> bool:
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


def run_all(calls: Iterator[object]) -> None:
    deque(calls, maxlen=0)


def multiply(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the matrix that applies *inner*, then *outer*."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


_matrix = (ctypes.c_float * 6)()
_matrix_address = ctypes.addressof(_matrix)


def read_matrix(get: Any, *arguments: int) -> Matrix:
    if not get(*arguments, _matrix_address):
        return IDENTITY
    a, b, c, d, e, f = struct.unpack("6f", _matrix)
    return (a, b, c, d, e, f)
