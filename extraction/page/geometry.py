"""The geometry of a page: matrices, straight lines, and coordinates that can be compared."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from extraction.values import Box, Point

Matrix = tuple[float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
# By quarter turns, clockwise: what turns text that is turned by so many back upright, y downwards
UPRIGHT: list[Matrix] = [
    IDENTITY,
    (0.0, -1.0, 1.0, 0.0, 0.0, 0.0),
    (-1.0, 0.0, 0.0, -1.0, 0.0, 0.0),
    (0.0, 1.0, -1.0, 0.0, 0.0, 0.0),
]
LIMIT = 1e7  # points from the origin; a page may be 14,400 wide
MINIMUM_LINE_LENGTH = 1.0  # points; pdfplumber's `edge_min_length_prefilter`


class Edges(NamedTuple):
    """The straight lines of a page; a slanted one counts as vertical at x0, as it does for pdfplumber."""

    vertical: list[Box]
    horizontal: list[Box]
    slanted: Sequence[tuple[Point, Point]] = ()  # the ends of those that are nearly level, or nearly stand


def multiply(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the matrix that applies *inner*, then *outer*."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def transform(matrix: Matrix, point: Point) -> Point:
    a, b, c, d, e, f = matrix
    x, y = point
    return a * x + c * y + e, b * x + d * y + f


def transform_box(matrix: Matrix, box: Box) -> Box:
    """Return the upright box around *box* as *matrix* places it."""
    x0, y0, x1, y1 = box
    a, b, c, d, e, f = matrix
    if b == c == 0.0:  # the usual case, and quick
        left, right, top, bottom = a * x0 + e, a * x1 + e, d * y0 + f, d * y1 + f
        return (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    if a == d == 0.0:  # a page on its side
        left, right, top, bottom = c * y0 + e, c * y1 + e, b * x0 + f, b * x1 + f
        return (min(left, right), min(top, bottom), max(left, right), max(top, bottom))
    return bounds_of(transform(matrix, corner) for corner in ((x0, y0), (x1, y0), (x0, y1), (x1, y1)))


def transform_boxes(matrix: Matrix, boxes: Iterable[Box]) -> list[Box]:
    """Return what `transform_box` makes of each box; quick for a page that stands upright, or on its side."""
    a, b, c, d, e, f = matrix
    if b == c == 0.0 and d < 0.0 < a:
        return [
            (a * x0 + e, d * y1 + f, a * x1 + e, d * y0 + f)
            if x0 <= x1 and y0 <= y1
            else transform_box(matrix, (x0, y0, x1, y1))
            for x0, y0, x1, y1 in boxes
        ]
    if a == d == 0.0 and b > 0.0 < c:
        return [
            (c * y0 + e, b * x0 + f, c * y1 + e, b * x1 + f)
            if x0 <= x1 and y0 <= y1
            else transform_box(matrix, (x0, y0, x1, y1))
            for x0, y0, x1, y1 in boxes
        ]
    return [transform_box(matrix, box) for box in boxes]


def bounds_of(points: Iterable[Point]) -> Box:
    xs, ys = zip(*points, strict=True)
    return (min(xs), min(ys), max(xs), max(ys))


def surround(boxes: Iterable[Box]) -> Box:
    x0, top, x1, bottom = zip(*boxes, strict=True)
    return (min(x0), min(top), max(x1), max(bottom))


def is_within(box: Box, outer: Box, overhang: float = 0.0) -> bool:
    return (
        box[0] >= outer[0] - overhang
        and box[1] >= outer[1] - overhang
        and box[2] <= outer[2] + overhang
        and box[3] <= outer[3] + overhang
    )


def is_apart(box: Box, other: Box, gap: float = 0.0) -> bool:
    """Whether two boxes are further apart than *gap*."""
    return box[0] > other[2] + gap or box[2] < other[0] - gap or box[1] > other[3] + gap or box[3] < other[1] - gap


def is_on_earth(box: Box) -> bool:
    """Whether the coordinates can be compared: no overflow, no NaN."""
    x0, top, x1, bottom = box
    return min(x0, top) > -LIMIT and max(x1, bottom) < LIMIT and x0 <= x1 and top <= bottom


def bounded(number: float) -> float:
    """Return *number* within the limits, whatever it is: JSON has no infinity."""
    return max(-LIMIT, min(LIMIT, number))
