"""What a page shows of its text: nothing that is clipped, invisible, outside the crop box or on a hidden layer.

What is not shown is made inactive, so that PDFium leaves it out of the page's text; an object that is shown in part is
kept, with the box in which it shows.
"""

import ctypes
import struct
from array import array
from itertools import repeat

from extraction.geometry import Matrix, bounds_of, intersect, transform, transform_box
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
from extraction.values import Box

HIDDEN_MARK = b"PagewireHidden"  # the key that `structure` writes into layers that are off
INVISIBLE = 3  # the rendering mode: neither filled nor stroked
MAXIMUM_CLIP_SEGMENTS = 200  # of one path; the box of a longer one is not read
OVERHANG = 1.0  # points that an object may stand out and still count as shown in full

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


def find_clip(item: int, outer: Matrix, shown: Box) -> Box:
    """Return what is left of *shown* inside the clip of an object; *outer* leads from its space to that of *shown*."""
    clip = get_clip(item)
    for path in range(count_clip_paths(clip)):
        count = count_clip_segments(clip, path)
        if 0 < count <= MAXIMUM_CLIP_SEGMENTS:
            shown = intersect(shown, _surround_path(clip, path, count, outer))
    return shown


def _surround_path(clip: int, path: int, count: int, outer: Matrix) -> Box:
    places = array("f", bytes(8 * count))
    start = places.buffer_info()[0]
    stop = start + 8 * count
    segments = map(get_clip_segment, repeat(clip), repeat(path), range(count))
    run_all(map(get_segment_point, segments, range(start, stop, 8), range(start + 4, stop, 8)))
    xs, ys = places[0::2], places[1::2]
    if outer[1] == outer[2] == 0.0:  # the usual case, and quick
        return transform_box(outer, (min(xs), min(ys), max(xs), max(ys)))
    return bounds_of(transform(outer, point) for point in zip(xs, ys, strict=True))
