"""The paths of a page as straight edges, which pdfplumber's table rules work on."""

import itertools
import struct
from array import array
from collections.abc import Iterator, Sequence
from itertools import repeat

from extraction.page.geometry import IDENTITY, LIMIT, MINIMUM_LINE_LENGTH, Edges, Matrix, multiply
from extraction.page.native import (
    BEZIER,
    MOVE,
    count_segments,
    get_segment,
    get_segment_point,
    get_segment_type,
    is_closing,
    read_matrices,
    run_all,
)
from extraction.values import Box, Point

LEAST_SLANTED = 20.0  # points; the slope of shorter rules says little
MAXIMUM_SLOPE = 0.02  # more than a degree: text that is turned more is no text of a cell either
_POINT = struct.Struct("2f")
_PLAIN = {2: struct.Struct("4f"), 5: struct.Struct("10f")}  # a line, and a rectangle, by their points
BATCH = 500  # paths that are read at once
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
    counts = [max(0, count_segments(path)) for path, _ in paths]
    if sum(counts) > MAXIMUM_SEGMENTS or len(counts) > MAXIMUM_SEGMENTS:
        raise TooManyPathsError
    matrix = outer_before = inner_before = IDENTITY
    for start in range(0, len(paths), BATCH):
        batch = [path for path, _ in paths[start : start + BATCH]]
        outers = [outer for _, outer in paths[start : start + BATCH]]
        sizes = counts[start : start + BATCH]
        segments, places = _read_places(batch, sizes)
        stop = 0
        for inner, outer, size in zip(read_matrices(batch), outers, sizes, strict=True):
            first, stop = stop, stop + size
            if size < 2:
                continue
            if inner != inner_before or outer is not outer_before:  # seldom: paths that are drawn together share theirs
                matrix, inner_before, outer_before = multiply(inner, outer), inner, outer
            plain = _PLAIN.get(size)
            if plain is not None and _add_plain(edges, plain.unpack_from(places, _POINT.size * first), matrix):
                continue  # the usual case, and quick
            points = list(_POINT.iter_unpack(places[2 * first : 2 * stop]))
            for figure, is_line in _split_path(segments[first:stop], points):
                _add_figure(edges, slanted, figure, matrix, is_line=is_line)
    return Edges(_keep_on_earth(edges.vertical), _keep_on_earth(edges.horizontal), slanted)


def _keep_on_earth(boxes: list[Box]) -> list[Box]:
    """Return those for which `is_on_earth`, without a call each."""
    return [box for box in boxes if -LIMIT < box[0] <= box[2] < LIMIT and -LIMIT < box[1] <= box[3] < LIMIT]


def _read_places(paths: list[int], counts: list[int]) -> "tuple[list[int], array[float]]":
    """Return the segments of the paths, one after the other, and x and y of each."""
    segments = [*itertools.chain.from_iterable(map(map, repeat(get_segment), map(repeat, paths), map(range, counts)))]
    places = array("f", bytes(8 * len(segments)))
    start = places.buffer_info()[0]
    stop = start + 8 * len(segments)
    run_all(map(get_segment_point, segments, range(start, stop, 8), range(start + 4, stop + 4, 8)))
    return segments, places


def _split_path(segments: list[int], points: list[Point]) -> Iterator[tuple[list[Point], bool]]:
    """Yield the figures of a path, a curve counting by its end point, and whether each is a single line."""
    figure: list[Point] = []
    control_points = 0  # of a curve, up to its end
    closing = False
    for segment, kind, (x, y) in zip(segments, map(get_segment_type, segments), points, strict=True):
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
    width, height = abs(width), abs(height)
    return (width >= LEAST_SLANTED and height <= MAXIMUM_SLOPE * width) or (
        height >= LEAST_SLANTED and width <= MAXIMUM_SLOPE * height
    )


def _add_plain(edges: Edges, numbers: tuple[float, ...], matrix: Matrix) -> bool:
    """Add a line or a rectangle, by x and y of its points; return whether it was a level or plumb one."""
    x0, y0, x1, y1 = numbers[:4]
    others = numbers[4:]  # of a rectangle
    if others:
        x2, y2, x3, y3, x4, y4 = others
        is_down_first = x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0
        if (x4, y4) != (x0, y0) or not (is_down_first or (y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0)):
            return False
        is_down_first = x0 == x1
        x1, y1 = x2, y2  # the opposite corner
    elif x0 != x1 and y0 != y1:
        return False
    a, b, c, d, e, f = matrix
    if b == c == 0.0:
        left, top, right, bottom = a * x0 + e, d * y0 + f, a * x1 + e, d * y1 + f
    elif a == d == 0.0:
        left, top, right, bottom = c * y0 + e, b * x0 + f, c * y1 + e, b * x1 + f
        is_down_first = numbers[1] == numbers[3]
    else:
        return False
    low, high = (left, right) if left < right else (right, left)
    upper, lower = (top, bottom) if top < bottom else (bottom, top)
    is_wide, is_high = high - low >= MINIMUM_LINE_LENGTH, lower - upper >= MINIMUM_LINE_LENGTH
    if is_wide and others:  # in the order of its sides
        first, second = (bottom, top) if is_down_first else (top, bottom)
        edges.horizontal.extend(((low, first, high, first), (low, second, high, second)))
    elif is_wide:
        edges.horizontal.append((low, top, high, top))
    if is_high and others:
        first, second = (left, right) if is_down_first else (right, left)
        edges.vertical.extend(((first, upper, first, lower), (second, upper, second, lower)))
    elif is_high:
        edges.vertical.append((left, upper, left, lower))
    return True


def _add_figure(
    edges: Edges, slanted: list[tuple[Point, Point]], points: list[Point], matrix: Matrix, *, is_line: bool = False
) -> None:
    a, b, c, d, e, f = matrix
    vertical, horizontal, _ = edges
    placed = [(a * x + c * y + e, b * x + d * y + f) for x, y in points]
    for (x0, y0), (x1, y1) in itertools.pairwise(placed):
        if x0 > x1:
            x0, x1, y0, y1 = x1, x0, y1, y0
        if y0 == y1:
            if x1 - x0 >= MINIMUM_LINE_LENGTH:
                horizontal.append((x0, y0, x1, y0))
            continue
        if x0 != x1 and is_nearly_straight(x1 - x0, y1 - y0):
            slanted.append(((x0, y0), (x1, y1)))
        if is_line or x0 == x1:
            if y0 > y1:
                y0, y1 = y1, y0
            if y1 - y0 >= MINIMUM_LINE_LENGTH:
                vertical.append((x0, y0, x1, y1))
