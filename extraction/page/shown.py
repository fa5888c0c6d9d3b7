"""What a page shows of its text: nothing that is clipped, invisible, outside the crop box or on a hidden layer.

What is not shown is made inactive, so that PDFium leaves it out of the page's text; an object that is shown in part is
kept, with the box in which it shows.
"""

import ctypes
import itertools
from array import array
from collections.abc import Sequence
from itertools import repeat

from extraction.page.geometry import Matrix, bounds_of, transform, transform_box
from extraction.page.native import (
    Handle,
    count_clip_paths,
    count_clip_segments,
    count_marks,
    get_clip,
    get_clip_segment,
    get_mark,
    get_mark_number,
    handle,
    read_points,
)
from extraction.values import Box

HIDDEN_MARK = b"PagewireHidden"  # the key that `structure` writes into layers that are off
INVISIBLE = 3  # the rendering mode: neither filled nor stroked
MAXIMUM_CLIP_SEGMENTS = 200  # of one path; the box of a longer one is not read
OVERHANG = 1.0  # points that an object may stand out and still count as shown in full

_Paths = tuple[int | None, ...]  # of a clip, by the first segment of each

_number = ctypes.c_int()
_number_pointer = ctypes.byref(_number)


def is_on_hidden_layer(item: Handle) -> bool:
    return any(
        get_mark_number(get_mark(item, number), HIDDEN_MARK, _number_pointer) for number in range(count_marks(item))
    )


class Clips:
    """The clips of objects that lie in one space; each path of them is read once, however many objects it clips."""

    def __init__(self, outer: Matrix, shown: Box) -> None:
        """*outer* leads from the space of the objects to that of *shown*, which no clip exceeds."""
        self._outer = outer
        self._shown = shown
        self._boxes: dict[_Paths, Box] = {(): shown}
        self._path_boxes: dict[int | None, Box] = {}  # by the first segment: clips that are nested share their paths
        self._figures: dict[bytes, Box] = {}  # by their points: pages draw the same path over and over

    def find(self, item: Handle) -> Box:
        """Return what is shown of what is inside the clip of *item*."""
        clip = handle(get_clip(item))
        return self.read([clip], [count_clip_paths(clip)])[0]

    def read(self, clips: Sequence[Handle], counts: Sequence[int]) -> list[Box]:
        """Return what is shown of what is inside each clip; *counts* are those of their paths, negative for none."""
        found: list[_Paths] = []
        known: dict[tuple[int, int], _Paths] = {}  # by their number, and the last: a page adds paths to those it has
        unread: dict[int | None, tuple[Handle, int]] = {}  # clip and number of a path
        for clip, count in zip(clips, counts, strict=True):
            last = get_clip_segment(clip, count - 1, 0) if count > 0 else 0
            firsts = () if last == 0 else known.get((count, last))
            if firsts is None:
                firsts = tuple(map(get_clip_segment, repeat(clip, count), range(count), repeat(0)))
                if last is not None:  # a path without segments
                    known[count, last] = firsts
                for number, first in enumerate(firsts):
                    if first not in self._path_boxes:
                        unread[first] = clip, number
            found.append(firsts)
        if unread:
            self._path_boxes.update(zip(unread, self._read_paths(*zip(*unread.values(), strict=True)), strict=True))
        return list(map(self._intersect, found))

    def _intersect(self, firsts: _Paths) -> Box:
        box = self._boxes.get(firsts)
        if box is None:
            left, top, right, bottom = self._shown
            for first in firsts:  # no calls, because a page may have thousands
                x0, y0, x1, y1 = self._path_boxes[first]
                left, top = x0 if x0 > left else left, y0 if y0 > top else top
                right, bottom = x1 if x1 < right else right, y1 if y1 < bottom else bottom
            box = self._boxes[firsts] = (left, top, right, bottom)
        return box

    def _read_paths(self, clips: Sequence[Handle], numbers: Sequence[int]) -> list[Box]:
        sizes = [size if 0 < size <= MAXIMUM_CLIP_SEGMENTS else 0 for size in map(count_clip_segments, clips, numbers)]
        segments = [
            *itertools.chain.from_iterable(
                map(map, repeat(get_clip_segment), map(repeat, clips), map(repeat, numbers), map(range, sizes))
            )
        ]
        coordinates = read_points(segments)
        boxes: list[Box] = []
        end = 0
        for size in sizes:
            begin, end = end, end + 8 * size
            figure = coordinates[begin:end]
            box = self._figures.get(figure)
            if box is None:
                box = self._figures[figure] = self._surround(array("f", figure)) if size else self._shown
            boxes.append(box)
        return boxes

    def _surround(self, places: "array[float]") -> Box:
        xs, ys = places[::2], places[1::2]
        outer = self._outer
        if outer[1] == outer[2] == 0.0 or outer[0] == outer[3] == 0.0:  # the usual cases, and quick
            return transform_box(outer, (min(xs), min(ys), max(xs), max(ys)))
        return bounds_of(transform(outer, point) for point in zip(xs, ys, strict=True))
