"""What is a table and what only looks like one: lists, contents, indexes, charts, formulas, code, forms."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

from extraction.page.chunks import Line, has_letters, is_number, is_years
from extraction.tables.blocks import Rules, is_prose
from extraction.tables.columns import Interval
from extraction.tables.rows import FULL, Layout

LEAST_FILL = 0.4  # of a table's cells hold something
_MARKER = re.compile(r"[•·▪▫◦‣●○■□➢✓*–—-]|\(?[0-9]{1,2}[.)]|\(?[a-zA-Z][.)]|\(?[ivxIVX]{1,5}[.)]|[QA][.:]")
_MATHS = re.compile(r"[=+∑∫∏√≈≡∂∇∈∀∃→⇒×·∞α-ωΓ-Ω^{}|]")
_CODE = re.compile(
    r"[{};]\s*$|^\s*[#%]|^\w+=|\b0x[0-9a-f]{3,}|\b0x\b|^[0-9a-f]{4,8}:?(?:\s[0-9a-f]{2,4}){4}\b|\w\(.*\)|[=!]=|->|::|&&"
    r"|^\s*(?://|#include|def |class |import |return\b|if\s*\(|for\s*\(|[$>]\s)|\s;\s"
)
_PAGES = re.compile(r"[^\d]+,\s*\d+(?:[-–]\d+)?(?:,\s*\d+(?:[-–]\d+)?)*,?")
GOING_ON = 0.3  # of the cells of a table of text may begin or end in the middle of a sentence
YEARS = range(1900, 2100)
CHART_FILL = 0.6  # of the places beside an axis hold something in a table
_VALUE = re.compile(r"(?<![\w.,–-])-?\d[\d,]*\.?\d*(?![\w–-])|(?<![\w.,–-])-?\.\d+")
_PLAIN = re.compile(r"\d{1,4}|[ivxlc]{1,6}")


def is_table(lines: Sequence[Line], columns: Sequence[Interval], layout: Layout, rules: Rules) -> bool:
    body = layout.data[layout.header_rows :]
    if len(columns) < 2 or len(body) < 1 or len(layout.data) < 2 or len(lines) < 3:
        return False
    texts = [cell for row in body for cell in row if cell]
    if not any(has_letters(cell) for row in layout.data for cell in row if cell):
        return False
    *fills, _ = sorted(sum(1 for cell in row if cell) for row in layout.data)  # without the fullest: an axis of a chart
    if sum(fills) < LEAST_FILL * len(fills) * len(columns):
        return False
    if _is_contents(lines, layout) or _is_list(body) or _is_index(texts) or _is_code(lines) or _is_formulas(texts):
        return False
    if _is_form(lines, texts) or _is_chart(layout) or _is_running_text(texts):
        return False
    others = [cell for row in body for cell in row[1:] if cell]
    numbers = sum(1 for cell in others if is_number(cell.replace(" ", "").replace("\n", "")))
    share = numbers / max(1, len(others))
    sentences = sum(1 for line in lines for chunk in line.chunks if is_prose(chunk))
    chunk_count = sum(len(line.chunks) for line in lines)
    ruled = _has_two_rules(lines, columns, rules)
    if ruled and share >= 0.2:
        return len(body) >= 2 or (len(columns) > 2 and not _has_figures(layout.data[: layout.header_rows]))
    if ruled and len(columns) > 2 and _has_aligned_columns(lines, columns, 0.6):
        return len(body) >= 2
    if sentences > (0.35 if ruled else 0.15) * chunk_count:
        return False
    if share >= 0.5:
        filled = len(texts) / (len(body) * len(columns))
        if len(columns) == 2:
            return len(body) >= 4 and share >= 0.7 and filled >= 0.7
        return len(body) >= 3 or (len(body) >= 2 and filled > 0.8 and len(columns) > 3)
    if ruled:
        return len(body) >= 2
    return _is_aligned_text(lines, columns, layout)


def _has_figures(head: Sequence[Sequence[str | None]]) -> bool:
    """Whether a head has figures that are no years, as the top of a form has dates and numbers."""
    words = [word for row in head for cell in row if cell for word in cell.split()]
    return any(is_number(word) and any(map(str.isdigit, word)) and not is_years(word) for word in words)


def _has_two_rules(lines: Sequence[Line], columns: Sequence[Interval], rules: Rules) -> bool:
    """Whether full rules stand above and below, or above and under the head."""
    top, bottom = lines[0].top - 1.5 * lines[0].height, lines[-1].bottom + 1.5 * lines[-1].height
    return len(rules.between(top, bottom, columns[0].x0, columns[-1].x1, FULL)) >= 2


def _is_contents(lines: Sequence[Line], layout: Layout) -> bool:
    """Titles or terms with page numbers: behind leader dots, rising, or beside terms in alphabetical order."""
    width = len(layout.data[0])
    listed = [line for line in lines if len(line.chunks) > 1 and _PLAIN.fullmatch(line.chunks[-1].text)]
    numbers = [int(line.chunks[-1].text) for line in listed if line.chunks[-1].text.isdigit()]
    rising = sum(1 for low, high in pairwise(numbers) if low <= high)
    if len(numbers) >= 3 and rising >= 0.9 * (len(numbers) - 1) and numbers[-1] > numbers[0]:
        return width <= 3 and len(listed) >= 0.7 * len(lines)
    dotted = 2 * sum(1 for line in lines if line.has_leaders) >= len(lines)
    if dotted and width <= 3 and len(numbers) < 2:
        return True
    return (
        width % 2 == 0
        and (width > 2 or dotted)
        and all(_is_column_of_terms(layout, left) for left in range(0, width - 1, 2))
    )


def _is_column_of_terms(layout: Layout, left: int) -> bool:
    """Whether this column has terms in alphabetical order, and the next their pages."""
    terms = [row[left] for row in layout.data if row[left] and row[left + 1]]
    pages = [row[left + 1] for row in layout.data if row[left] and row[left + 1]]
    keys = [term.casefold() for term in terms if term and has_letters(term)]
    sorted_pairs = sum(1 for first, second in pairwise(keys) if first[:4] <= second[:4])
    plain = sum(1 for page in pages if page and _PLAIN.fullmatch(page.split(",")[0]))
    if 2 * len(keys) < len(layout.data) or len(keys) < len(terms):
        return False
    return plain >= 0.9 * len(pages) and sorted_pairs >= 0.9 * (len(keys) - 1)


def _is_list(body: Sequence[Sequence[str | None]]) -> bool:
    marked = sum(1 for row in body if row[0] and _MARKER.fullmatch(row[0].strip()))
    return marked >= 0.5 * len(body) and len(body[0]) <= 3


def _is_index(texts: Sequence[str]) -> bool:
    return sum(1 for text in texts if _PAGES.fullmatch(text)) >= 0.3 * len(texts)


def _is_code(lines: Sequence[Line]) -> bool:
    least = 0.4 * len(lines)
    count = 0
    for number, line in enumerate(lines):
        if count + len(lines) - number < least:
            return False  # the usual case, when the rest are too few
        count += _CODE.search(line.text) is not None
    return count >= least


def _is_formulas(texts: Sequence[str]) -> bool:
    signs = sum(1 for text in texts if _MATHS.search(text) and not is_number(text))
    return signs >= 0.3 * len(texts)


def _is_form(lines: Sequence[Line], texts: Sequence[str]) -> bool:
    """Labels with colons, and blanks to fill in."""
    labels = sum(1 for text in texts if text.endswith((":", "?")))
    return labels >= 0.3 * len(texts)


def _is_running_text(texts: Sequence[str]) -> bool:
    """Whether many cells begin or end in the middle of a sentence."""
    going_on = sum(1 for cell in texts if (" " in cell and cell[:1].islower()) or cell.endswith(","))
    return going_on > GOING_ON * len(texts)


def _is_chart(layout: Layout) -> bool:
    """The labels of axes: numbers in equal steps, with little beside them."""
    columns = [[cell for cell in column if cell] for column in zip(*layout.data, strict=True)]
    rows = [[cell for cell in row if cell] for row in layout.data]
    fill = sum(map(len, columns)) / (len(columns) * len(rows))
    if any(
        sum(map(is_number, (cell or "").split("\n"))) > 2 for row in layout.data[: layout.header_rows] for cell in row
    ):
        return True  # an axis, taken for a head
    if len(columns) == 2 and any(_find_steps(column) < 0 for column in columns):
        return True  # the greatest number is on top
    return fill < CHART_FILL and any(map(_find_steps, [*columns, *(row for row in rows[-2:] if len(row) >= 3)]))


def _find_steps(cells: Sequence[str]) -> float:
    """Return by what most of the numbers rise or fall evenly, else 0; neither years nor ranks, which tables have."""
    values = [float(found.replace(",", "")) for cell in cells for found in _VALUE.findall(cell)]
    if not 3 <= len(values) <= 40:
        return 0.0
    steps = Counter(round(high - low, 6) for low, high in pairwise(values))
    step: float
    step, count = steps.most_common(1)[0]
    if step == 0 or count < max(2, 0.6 * (len(values) - 1)):
        return 0.0
    if abs(step) == 1 and all(value in YEARS or value < 60 for value in values):
        return 0.0
    return step


def _is_aligned_text(lines: Sequence[Line], columns: Sequence[Interval], layout: Layout) -> bool:
    """Four rows of three columns, each aligned at its left."""
    body = layout.data[layout.header_rows :]
    if len(body) < 4 or len(columns) < 3:
        return False
    texts = [cell for row in body for cell in row if cell]
    if len(texts) < 0.6 * len(body) * len(columns):
        return False
    heights = [{(cell or "").count("\n") for cell in row} for row in body]
    if 2 * sum(len(own) == 1 and own != {0} for own in heights) > len(body):
        return False  # blocks of as many lines beside each other, such as addresses
    return _has_aligned_columns(lines, columns, 0.75)


def _has_aligned_columns(lines: Sequence[Line], columns: Sequence[Interval], share: float) -> bool:
    aligned = 0
    for x0, x1 in columns:
        starts = Counter(round(chunk.x0 / 2) for line in lines for chunk in line.chunks if x0 - 1 <= chunk.x0 <= x1)
        total = sum(starts.values())
        place = max(starts, key=lambda key: starts[key] + starts[key + 1]) if starts else 0
        if total and starts[place] + starts[place + 1] >= 0.7 * total:
            aligned += 1
    return aligned >= share * len(columns)
