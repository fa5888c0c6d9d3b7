"""The objects of a page and of the forms in it: its paths, and how its text objects are turned."""

from array import array
from collections import Counter
from itertools import repeat
from typing import Any

from extraction.edges import MAXIMUM_SEGMENTS
from extraction.geometry import Matrix, multiply
from extraction.native import (
    FORM,
    PATH,
    TEXT,
    address_of,
    count_form_objects,
    count_page_objects,
    get_form_object,
    get_object_matrix,
    get_object_type,
    get_page_object,
    read_matrix,
    run_all,
)

MAXIMUM_FORM_DEPTH = 30


class PageObjects:
    def __init__(self, page: Any, to_display: Matrix) -> None:
        """*to_display* is the matrix from page space to the displayed page."""
        self.text_count = 0
        self.turned: dict[int, int] = {}  # the text objects that are not upright: their quarter turns, clockwise
        self.paths: list[tuple[int, Matrix]] = []  # with the matrix from the path's space to the displayed page
        address = address_of(page)
        count = max(0, count_page_objects(address))
        self._sort(list(map(get_page_object, repeat(address), range(count))), to_display, 0)

    def _sort(self, items: list[int], outer: Matrix, depth: int) -> None:
        texts: list[int] = []
        for item, kind in zip(items, map(get_object_type, items), strict=True):
            if kind == TEXT:
                texts.append(item)
            elif kind == PATH:
                if len(self.paths) <= MAXIMUM_SEGMENTS:
                    self.paths.append((item, outer))
            elif kind == FORM and depth < MAXIMUM_FORM_DEPTH:
                count = max(0, count_form_objects(item))
                inner = list(map(get_form_object, repeat(item), range(count)))
                self._sort(inner, multiply(read_matrix(get_object_matrix, item), outer), depth + 1)
        if texts:
            self.text_count += len(texts)
            self._note_turned(texts, outer)

    def _note_turned(self, texts: list[int], outer: Matrix) -> None:
        matrices = array("f", bytes(24 * len(texts)))
        start = matrices.buffer_info()[0]
        run_all(map(get_object_matrix, texts, range(start, start + 24 * len(texts), 24)))
        along, across = matrices[0::6], matrices[1::6]
        p, q, r, s, _, _ = outer
        if p > 0 and q == 0 and not any(across) and min(along) > 0:
            return  # the usual case, and quick to check
        for text, a, b in zip(texts, along, across, strict=True):
            x, y = a * p + b * r, a * q + b * s  # the direction of writing, y downwards
            if abs(y) > abs(x):
                self.turned[text] = 1 if y > 0 else 3
            elif x < 0:
                self.turned[text] = 2

    def find_turn(self) -> tuple[int, int]:
        """Return how many quarter turns, clockwise, most text objects have, and how many objects have others."""
        if not self.turned:
            return 0, 0
        turns = Counter(self.turned.values())
        turns[0] = self.text_count - len(self.turned)
        turn, count = turns.most_common(1)[0]
        return turn, self.text_count - count
