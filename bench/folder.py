"""Extract every PDF in some folders with pdfplumber and with Pagewire; compare times, memory and tables."""

import json
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from bench.readers import Cells, Reading
from bench.servers import HOUSE
from bench.table import Row, Target, format_lines, format_table

DEADLINE_SECONDS = 120.0  # for one reader and one file
MB = 1024 * 1024
HEAD = ("", "pages", "plain", "Pagewire", "ratio", "text", "tables", "found", "shapes", "cells", "memory")


class Parity(NamedTuple):
    """How far the tables match pdfplumber's: pairs of a count and its total."""

    found: int = 0  # pages on which both find tables, or neither does
    pages: int = 0
    shapes: int = 0  # tables with as many rows and columns
    tables: int = 0
    cells: int = 0  # of those tables, with the same text, ignoring white space
    all_cells: int = 0

    def plus(self, other: "Parity") -> "Parity":
        return Parity(*map(sum, zip(self, other, strict=True)))


class Comparison(NamedTuple):
    """One file, or several together."""

    name: str
    plain_text_seconds: float
    plain_seconds: float
    text_seconds: float
    seconds: float
    peak_bytes: int
    plain_tables: int
    tables: int
    parity: Parity

    @property
    def ratio(self) -> float:
        return self.plain_seconds / self.seconds

    @property
    def text_ratio(self) -> float:
        return self.plain_text_seconds / self.text_seconds


def main(paths: Sequence[str]) -> str:
    """Print a line for each file as it is done; return the summary."""
    files = sorted({file for path in paths for file in find_pdfs(Path(path))})
    compared: list[Comparison] = []
    for file in files:
        readings = [read(reader, file) for reader in ("plain", "product")]
        if isinstance(readings[0], Reading) and isinstance(readings[1], Reading):
            compared.append(compare(file.name, readings[0], readings[1]))
            print(*format_file(compared[-1]), sep="  ", flush=True)
        else:
            print(file.name, *(outcome for outcome in readings if isinstance(outcome, str)), sep="  ", flush=True)
    if not compared:
        raise SystemExit("no PDF that both can extract")
    lines = format_lines([HEAD, *map(format_file, [*compared, join("all together", compared)])])
    return "\n".join([*lines, "", *format_table(summarise(compared)), ""])


def find_pdfs(path: Path) -> Iterable[Path]:
    return [path] if path.is_file() else (file for file in path.rglob("*") if file.suffix.lower() == ".pdf")


def read(reader: str, file: Path) -> Reading | str:
    """Return what the reader finds in the file, or an error message."""
    command = [sys.executable, "-m", "bench.readers", reader, str(file.absolute())]
    try:
        done = subprocess.run(command, cwd=HOUSE, capture_output=True, text=True, timeout=DEADLINE_SECONDS)
    except subprocess.TimeoutExpired:
        return f"{reader}: more than {DEADLINE_SECONDS:.0f} s"
    if done.returncode:
        return f"{reader}: {(done.stderr.strip().splitlines() or [f'exit code {done.returncode}'])[-1]}"
    return Reading(*json.loads(done.stdout))


def compare(name: str, plain: Reading, product: Reading) -> Comparison:
    return Comparison(
        name,
        plain.text_seconds,
        plain.seconds,
        product.text_seconds,
        product.seconds,
        product.peak_bytes,
        sum(map(len, plain.pages)),
        sum(map(len, product.pages)),
        compare_pages(plain.pages, product.pages),
    )


def compare_pages(plain: list[list[Cells]], product: list[list[Cells]]) -> Parity:
    product = [*product, *([] for _ in range(len(plain) - len(product)))]
    parity = Parity()
    for expected, found in zip(plain, product, strict=False):
        same_shape = [(a, b) for a, b in zip(expected, found, strict=False) if shape_of(a) == shape_of(b)]
        pairs = [pair for a, b in same_shape for pair in zip(texts_of(a), texts_of(b), strict=True)]
        parity = parity.plus(
            Parity(
                found=bool(expected) == bool(found),
                pages=1,
                shapes=len(same_shape),
                tables=max(len(expected), len(found)),
                cells=sum(a == b for a, b in pairs),
                all_cells=len(pairs),
            )
        )
    return parity


def shape_of(table: Cells) -> tuple[int, int]:
    return len(table), len(table[0])


def texts_of(table: Cells) -> Iterator[str]:
    return ("".join((cell or "").split()) for row in table for cell in row)


def join(name: str, compared: Sequence[Comparison]) -> Comparison:
    parity = Parity()
    for each in compared:
        parity = parity.plus(each.parity)
    return Comparison(
        name,
        sum(each.plain_text_seconds for each in compared),
        sum(each.plain_seconds for each in compared),
        sum(each.text_seconds for each in compared),
        sum(each.seconds for each in compared),
        max(each.peak_bytes for each in compared),
        sum(each.plain_tables for each in compared),
        sum(each.tables for each in compared),
        parity,
    )


def format_file(file: Comparison) -> tuple[str, ...]:
    parity = file.parity
    return (
        file.name[:48],
        str(parity.pages),
        f"{file.plain_seconds:.2f} s",
        f"{file.seconds:.3f} s",
        f"{file.ratio:.1f}x",
        f"{file.text_ratio:.1f}x",
        f"{file.tables}/{file.plain_tables}",
        f"{parity.found}/{parity.pages}",
        f"{parity.shapes}/{parity.tables}",
        f"{parity.cells}/{parity.all_cells}",
        f"{file.peak_bytes / MB:.0f} MB",
    )


def summarise(compared: Sequence[Comparison]) -> list[Row]:
    whole = join("", compared)
    parity = whole.parity
    with_tables = [each for each in compared if each.plain_tables]
    without_tables = [each for each in compared if not each.plain_tables]
    rows = [_ratio_row("Mean of the files' ratios", fmean(each.ratio for each in compared), 10)]
    if with_tables:
        book = max(with_tables, key=lambda each: each.plain_tables)
        rows += [
            _times_row(f"Most tables: {book.name[:40]}", book, 12),
            _times_row(f"{len(with_tables)} files with tables, together", join("", with_tables), 12),
        ]
    if without_tables:
        rows.append(_times_row(f"{len(without_tables)} files without tables, together", join("", without_tables), 20))
    rows += [
        _times_row("All together", whole),
        Row(
            "Text only, all together",
            f"{whole.plain_text_seconds:.2f} s",
            f"{whole.text_seconds:.2f} s",
            whole.text_ratio,
            Target(">=", 30, "x"),
        ),
        Row("Peak memory", "", f"{whole.peak_bytes / MB:.0f} MB", None, Target("<", 200, " MB"), whole.peak_bytes / MB),
        _share_row("Pages where both find tables, or neither", parity.found, parity.pages, 99.5),
        _share_row("Tables of the same shape", parity.shapes, parity.tables, 98.5),
        _share_row("Cells with the same text, ignoring white space", parity.cells, parity.all_cells, 98),
    ]
    return rows


def _ratio_row(name: str, ratio: float, target: float) -> Row:
    return Row(name, "", "", ratio, Target(">=", target, "x"))


def _times_row(name: str, compared: Comparison, target: float | None = None) -> Row:
    return Row(
        name,
        f"{compared.plain_seconds:.2f} s",
        f"{compared.seconds:.2f} s",
        compared.ratio,
        Target(">=", target, "x") if target else None,
    )


def _share_row(name: str, count: int, total: int, target: float) -> Row:
    percent = 100 * count / total if total else 100.0
    return Row(name, str(total), f"{percent:.2f} %", None, Target(">=", target, " %"), percent)
