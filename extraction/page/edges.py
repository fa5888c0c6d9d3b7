"""The paths of a page as straight edges, which pdfplumber's table rules work on."""

import itertools
import struct
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import NamedTuple

from extraction.page.geometry import LIMIT, MINIMUM_LINE_LENGTH, Edges, Matrix, multiply
from extraction.page.native import (
    BEZIER,
    MOVE,
    Handle,
    count_segments,
    get_segment,
    get_segment_type,
    handle,
    is_closing,
    read_matrices,
    read_points,
)
from extraction.values import Box, Point

LEAST_SLANTED = 20.0  # points; the slope of shorter rules says little
MAXIMUM_SLOPE = 0.02  # more than a degree: text that is turned more is no text of a cell either
_POINT = struct.Struct("2f")
_PLAIN = {2: struct.Struct("4f"), 5: struct.Struct("10f")}  # a line, and a rectangle, by their points
BATCH = 500  # paths that are read at once
MAXIMUM_SEGMENTS = 1_000_000  # of the paths of one page; the fullest real page seen has 75,088


class _Found(NamedTuple):
    vertical: list[Box]
    horizontal: list[Box]
    slanted: list[tuple[Point, Point]]


class TooManyPathsError(Exception):
    """The page has more paths than are worth searching for tables."""


def find_edges(paths: Sequence[tuple[int, Matrix]]) -> Edges:
    """Return the straight lines of *paths* (their addresses and matrices); a rectangle is its four sides.

    Raises:
        TooManyPathsError: above 1,000,000 path segments.
    """
    edges = _Found([], [], [])
    handles = [handle(path) for path, _ in paths]
    counts = [max(0, count_segments(path)) for path in handles]
    if sum(counts) > MAXIMUM_SEGMENTS or len(counts) > MAXIMUM_SEGMENTS:
        raise TooManyPathsError
    for start in range(0, len(paths), BATCH):
        batch = handles[start : start + BATCH]
        outers = [outer for _, outer in paths[start : start + BATCH]]
        sizes = counts[start : start + BATCH]
        segments, places = _read_places(batch, sizes)
        number = stop = 0
        matrices = struct.iter_unpack("6f", read_matrices(batch))
        # paths that are drawn together share their matrix, and often their kind
        for (inner, _, size), run in itertools.groupby(zip(matrices, map(id, outers), sizes, strict=True)):
            matrix = multiply(inner, outers[number])
            count = sum(1 for _ in run)
            number += count
            first, stop = stop, stop + count * size
            own, points = segments[first:stop], places[_POINT.size * first : _POINT.size * stop]
            if size in _PLAIN:
                _add_plain(edges, own, points, size, matrix)
            elif size > 1:
                for begin in range(0, len(own), size):
                    _add_odd(edges, own, points, begin, size, matrix)
    return Edges(_keep_on_earth(edges.vertical), _keep_on_earth(edges.horizontal), edges.slanted)


def _keep_on_earth(boxes: list[Box]) -> list[Box]:
    """Return those for which `is_on_earth`, without a call each."""
    return [box for box in boxes if -LIMIT < box[0] <= box[2] < LIMIT and -LIMIT < box[1] <= box[3] < LIMIT]


def _read_places(paths: list[Handle], counts: list[int]) -> tuple[list[int], bytes]:
    """Return the segments of the paths, one after the other, and x and y of each, as 32-bit floats."""
    segments = [*itertools.chain.from_iterable(map(map, repeat(get_segment), map(repeat, paths), map(range, counts)))]
    return segments, read_points(segments)


def _split_path(segments: list[int], points: list[Point]) -> Iterator[tuple[list[Point], bool]]:
    """Yield the figures of a path, a curve counting by its end point, and whether each is a single line."""
    kinds = list(map(get_segment_type, segments))
    kept = list(range(len(kinds)))
    if BEZIER in kinds:
        kept = []
        control_points = 0  # of a curve, up to its end
        for number, kind in enumerate(kinds):
            control_points = (control_points + 1) % 3 if kind == BEZIER else 0 if kind == MOVE else control_points
            if kind != BEZIER or not control_points:
                kept.append(number)
    rounded = _round_all([points[number] for number in kept])
    starts = [place for place, number in enumerate(kept) if kinds[number] == MOVE and place]
    for start, stop in itertools.pairwise([0, *starts, len(kept)]):
        closing = stop - start == 3 and bool(is_closing(segments[kept[start + 2]]))
        yield from _as_figure(rounded[start:stop], closing=closing)


def _round_all(points: list[Point]) -> list[Point]:
    """Return the points as `round` does to three places, at a third of its cost.

    PDFium keeps 32-bit floats: numbers that were written alike are equal again.
    """
    written = "%.3f " * (2 * len(points)) % (*itertools.chain.from_iterable(points),)
    numbers = map(float, written.split())
    return list(zip(numbers, numbers, strict=True))


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


def _add_plain(edges: _Found, segments: list[int], places: bytes, size: int, matrix: Matrix) -> None:
    """Add lines or rectangles, of so many points each: level and plumb ones as quickly as can be, for pages are full
    of them.
    """
    a, b, c, d, e, f = matrix
    is_upright, is_on_side = b == c == 0.0, a == d == 0.0
    begin = -size
    for numbers in _PLAIN[size].iter_unpack(places):
        begin += size
        if size == 2:
            x0, y0, x1, y1 = numbers
            is_plain = x0 == x1 or y0 == y1
            is_down_first = False
        else:
            x0, y0, x2, y2, x1, y1, x3, y3, x4, y4 = numbers  # x1 and y1: the opposite corner
            is_down_first = x0 == x2
            is_plain = (
                (is_down_first and y2 == y1 and x1 == x3 and y3 == y0)
                or (y0 == y2 and x2 == x1 and y1 == y3 and x3 == x0)
            ) and (x4 == x0 and y4 == y0)
        if is_plain and is_upright:
            left, top, right, bottom = a * x0 + e, d * y0 + f, a * x1 + e, d * y1 + f
        elif is_plain and is_on_side:
            left, top, right, bottom = c * y0 + e, b * x0 + f, c * y1 + e, b * x1 + f
            is_down_first = numbers[1] == numbers[3]
        else:
            _add_odd(edges, segments, places, begin, size, matrix)
            continue
        low, high = (left, right) if left < right else (right, left)
        upper, lower = (top, bottom) if top < bottom else (bottom, top)
        if high - low >= MINIMUM_LINE_LENGTH:
            if size == 2:
                edges.horizontal.append((low, top, high, top))
            else:  # in the order of its sides
                first, second = (bottom, top) if is_down_first else (top, bottom)
                edges.horizontal.extend(((low, first, high, first), (low, second, high, second)))
        if lower - upper >= MINIMUM_LINE_LENGTH:
            if size == 2:
                edges.vertical.append((left, upper, left, lower))
            else:
                first, second = (left, right) if is_down_first else (right, left)
                edges.vertical.extend(((first, upper, first, lower), (second, upper, second, lower)))


def _add_odd(edges: _Found, segments: list[int], places: bytes, begin: int, size: int, matrix: Matrix) -> None:
    """Add the path of the *size* segments from *begin* on, by its figures."""
    points = list(_POINT.iter_unpack(places[_POINT.size * begin : _POINT.size * (begin + size)]))
    for figure, is_line in _split_path(segments[begin : begin + size], points):
        _add_figure(edges, figure, matrix, is_line=is_line)


def _add_figure(edges: _Found, points: list[Point], matrix: Matrix, *, is_line: bool = False) -> None:
    a, b, c, d, e, f = matrix
    vertical, horizontal, slanted = edges
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
