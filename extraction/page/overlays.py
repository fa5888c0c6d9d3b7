"""Text written over other text, as watermarks are: much larger, or pale, and read as lines of its own.

PDFium puts its letters between those of the lines that it crosses.
"""

import math
from collections.abc import Sequence
from operator import sub
from typing import NamedTuple

from extraction.page.geometry import Matrix, is_apart, transform_boxes
from extraction.page.native import is_pale
from extraction.values import Box

LARGER = 2.0  # times as high as most text
PALE_LARGER = 1.3  # if it is pale
MOST = 50  # larger texts of a page; more are no watermarks
SAMPLE = 20  # texts that tell how high most are
OVERLAP = 0.5  # of the height of a line: how much of it the overlay covers, along it
SAME = 0.05  # of the size of a pale overlay: others all over the page that differ less are repetitions
LIKE = 0.6  # of the size of an overlay that its other letters have


class Level(NamedTuple):
    """Text objects in one space, and their boxes there."""

    texts: Sequence[int]
    bounds: Sequence[Box]
    outer: Matrix  # to the displayed page

    @property
    def scale(self) -> float:
        a, b, *_ = self.outer
        return math.hypot(a, b)


def find_overlays(levels: Sequence[Level]) -> set[int]:
    """Return the text objects that are written over others."""
    samples: list[tuple[float, float]] = []  # how high, and how long
    for level in levels:
        scale = level.scale
        for x0, y0, x1, y1 in level.bounds[:: 1 + len(level.bounds) // SAMPLE]:
            width, height = scale * (x1 - x0), scale * (y1 - y0)
            samples.append((height, width) if height < width else (width, height))
    usual = _weigh(samples)
    texts: list[int] = []
    sizes: dict[int, float] = {}  # of the larger ones, by number
    for level in levels:
        least = PALE_LARGER * usual / (level.scale or 1.0)
        _, bottoms, _, tops = zip(*level.bounds, strict=True)
        if max(map(sub, tops, bottoms)) >= least:
            sizes |= {
                number: min(x1 - x0, y1 - y0) * level.scale
                for number, (x0, y0, x1, y1) in enumerate(level.bounds, start=len(texts))
                if y1 - y0 >= least <= x1 - x0
            }
        texts += level.texts
    if not usual or not sizes:
        return set()
    large = [number for number, size in sizes.items() if size >= LARGER * usual]
    if len(sizes) <= MOST:
        large += [number for number, size in sizes.items() if size < LARGER * usual and is_pale(texts[number])]
    if not 0 < len(large) <= MOST:
        return set()
    boxes = [box for level in levels for box in transform_boxes(level.outer, level.bounds)]
    lines = [box for number, box in enumerate(boxes) if number not in sizes]
    over = [number for number in large if _is_over(boxes[number], lines)]
    pale = {number for number in sizes if is_pale(texts[number])} if over and len(sizes) <= MOST else set()
    for number in over:  # grows
        over += [
            other
            for other in sizes
            if other not in over
            and sizes[other] >= LIKE * sizes[number]
            and (
                not is_apart(boxes[number], boxes[other], sizes[number] / 2)  # letters that are drawn one by one
                or (pale >= {number, other} and abs(sizes[other] - sizes[number]) <= SAME * sizes[number])
            )
        ]
    return {texts[number] for number in over}


def _weigh(samples: Sequence[tuple[float, float]]) -> float:
    """Return how high most letters are, by the heights of texts and their lengths."""
    weighed = sorted((size, length / size) for size, length in samples if size > 0)
    left = sum([letters for _, letters in weighed]) / 2
    for size, letters in weighed:
        left -= letters
        if left <= 0:
            return size
    return 0.0


def _is_over(box: Box, lines: Sequence[Box]) -> bool:
    """Whether the box covers a part of a line, and the middle of its height."""
    left, upper, right, lower = box
    for x0, top, x1, bottom in lines:  # no calls, because a page may have thousands
        if not (left < x1 and right > x0 and upper < bottom and lower > top):
            continue
        width, height = x1 - x0, bottom - top
        if width >= height:
            is_crossed = upper < (top + bottom) / 2 < lower
            shared = (x1 if x1 < right else right) - (x0 if x0 > left else left)
        else:  # on its side
            is_crossed = left < (x0 + x1) / 2 < right
            shared = (bottom if bottom < lower else lower) - (top if top > upper else upper)
        if is_crossed and shared > OVERLAP * min(width, height):
            return True
    return False
