"""What a page shows of its text: nothing that is clipped, invisible, outside the crop box or on a hidden layer.

What is not shown is made inactive, so that PDFium leaves it out of the page's text; an object that is shown in part is
kept, with the box in which it shows.
"""

import ctypes
import struct
from array import array
from collections.abc import Iterable

from extraction.geometry import Matrix, bounds_of, intersect, transform
from extraction.native import (
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
from extraction.values import Box, Point

HIDDEN_MARK = b"PagewireHidden"  # the key that `structure` writes into layers that are off
INVISIBLE = 3  # the rendering mode: neither filled nor stroked
MAXIMUM_CLIP_SEGMENTS = 200  # of one path; the box of a longer one is not read
OVERHANG = 1.0  # points that an object may stand out and still count as shown in full

_number = ctypes.c_int()
_number_address = ctypes.addressof(_number)
_point = (ctypes.c_float * 2)()
_point_address = ctypes.addressof(_point)


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


def find_clip(item: int, outer: Matrix, shown: Box) -> Box:
    """Return what is left of *shown* inside the clip of an object; *outer* leads from its space to that of *shown*."""
    clip = get_clip(item)
    for path in range(count_clip_paths(clip)):
        count = count_clip_segments(clip, path)
        if 0 < count <= MAXIMUM_CLIP_SEGMENTS:
            shown = intersect(shown, bounds_of(transform(outer, point) for point in _read_points(clip, path, count)))
    return shown


def _read_points(clip: int, path: int, count: int) -> Iterable[Point]:
    # a rectangle, the usual case, is known by two of its corners
    for number in (0, 2) if _is_rectangle(clip, path, count) else range(count):
        yield _read_point(clip, path, number)


def _is_rectangle(clip: int, path: int, count: int) -> bool:
    if count != 5:
        return False
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = (_read_point(clip, path, number) for number in range(4))
    return (x0 == x1 and y1 == y2 and x2 == x3 and y3 == y0) or (y0 == y1 and x1 == x2 and y2 == y3 and x3 == x0)


def _read_point(clip: int, path: int, number: int) -> Point:
    get_segment_point(get_clip_segment(clip, path, number), _point_address, _point_address + 4)
    return _point[0], _point[1]
