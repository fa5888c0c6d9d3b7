"""Tables for other programs: as CSV, JSON or workbooks."""

import csv
import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from typing import Any, Literal, NamedTuple, Protocol

from errors import ExtractionLimitError
from extraction.tables.numerals import Number, find_habits, read_cell

FileFormat = Literal["json", "csv", "xlsx"]
Rows = Sequence[Sequence[str | None]]
Spans = Sequence[Sequence[int]]


class FoundTable(Protocol):
    """A table as it was found on one page."""

    @property
    def page_number(self) -> int: ...
    @property
    def table_index(self) -> int: ...
    @property
    def data(self) -> Rows: ...
    @property
    def bbox(self) -> Sequence[float]: ...
    @property
    def kind(self) -> str: ...
    @property
    def header_rows(self) -> int: ...
    @property
    def spans(self) -> Spans: ...
    @property
    def title(self) -> str: ...


class Table(NamedTuple):
    """A whole table, which runs over *pages*; *bbox* is its place on the first of them."""

    pages: list[int]
    table_index: int  # of its first part; the next pages have the next indexes
    data: Rows
    bbox: Sequence[float]
    kind: str = "ruled"
    header_rows: int = 0
    spans: Spans = ()  # cells over several rows or columns: row, column, last row, last column
    title: str = ""

    @property
    def indexes(self) -> range:
        """The indexes of its parts."""
        return range(self.table_index, self.table_index + len(self.pages))


def take_tables(found: Iterable[FoundTable]) -> list[Table]:
    return [
        Table(
            [table.page_number],
            table.table_index,
            table.data,
            table.bbox,
            table.kind,
            table.header_rows,
            table.spans,
            table.title,
        )
        for table in found
    ]


# CSV

NUMBER = re.compile(r"[+-]?[\d.,' \u00a0\u202f]*\d ?%?")
FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")  # OWASP, "CSV Injection"


class Look(NamedTuple):
    """How files are written."""

    bom: bool = False  # first in CSV, so that Excel takes the file for UTF-8
    trim: bool = False  # without the rows and columns that are empty

    def encode_csv(self, tables: Iterable[Rows]) -> bytes:
        """Return the tables, with an empty line between two."""
        text = "\r\n".join(to_csv(_pick(rows, *_filled(rows)) if self.trim else rows) for rows in tables)
        return text.encode("utf-8-sig" if self.bom else "utf-8", "replace")


PLAIN = Look()


def _filled(rows: Rows) -> tuple[list[int], list[int]]:
    """The rows and the columns that have anything in them."""
    return (
        [number for number, row in enumerate(rows) if any((cell or "").strip() for cell in row)],
        [number for number in range(len(rows[0])) if any((row[number] or "").strip() for row in rows)],
    )


def _pick(rows: Rows, row_numbers: Sequence[int], columns: Sequence[int]) -> Rows:
    return [[rows[row][column] for column in columns] for row in row_numbers]


def _trimmed(table: Table) -> Table:
    """Without empty rows and columns; the head and the cells that span others have fewer then."""
    rows, columns = _filled(table.data)
    spans = []
    for top, left, bottom, right in table.spans:
        down = [number for number, row in enumerate(rows) if top <= row <= bottom]
        across = [number for number, column in enumerate(columns) if left <= column <= right]
        if down and across and len(down) * len(across) > 1:
            spans.append((down[0], across[0], down[-1], across[-1]))
    head = sum(row < table.header_rows for row in rows)
    return table._replace(data=_pick(table.data, rows, columns), spans=spans, header_rows=head)


def to_csv(rows: Rows) -> str:
    """Return the cells as CSV (RFC 4180); an apostrophe is put before any that a spreadsheet would run as a formula."""
    target = io.StringIO()
    csv.writer(target).writerows([neutralized(cell or "") for cell in row] for row in rows)
    return target.getvalue()


def neutralized(cell: str) -> str:
    """Return *cell*, made harmless to spreadsheets; signed numbers stay as they are."""
    start = cell.lstrip(" \n\x0b\x0c\u00a0\ufeff")
    if start.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(start.strip()):
        return "'" + cell
    return cell


# Files of many tables


def to_file(tables: Sequence[Table], file_format: FileFormat, *, with_pages: bool, look: Look = PLAIN) -> bytes:
    """Return the tables as JSON, `{"tables": [{page, table_index, data, bbox, fragment, kind, header_rows, spans,
    title}]}`, plus `pages` if *with_pages*; as CSV, with an empty line between tables; or as a workbook, see `to_xlsx`.

    Raises:
        ExtractionLimitError: if a table is too large for a worksheet.
    """
    if file_format == "xlsx":
        return to_xlsx([_trimmed(table) for table in tables] if look.trim else tables)
    if file_format == "csv":
        return look.encode_csv(table.data for table in tables)
    listed = [_describe(table, with_pages=with_pages) for table in tables]
    return json.dumps({"tables": listed}, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _describe(table: Table, *, with_pages: bool) -> dict[str, object]:
    described: dict[str, object] = {
        "page": table.pages[0],
        "table_index": table.table_index,
        "data": table.data,
        "bbox": list(table.bbox),
        "fragment": len(table.data) == 1 or len(table.data[0]) == 1,
        "kind": table.kind,
        "header_rows": table.header_rows,
        "spans": table.spans,
        "title": table.title,
    }
    return {**described, "pages": table.pages} if with_pages else described


# Workbooks

MAXIMUM_ROWS = 1_048_576  # of a worksheet, in Excel
MAXIMUM_COLUMNS = 16_384
MAXIMUM_CELL_UNITS = 32_767  # of UTF-16
MAXIMUM_FORMATS = 200  # of numbers; Excel takes 200 to 250
MAXIMUM_SHEETS = 1000  # with a table each; Excel has no limit, but takes seconds for each hundred
REFUSED_BY_XML = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def to_xlsx(tables: Sequence[Table]) -> bytes:
    """Return a workbook with a sheet for each table, named "p57 t3" after its page and index, or "p57-58 t3".

    Numbers are numbers where `read_cell` is certain; nothing is a formula or a link. Cells that span others are merged,
    and the head stays in view. Excel's limits: a cell keeps its
    first 32,767 characters; tables after the 1,000th share one last sheet, each below its name. Without any table, the
    only sheet says so.

    Raises:
        ExtractionLimitError: if a table has more rows or columns than a worksheet.
    """
    import xlsxwriter  # type: ignore[import-untyped]

    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False})
    formats = _Formats(book)
    for table in tables[:MAXIMUM_SHEETS]:
        sheet = book.add_worksheet(_sheet_name(table))
        _write_rows(sheet, 0, table, formats)
        if 0 < table.header_rows < len(table.data):
            sheet.freeze_panes(table.header_rows, 0)
    if len(tables) > MAXIMUM_SHEETS:
        sheet, row = book.add_worksheet("more tables"), 0
        for table in tables[MAXIMUM_SHEETS:]:
            _write_rows(sheet, row + 1, table, formats)
            sheet.write_string(row, 0, _sheet_name(table))
            row += len(table.data) + 2
    if not tables:
        book.add_worksheet("no tables").write_string(0, 0, "No tables were found.")
    book.close()
    return target.getvalue()


def _sheet_name(table: Table) -> str:
    pages = f"{table.pages[0]}-{table.pages[-1]}" if len(table.pages) > 1 else f"{table.pages[0]}"
    return f"p{pages} t{table.table_index}"


class _Formats(dict[str, Any]):
    """The formats of a workbook, by number format; after 200, new ones become General."""

    def __init__(self, book: Any) -> None:
        self._book = book
        self.date = book.add_format({"num_format": "yyyy-mm-dd"})
        self.merged = book.add_format({"valign": "top"})
        self.lines = book.add_format({"text_wrap": True})

    def __missing__(self, shown: str) -> Any:
        wanted = shown and len(self) < MAXIMUM_FORMATS
        self[shown] = self._book.add_format({"num_format": shown}) if wanted else None
        return self[shown]


def _write_rows(sheet: Any, start: int, table: Table, formats: _Formats) -> None:
    habits = find_habits(table.data)
    if start + len(table.data) > MAXIMUM_ROWS or len(habits) > MAXIMUM_COLUMNS:
        raise ExtractionLimitError(
            f"Table {table.table_index} has more rows or columns than a worksheet can hold; use CSV instead."
        )
    taken: set[tuple[int, int]] = set()
    for top, left, bottom, right in table.spans:
        places = {(row, column) for row in range(top, bottom + 1) for column in range(left, right + 1)}
        if len(places) > 1 and not places & taken and not any(table.data[y][x] for y, x in places - {(top, left)}):
            taken |= places
            sheet.merge_range(start + top, left, start + bottom, right, "", formats.merged)
    for row, column, cell in _filled_cells(table.data):
        found = read_cell(cell, habits[column])
        if isinstance(found, Number):
            sheet.write_number(start + row, column, found.value, formats[found.number_format])
        elif isinstance(found, date):
            sheet.write_datetime(start + row, column, found, formats.date)
        else:
            _write_text(sheet, start + row, column, found, formats.lines if "\n" in found else None)


def _filled_cells(rows: Rows) -> Iterator[tuple[int, int, str]]:
    for row_number, row in enumerate(rows):
        for column, cell in enumerate(row):
            if cell:
                yield row_number, column, cell


def _write_text(sheet: Any, row: int, column: int, text: str, look: Any) -> None:
    text = REFUSED_BY_XML.sub("", text)
    if len(text) > MAXIMUM_CELL_UNITS // 2:
        text = text.encode("utf-16-le")[: 2 * MAXIMUM_CELL_UNITS].decode("utf-16-le", "ignore")
    if text.startswith("<r>") and text.endswith("</r>"):  # which XlsxWriter would write as XML, unescaped
        sheet.write_rich_string(row, column, "<", "r", text[2:])
    elif text:
        sheet.write_string(row, column, text, look)
