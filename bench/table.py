"""The table of figures, with targets met or missed."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple


class Target(NamedTuple):
    sign: Literal[">=", "<=", "<"]
    value: float
    unit: str

    def is_met_by(self, value: float) -> bool:
        if self.sign == ">=":
            return value >= self.value
        return value < self.value or (self.sign == "<=" and value == self.value)


class Row(NamedTuple):
    """A row of the table; the target applies to *judged*, else to the ratio."""

    name: str
    plain: str
    product: str
    ratio: float | None = None  # how many times less the product needs
    target: Target | None = None
    judged: float | None = None  # compared with the target instead of the ratio


def format_table(rows: Sequence[Row]) -> Iterator[str]:
    """Yield the lines of a Markdown table."""
    cells = [("", "plain", "Pagewire", "ratio", "target", "")]
    for row in rows:
        target = verdict = ""
        if row.target is not None:
            judged = row.ratio if row.judged is None else row.judged
            assert judged is not None
            target = f"{row.target.sign} {row.target.value:g}{row.target.unit}"
            verdict = "met" if row.target.is_met_by(judged) else "missed"
        cells.append((row.name, row.plain, row.product, f"{row.ratio:.1f}x" if row.ratio else "", target, verdict))
    yield from format_lines(cells)


def format_lines(cells: Sequence[Sequence[str]]) -> Iterator[str]:
    """Yield the lines of a Markdown table; the first row is the header."""
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]

    def line(values: Sequence[str]) -> str:
        first, *others = (value.rjust(width) for value, width in zip(values, widths, strict=True))
        return "| " + " | ".join([values[0].ljust(len(first)), *others]) + " |"

    yield line(cells[0])
    yield line(["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    yield from map(line, cells[1:])
