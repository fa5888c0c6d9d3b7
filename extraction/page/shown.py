"""What a page shows of its text: nothing that is clipped, invisible, outside the crop box or on a hidden layer.

What is not shown is made inactive, so that PDFium leaves it out of the page's text; an object that is shown in part is
kept, with the box in which it shows.
"""

import ctypes
import itertools
import struct
from array import array
from collections.abc import Sequence
from itertools import repeat

from extraction.page.geometry import Matrix, bounds_of, transform, transform_box
from extraction.page.native import (
    count_clip_paths,
    count_clip_segments,
    count_marks,
    get_bounds,
    get_clip,
    get_clip_segment,
    get_mark,
    get_mark_number,
    get_segment_point,
    run_all,
)
from extraction.values import Box

HIDDEN_MARK = b"PagewireHidden"  # the key that `structure` writes into layers that are off
INVISIBLE = 3  # the rendering mode: neither filled nor stroked
MAXIMUM_CLIP_SEGMENTS = 200  # of one path; the box of a longer one is not read
OVERHANG = 1.0  # points that an object may stand out and still count as shown in full

_Paths = tuple[int | None, ...]  # of a clip, by the first segment of each

_number = ctypes.c_int()
_number_address = ctypes.addressof(_number)


def is_on_hidden_layer(item: int) -> bool:
    return any(
        get_mark_number(get_mark(item, number), HIDDEN_MARK, _number_address) for number in range(count_marks(item))
    )


def read_bounds(items: list[int]) -> list[Box]:
    """Return the boxes of page objects, in the space that holds them: left, bottom, right, top."""
    boxes = array("f", bytes(16 * len(items)))
    start = boxes.buffer_info()[0]
    stop = start + 16 * len(items)
    sides = (range(start + offset, stop + offset, 16) for offset in (0, 4, 8, 12))
    run_all(map(get_bounds, items, *sides))
    return list(struct.iter_unpack("4f", boxes))


class Clips:
    """The clips of objects that lie in one space; each path of them is read once, however many objects it clips."""

    def __init__(self, outer: Matrix, shown: Box) -> None:
        """*outer* leads from the space of the objects to that of *shown*, which no clip exceeds."""
        self._outer = outer
        self._shown = shown
        self._boxes: dict[_Paths, Box] = {(): shown}
        self._path_boxes: dict[int | None, Box] = {}  # by the first segment: clips that are nested share their paths
        self._figures: dict[bytes, Box] = {}  # by their points: pages draw the same path over and over

    def find(self, item: int) -> Box:
        """Return what is shown of what is inside the clip of *item*."""
        clip = get_clip(item)
        return self.read([clip], [count_clip_paths(clip)])[0]

    def read(self, clips: Sequence[int], counts: Sequence[int]) -> list[Box]:
        """Return what is shown of what is inside each clip; *counts* are those of their paths, negative for none."""
        found: list[_Paths] = []
        unread: dict[int | None, tuple[int, int]] = {}  # clip and number of a path
        for clip, count in zip(clips, counts, strict=True):
            firsts = tuple(map(get_clip_segment, repeat(clip, count), range(count), repeat(0))) if count > 0 else ()
            found.append(firsts)
            if firsts not in self._boxes:
                unread.update(
                    (first, (clip, number)) for number, first in enumerate(firsts) if first not in self._path_boxes
                )
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

    def _read_paths(self, clips: Sequence[int], numbers: Sequence[int]) -> list[Box]:
        sizes = [size if 0 < size <= MAXIMUM_CLIP_SEGMENTS else 0 for size in map(count_clip_segments, clips, numbers)]
        segments = [
            *itertools.chain.from_iterable(
                map(map, repeat(get_clip_segment), map(repeat, clips), map(repeat, numbers), map(range, sizes))
            )
        ]
        places = array("f", bytes(8 * len(segments)))
        start = places.buffer_info()[0]
        stop = start + 8 * len(segments)
        run_all(map(get_segment_point, segments, range(start, stop, 8), range(start + 4, stop + 4, 8)))
        coordinates = places.tobytes()
        boxes: list[Box] = []
        end = 0
        for size in sizes:
            begin, end = end, end + 8 * size
            figure = coordinates[begin:end]
            box = self._figures.get(figure)
            if box is None:
                box = self._figures[figure] = self._surround(places[begin // 4 : end // 4]) if size else self._shown
            boxes.append(box)
        return boxes

    def _surround(self, places: "array[float]") -> Box:
        xs, ys = places[::2], places[1::2]
        outer = self._outer
        if outer[1] == outer[2] == 0.0 or outer[0] == outer[3] == 0.0:  # the usual cases, and quick
            return transform_box(outer, (min(xs), min(ys), max(xs), max(ys)))
        return bounds_of(transform(outer, point) for point in zip(xs, ys, strict=True))
