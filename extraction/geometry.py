"""The geometry of a page: matrices, straight lines, and coordinates that can be compared."""

from typing import NamedTuple

from extraction.values import Box

Matrix = tuple[float, float, float, float, float, float]

IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
LIMIT = 1e7  # points from the origin; a page may be 14,400 wide
MINIMUM_LINE_LENGTH = 1.0  # points; pdfplumber's `edge_min_length_prefilter`


class Edges(NamedTuple):
    """The straight lines of a page; a slanted one counts as vertical at x0, as it does for pdfplumber."""

    vertical: list[Box]
    horizontal: list[Box]


def multiply(inner: Matrix, outer: Matrix) -> Matrix:
    """Return the matrix that applies *inner*, then *outer*."""
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return (a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u)


def is_on_earth(box: Box) -> bool:
    """Whether the coordinates can be compared: no overflow, no NaN."""
    x0, top, x1, bottom = box
    return min(x0, top) > -LIMIT and max(x1, bottom) < LIMIT and x0 <= x1 and top <= bottom


def bounded(number: float) -> float:
    """Return *number* within the limits, whatever it is: JSON has no infinity."""
    return max(-LIMIT, min(LIMIT, number))
