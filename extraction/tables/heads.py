"""How many rows of a ruled table are its head."""

from collections.abc import Sequence

from extraction.page.chunks import is_number, is_years
from extraction.tables.mending import Span

MOST = 6  # rows of a head; a cell that spans more belongs to the body


def count_head_rows(data: Sequence[Sequence[str | None]], spans: Sequence[Span]) -> int:
    """Return the rows of a title over all columns and of heads, down to the last that a cell of the first row spans."""
    width = len(data[0])
    if len(data) < 2 or width < 2:
        return 0
    first = 0
    if (0, 0, 0, width - 1) in spans:
        first = 1
    texts = [cell for cell in data[first] if cell is not None]
    figures = [cell for cell in texts if is_number(cell) and not is_years(cell)]
    filled = [cell for cell in texts if cell]
    if figures or 2 * len(filled) < len(texts) or len(filled) < 2 or len(data) - first < 2:
        return first
    last = max([first, *(bottom for top, _, bottom, _ in spans if top == first)])
    for row in range(first, len(data) - 1):
        wide = any(top <= row == bottom and left < right for top, left, bottom, right in spans)
        if row > last or not wide:
            break
        last = max(last, row + 1)
    return last + 1 if last - first < MOST and last < len(data) - 1 else first + 1
