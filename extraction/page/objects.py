"""The objects of a page and of the forms in it: its paths, and the text that it shows."""

import contextlib
from collections import Counter
from collections.abc import Iterator
from itertools import compress, repeat
from typing import Any

from extraction.page.edges import MAXIMUM_SEGMENTS
from extraction.page.geometry import Matrix, is_apart, is_within, multiply, surround, transform_box, transform_boxes
from extraction.page.native import (
    FORM,
    IMAGE,
    PATH,
    TEXT,
    Handle,
    count_clip_paths,
    count_form_objects,
    count_page_objects,
    get_clip,
    get_form_object,
    get_object_matrix,
    get_object_type,
    get_page_object,
    get_render_mode,
    handle,
    handle_of,
    read_bounds,
    read_matrices,
    read_matrix,
    run_all,
    set_active,
)
from extraction.page.overlays import Level, find_overlays
from extraction.page.shown import INVISIBLE, OVERHANG, Clips, is_on_hidden_layer
from extraction.values import Box

MAXIMUM_FORM_DEPTH = 30
MANY_SHAPES = 100  # of a page without text
LARGEST_LETTER = 40.0  # points
REACH = 24.0  # points that the middle of a glyph without a shape may stand away from where PDFium places it


class PageObjects:
    """What is not shown is left out, and made inactive, so that PDFium leaves it out of the page's text too."""

    def __init__(
        self,
        page: Any,
        to_display: Matrix,
        shown: Box,
        *,
        added_from: int | None = None,
        has_hidden_layers: bool = False,
    ) -> None:
        """*to_display* is the matrix from page space to the displayed page, *shown* the part of that which is shown.

        The objects from number *added_from* on are what fields and notes show.
        """
        self.text_count = 0
        self.turned: dict[int, int] = {}  # the text objects that are not upright: their quarter turns, clockwise
        self.clipped: dict[int, Box] = {}  # the text objects that are shown in part: where, as displayed
        self.added: dict[int, int] = {}  # the text objects of fields and notes: a number for each form that holds some
        self.paths: list[tuple[int, Matrix]] = []  # with the matrix from the path's space to the displayed page
        self.images: list[Box] = []  # as displayed
        self._has_hidden_layers = has_hidden_layers
        self._invisible: list[tuple[int, Box]] = []
        self._dropped: set[int] = set()
        self._levels: list[Level] = []
        self.overlays: set[int] = set()  # the text objects that are written over others
        self.overlay_turn = 0  # of most of them
        held = handle_of(page)
        count = max(0, count_page_objects(held))
        items = list(map(get_page_object, repeat(held), range(count)))
        drawn = count if added_from is None else min(added_from, count)
        self._sort(items[:drawn], to_display, 0, shown)
        self._sort(items[drawn:], to_display, 0, shown, is_added=True)
        if self._invisible:
            self._drop_invisible()
        if overlays := find_overlays(self._levels) - {text for text, _ in self._invisible}:
            self._lift(overlays)

    def _sort(self, items: list[int], outer: Matrix, depth: int, shown: Box, *, is_added: bool = False) -> None:
        texts: list[int] = []
        clips = Clips(outer, shown)
        kinds = list(map(get_object_type, items))
        if not self._has_hidden_layers and FORM not in kinds:  # the usual case, and quick: the others are few
            texts = [item for item, kind in zip(items, kinds, strict=True) if kind == TEXT]
            room = MAXIMUM_SEGMENTS + 1 - len(self.paths)
            self.paths += [(item, outer) for item, kind in zip(items, kinds, strict=True) if kind == PATH][:room]
            items = [item for item, kind in zip(items, kinds, strict=True) if kind == IMAGE] if IMAGE in kinds else []
            kinds = [IMAGE] * len(items)
        for item, kind in zip(items, kinds, strict=True):
            if self._has_hidden_layers and is_on_hidden_layer(handle(item)):
                set_active(item, 0)
            elif kind == TEXT:
                texts.append(item)
            elif kind == PATH:
                if len(self.paths) <= MAXIMUM_SEGMENTS:
                    self.paths.append((item, outer))
            elif kind == FORM and depth < MAXIMUM_FORM_DEPTH:
                form = handle(item)
                count = max(0, count_form_objects(form))
                inner = list(map(get_form_object, repeat(form), range(count)))
                within = clips.find(form)
                matrix = multiply(read_matrix(get_object_matrix, form), outer)
                self._sort(inner, matrix, depth + 1, within, is_added=is_added)
            elif kind == IMAGE:
                self.images.append(transform_box(outer, read_bounds([handle(item)])[0]))
        handles = list(map(handle, texts))
        if texts:
            texts, handles, bounds = self._drop_unseen(texts, handles, outer, shown, clips)
        if texts:
            self.text_count += len(texts)
            self._levels.append(Level(texts, bounds, outer))
            self._note_turned(texts, handles, outer)
            if is_added:
                self.added.update(dict.fromkeys(texts, len(self.added)))

    def _drop_unseen(
        self, texts: list[int], handles: list[Handle], outer: Matrix, shown: Box, clips: Clips
    ) -> tuple[list[int], list[Handle], list[Box]]:
        """Return the objects of which something is shown, their handles and their boxes."""
        bounds = read_bounds(handles)
        clipping = list(map(handle, map(get_clip, handles)))
        counts = list(map(count_clip_paths, clipping))
        is_clipped = max(counts) > 0
        modes = list(map(get_render_mode, handles))
        if not is_clipped and INVISIBLE not in modes and is_within(transform_box(outer, surround(bounds)), shown):
            return texts, handles, bounds  # the usual case, and quick to check
        limits = clips.read(clipping, counts) if is_clipped else [shown] * len(texts)
        boxes = transform_boxes(outer, bounds)
        doubtful = [
            number
            for number, ((x0, top, x1, bottom), limit) in enumerate(zip(boxes, limits, strict=True))
            if not (
                limit[0] - OVERHANG <= x0 < x1 <= limit[2] + OVERHANG
                and limit[1] - OVERHANG <= top < bottom <= limit[3] + OVERHANG
            )
        ]
        dropped: set[int] = set()
        for number in doubtful:
            x0, top, x1, bottom = box = boxes[number]
            limit = limits[number]
            if not (x0 < x1 and top < bottom):  # blanks, or glyphs without a shape
                if not is_within(box, limit, -REACH):
                    self.clipped[texts[number]] = limit
            elif is_apart(box, limit, OVERHANG):
                set_active(texts[number], 0)
                dropped.add(number)
            else:
                self.clipped[texts[number]] = limit
        if INVISIBLE in modes:
            self._invisible += [
                (text, box)
                for number, (text, box, mode) in enumerate(zip(texts, boxes, modes, strict=True))
                if mode == INVISIBLE and number not in dropped
            ]
        if dropped:
            kept = [number not in dropped for number in range(len(texts))]
            return list(compress(texts, kept)), list(compress(handles, kept)), list(compress(bounds, kept))
        return texts, handles, bounds

    def _drop_invisible(self) -> None:
        """Invisible text stays where it lies on a picture, which it spells out, or if the page has no other."""
        if len(self._invisible) == self.text_count:
            return
        for text, box in self._invisible:
            if all(is_apart(box, image) for image in self.images):
                set_active(text, 0)
                self._dropped.add(text)
                self.text_count -= 1
                self.turned.pop(text, None)

    def _lift(self, overlays: set[int]) -> None:
        """Take what is written over other text out of it."""
        self.overlays = overlays
        self.overlay_turn = Counter(self.turned.get(text, 0) for text in overlays).most_common(1)[0][0]
        self.text_count -= len(overlays)
        for text in overlays:
            set_active(text, 0)
            self.turned.pop(text, None)
            self.added.pop(text, None)

    @contextlib.contextmanager
    def overlays_alone(self) -> Iterator[None]:
        """Show the overlays and no other text."""
        others = [text for level in self._levels for text in level.texts]
        others = [text for text in others if text not in self.overlays and text not in self._dropped]
        for is_active, texts in ((1, self.overlays), (0, others)):
            run_all(map(set_active, texts, repeat(is_active)))
        try:
            yield
        finally:
            for is_active, texts in ((0, self.overlays), (1, others)):
                run_all(map(set_active, texts, repeat(is_active)))

    def _note_turned(self, texts: list[int], handles: list[Handle], outer: Matrix) -> None:
        matrices = memoryview(read_matrices(handles)).cast("f")
        along, across = matrices[0::6].tolist(), matrices[1::6].tolist()
        p, q, r, s, _, _ = outer
        if p > 0 and q == 0 and not any(across) and min(along) > 0:
            return  # the usual case, and quick to check
        for text, a, b in zip(texts, along, across, strict=True):
            x, y = a * p + b * r, a * q + b * s  # the direction of writing, y downwards
            if abs(y) > abs(x):
                self.turned[text] = 1 if y > 0 else 3
            elif x < 0:
                self.turned[text] = 2

    @property
    def has_ink(self) -> bool:
        """Whether some of the text has a shape."""
        return any(x0 < x1 and y0 < y1 for level in self._levels for x0, y0, x1, y1 in level.bounds)

    @property
    def has_outlines(self) -> bool:
        """Whether it draws so many small shapes that they may be letters."""
        if len(self.paths) < MANY_SHAPES:
            return False
        bounds = read_bounds([handle(item) for item, _ in self.paths[:: len(self.paths) // MANY_SHAPES]])
        small = sum(all(1 < size < LARGEST_LETTER for size in (x1 - x0, y1 - y0)) for x0, y0, x1, y1 in bounds)
        return 2 * small > len(bounds)

    def find_turn(self) -> tuple[int, int]:
        """Return how many quarter turns, clockwise, most text objects have, and how many objects have others."""
        if not self.turned:
            return 0, 0
        turns = Counter({0: self.text_count - len(self.turned)})
        turns.update(self.turned.values())
        turn, count = turns.most_common(1)[0]
        return turn, self.text_count - count
