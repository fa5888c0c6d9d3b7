"""Tables that run over pages become one."""

import re
from collections.abc import Iterable, Mapping, Sequence

from extraction.tables.tabular import FoundTable, Spans, Table, take_tables

MAXIMUM_SHIFT = 3.0  # points, between the edges of two parts that rules draw
UNRULED_SHIFT = 24.0  # of parts without rules: their edges are those of their longest words
_CONTINUED = re.compile(
    r"[\s(\[–—-]*\b(?:continued|contd|cont['’]d|cont|fortsetzung|forts|suite|continuación|continua|segue|vervolg|jatkuu)\b[.)\]]*",
    re.IGNORECASE,
)
# All that such a row may say: "Table 3 (continued)", "Continued on next page", "Fortsetzung auf Seite 4"
_ONLY_CONTINUES = re.compile(
    r"(?:[^()\[\]]*[(\[])?[\s–—-]*(?:(?:table|tabelle|tableau)\s+(?:\S+\s+)?(?:[–—-]\s*)?)?(?:to\s+be\s+)?"
    r"(?:(?:continued|contd|cont['’]d|cont)\b\.?(?:\s+(?:(?:on|from)\s+)?(?:(?:the\s+)?(?:next|following|previous)\s+page|page\s+\d+)|\s+overleaf)?"
    r"|(?:fortsetzung|forts)\b\.?(?:\s+(?:(?:auf|von)\s+)?(?:(?:der\s+)?(?:nächste[rn]?|vorherige[rn]?)\s+seite|seite\s+\d+))?"
    r"|suite\s+(?:à|de)\s+la\s+page(?:\s+\w+)?|(?<=[(\[])suite|continuación|continua|segue|vervolg|jatkuu)"
    r"[\s.…)\]–—-]*",
    re.IGNORECASE,
)


def join_tables(found: Iterable[FoundTable], heights: Mapping[int, float]) -> list[Table]:
    """Join tables that run over pages; *found* is in document order, *heights* (points) by page number.

    The last table of a page and the first of the next are one if both have the same number of columns, more than one,
    nearly the same left and right edges, and either the same head, whose repetition is dropped, or a place where tables
    break: the upper ends in the lower half of its page, the lower begins in the upper half. With both, the edges may
    have moved alike, as on the left and right pages of a book. Text between them is ignored, and so are "(continued)"
    in a head, and rows that only say so.
    """
    joined: list[Table] = []
    parts: list[FoundTable] = []  # each table's last
    for table in found:
        if parts and _may_go_on(parts[-1], table):
            whole = joined[-1]
            repeated = _count_repeated(whole, table)
            is_break = _is_break(parts[-1], table, heights)
            is_aligned = _is_aligned(parts[-1], table, has_moved=repeated > 0 and is_break)
            if is_aligned and (repeated or is_break):
                kept = len(whole.data) - (len(whole.data) > 1 and _only_continues(whole.data[-1]))
                joined[-1] = whole._replace(
                    pages=[*whole.pages, table.page_number],
                    data=[*whole.data[:kept], *table.data[repeated:]],
                    spans=[*_clipped(whole.spans, kept), *_moved(table.spans, repeated, kept)],
                )
                parts[-1] = table
                continue
        joined += take_tables([table])
        parts.append(table)
    return joined


def _may_go_on(upper: FoundTable, lower: FoundTable) -> bool:
    return lower.page_number == upper.page_number + 1 and len(lower.data[0]) == len(upper.data[0]) > 1


def _is_aligned(upper: FoundTable, lower: FoundTable, *, has_moved: bool) -> bool:
    """Whether both edges are nearly the same, or if they may *have moved*, as far apart."""
    most = MAXIMUM_SHIFT if upper.kind == lower.kind == "ruled" else UNRULED_SHIFT
    shifts = [lower.bbox[edge] - upper.bbox[edge] for edge in (0, 2)]
    return all(abs(shift) <= most for shift in shifts) or (has_moved and abs(shifts[1] - shifts[0]) <= MAXIMUM_SHIFT)


def _is_break(upper: FoundTable, lower: FoundTable, heights: Mapping[int, float]) -> bool:
    if "unruled" in (upper.kind, lower.kind) and lower.header_rows:
        return False  # it has a head of its own
    return (
        upper.bbox[3] > heights.get(upper.page_number, 0) / 2 and lower.bbox[1] < heights.get(lower.page_number, 0) / 2
    )


def _count_repeated(whole: Table, lower: FoundTable) -> int:
    """Return how many rows of the lower part repeat the head; a row that only says that the table goes on counts."""
    start = 1 if _only_continues(lower.data[0]) and len(lower.data) > 1 else 0
    most = max(whole.header_rows, lower.header_rows - start, 1)
    count = 0
    for head, row in zip(whole.data[:most], lower.data[start:], strict=False):
        if _words(head) != _words(row) or not any(_words(row)):
            break
        count += 1
    return start + count if count or start else 0


def _only_continues(row: Sequence[str | None]) -> bool:
    filled = [cell for cell in row if cell]
    return len(filled) == 1 and len(filled[0]) < 200 and _ONLY_CONTINUES.fullmatch(filled[0].strip()) is not None


def _words(row: Sequence[str | None]) -> list[str]:
    return [" ".join(_CONTINUED.sub("", cell or "").split()) for cell in row]


def _clipped(spans: Spans, kept: int) -> list[list[int]]:
    """Return the spans as far as they lie in the rows kept, without those of a single cell."""
    clipped = [[top, left, min(bottom, kept - 1), right] for top, left, bottom, right in spans if top < kept]
    return [span for span in clipped if span[:2] != span[2:]]


def _moved(spans: Spans, dropped: int, offset: int) -> list[list[int]]:
    """Return the spans of the rows that are left, where they are in the whole."""
    by = offset - dropped
    return [[top + by, left, bottom + by, right] for top, left, bottom, right in spans if top >= dropped]
