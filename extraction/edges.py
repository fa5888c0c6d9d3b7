"""The paths of a page as straight edges, which pdfplumber's table rules work on."""

import ctypes
import itertools
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat

from extraction.geometry import MINIMUM_LINE_LENGTH, Edges, Matrix, is_on_earth, multiply
from extraction.native import (
    BEZIER,
    MOVE,
    count_segments,
    get_object_matrix,
    get_segment,
    get_segment_point,
    get_segment_type,
    is_closing,
    read_matrix,
    run_all,
)
from extraction.values import Point

LEAST_SLANTED = 20.0  # points; the slope of shorter rules says little
MAXIMUM_SLOPE = 0.02  # more than a degree: text that is turned more is no text of a cell either
MAXIMUM_SEGMENTS = 1_000_000  # of the paths of one page; the fullest real page seen has 75,088


class TooManyPathsError(Exception):
    """The page has more paths than are worth searching for tables."""


def find_edges(paths: Sequence[tuple[int, Matrix]]) -> Edges:
    """Return the straight lines of *paths* (their addresses and matrices); a rectangle is its four sides.

    Raises:
        TooManyPathsError: above 1,000,000 path segments.
    """
    slanted: list[tuple[Point, Point]] = []
    edges = Edges([], [], slanted)
    points = _Points()
    counts = [max(0, count_segments(path)) for path, _ in paths]
    if sum(counts) > MAXIMUM_SEGMENTS or len(counts) > MAXIMUM_SEGMENTS:
        raise TooManyPathsError
    for (path, outer), count in zip(paths, counts, strict=True):
        if count < 2:
            continue
        matrix = multiply(read_matrix(get_object_matrix, path), outer)
        segments = list(map(get_segment, repeat(path), range(count)))
        placed = points.read(segments)
        if _is_plain(placed):  # the usual case, and quick to check
            _add_figure(edges, slanted, placed, matrix)
            continue
        for figure, is_line in _split_path(segments, placed):
            _add_figure(edges, slanted, figure, matrix, is_line=is_line)
    return Edges(list(filter(is_on_earth, edges.vertical)), list(filter(is_on_earth, edges.horizontal)), slanted)


class _Points:
    """Reads all points of a path at once, into one buffer."""

    def __init__(self) -> None:
        self._size = 0

    def read(self, segments: list[int]) -> list[Point]:
        if len(segments) > self._size:
            self._size = 2 * len(segments)
            self._buffer = (ctypes.c_float * (2 * self._size))()
        start = ctypes.addressof(self._buffer)
        stop = start + 8 * len(segments)
        run_all(map(get_segment_point, segments, range(start, stop, 8), range(start + 4, stop + 4, 8)))
        return list(struct.iter_unpack("2f", memoryview(self._buffer).cast("B")[: stop - start]))


def _is_plain(points: list[Point]) -> bool:
    """Whether this is one line, level or plumb, or one rectangle."""
    if len(points) == 2:
        return points[0][0] == points[1][0] or points[0][1] == points[1][1]
    if len(points) != 5 or points[0] != points[4]:
        return False
    (x0, y0), (x1, y1), (x2, y2), (x3, y3), _ = points
    return (x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0) or (y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0)


def _split_path(segments: list[int], points: list[Point]) -> Iterator[tuple[list[Point], bool]]:
    """Yield the figures of a path, a curve counting by its end point, and whether each is a single line."""
    figure: list[Point] = []
    control_points = 0  # of a curve, up to its end
    closing = False
    for segment, (x, y) in zip(segments, points, strict=True):
        kind = get_segment_type(segment)
        if kind == MOVE:
            yield from _as_figure(figure, closing=closing)
            figure, control_points, closing = [], 0, False
        elif kind == BEZIER:
            control_points = (control_points + 1) % 3
            if control_points:
                continue
        # rounded, because PDFium keeps 32-bit floats: numbers that were written alike are equal again
        figure.append((round(x, 3), round(y, 3)))
        if len(figure) == 3:
            closing = bool(is_closing(segment))
    yield from _as_figure(figure, closing=closing)


def _as_figure(points: list[Point], *, closing: bool) -> Iterator[tuple[list[Point], bool]]:
    """PDFium closes a figure with a line of its own; a line there and back is one line."""
    if len(points) == 3 and closing and points[0] == points[2]:
        yield points[:2], True
    elif len(points) > 1:
        yield points, len(points) == 2


def is_nearly_straight(width: float, height: float) -> bool:
    """Whether a slanted rule is long, and a level or standing one on a page a little askew."""
    short, long = sorted((abs(width), abs(height)))
    return long >= LEAST_SLANTED and short <= MAXIMUM_SLOPE * long


def _add_figure(
    edges: Edges, slanted: list[tuple[Point, Point]], points: list[Point], matrix: Matrix, *, is_line: bool = False
) -> None:
    a, b, c, d, e, f = matrix
    vertical, horizontal, _ = edges
    placed = [(a * x + c * y + e, b * x + d * y + f) for x, y in points]
    for (x0, y0), (x1, y1) in itertools.pairwise(placed):
        if x0 != x1 and y0 != y1 and is_nearly_straight(x1 - x0, y1 - y0):
            slanted.append(((x0, y0), (x1, y1)))
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
