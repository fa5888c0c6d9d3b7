"""The title of a table: its caption, or the line above it."""

from collections.abc import Sequence

from extraction.page.chunks import Line
from extraction.tables.blocks import is_prose
from extraction.tables.captions import is_caption
from extraction.values import Box

CAPTION_LINES = 4  # of a caption above its table
NEAR = 3.0  # line heights between a table and its title
TIGHT = 0.9  # line heights between the lines of a caption
MAXIMUM_TITLE_CHARS = 400


def find_title(bbox: Box, lines: Sequence[Line]) -> str:
    """Return the caption above or below the table, else the line above if it is no sentence; "" if there is none."""
    x0, top, x1, bottom = bbox
    beside = [line for line in lines if line.x1 > x0 and line.x0 < x1]
    above = [line for line in beside if line.middle < top]
    stack: list[str] = []
    edge = top
    for line in reversed(above[-CAPTION_LINES:]):
        if edge - line.bottom > (TIGHT if stack else NEAR) * line.height:
            break
        text = _text_over(line, x0, x1)
        stack.insert(0, text)
        edge = line.top
        if is_caption(text):
            return "\n".join(stack)[:MAXIMUM_TITLE_CHARS]
    below = next((line for line in beside if line.middle > bottom), None)
    if below is not None and below.top - bottom < NEAR * below.height and is_caption(_text_over(below, x0, x1)):
        return _text_over(below, x0, x1)[:MAXIMUM_TITLE_CHARS]
    if not stack:
        return ""
    nearest = above[-1]
    if len(nearest.chunks) > 1 and not (len(nearest.chunks) == 2 and nearest.chunks[-1].text.startswith("(")):
        return ""
    return "" if _is_sentence(nearest, stack) else stack[-1][:MAXIMUM_TITLE_CHARS]


def _is_sentence(nearest: Line, stack: Sequence[str]) -> bool:
    """Whether the line above the table is the end of a sentence, or of a paragraph of such."""
    if not any(map(is_prose, nearest.chunks)):
        return False
    return any(text.rstrip().endswith((".", ":", ";", ",")) for text in stack[-2:])


def _text_over(line: Line, x0: float, x1: float) -> str:
    return " ".join(chunk.text for chunk in line.chunks if chunk.x1 > x0 and chunk.x0 < x1)
