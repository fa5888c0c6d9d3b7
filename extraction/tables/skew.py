"""Pages that were printed or scanned a little askew: their tables are found as if they stood upright."""

import math
from statistics import median
from typing import Protocol

from extraction.page.chunks import Token
from extraction.page.geometry import Edges
from extraction.tables.ruled import find_grids, join_edges
from extraction.values import Box, CellWord, Point

LEAST_RULES = 3  # level ones


class Page(Protocol):
    corner: Point

    def read_edges(self) -> Edges: ...
    def read_cell_words(self) -> list[CellWord]: ...
    def read_tokens(self) -> tuple[int, list[Token]]: ...
    @property
    def has_turned_words(self) -> bool: ...


class UprightPage:
    """A page turned back about its origin by the *slope* of its rules."""

    def __init__(self, page: Page, edges: Edges, slope: float) -> None:
        self.corner = page.corner
        self._page = page
        self._slope = slope
        self._edges = set_upright(edges, slope)

    def read_edges(self) -> Edges:
        return self._edges

    def read_cell_words(self) -> list[CellWord]:
        return [
            word._replace(box=self.turn(word.box), middle=_turn(*word.middle, self._slope))
            for word in self._page.read_cell_words()
        ]

    def read_tokens(self) -> tuple[int, list[Token]]:
        turn, tokens = self._page.read_tokens()
        return turn, [Token(token.text, *self.turn(token[1:])) for token in tokens]

    @property
    def has_turned_words(self) -> bool:
        return self._page.has_turned_words

    def turn(self, box: Box, sign: int = 1) -> Box:
        """Return the box with its middle turned; *sign* -1 turns it to where it is on the page."""
        middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
        x, y = _turn(*middle, sign * self._slope)
        dx, dy = x - middle[0], y - middle[1]
        return (box[0] + dx, box[1] + dy, box[2] + dx, box[3] + dy)


def find_slope(edges: Edges) -> float:
    """Return how far the rules sink for each point to the right; 0 if they are level, or no grid."""
    slopes = [(y1 - y0) / (x1 - x0) for (x0, y0), (x1, y1) in edges.slanted if abs(x1 - x0) > abs(y1 - y0)]
    standing = len(edges.slanted) - len(slopes)
    if len(slopes) < LEAST_RULES or standing < 2 or len(edges.horizontal) > len(slopes):
        return 0.0
    slope = median(slopes)
    upright = set_upright(edges, slope)
    return slope if find_grids(join_edges(upright)) else 0.0


def set_upright(edges: Edges, slope: float) -> Edges:
    """Return the slanted rules, turned back; the others are those of something else."""
    turned = Edges([], [])
    for ends in edges.slanted:
        (x0, y0), (x1, y1) = (_turn(x, y, slope) for x, y in ends)
        if abs(x1 - x0) > abs(y1 - y0):
            turned.horizontal.append((min(x0, x1), (y0 + y1) / 2, max(x0, x1), (y0 + y1) / 2))
        else:
            turned.vertical.append(((x0 + x1) / 2, min(y0, y1), (x0 + x1) / 2, max(y0, y1)))
    return turned


def _turn(x: float, y: float, slope: float) -> Point:
    angle = math.atan(slope)
    return (x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle))
