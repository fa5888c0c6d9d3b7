"""Tables leave in good order: as CSV, JSON and workbooks that no spreadsheet runs."""

import csv
import io
import json
import zipfile

import pytest

from errors import ExtractionLimitError
from extraction.tables import tabular
from extraction.tables.tabular import Look, Table, to_csv, to_file, to_xlsx
from support.workbooks import Cell, read_workbook

HEAD: list[str | None] = ["item", "price"]


def table(*rows: list[str | None], page: int = 57, index: int = 3) -> Table:
    return Table([page], index, rows, (72, 72, 540, 144))


def cells(*rows: list[str | None]) -> dict[str, Cell]:
    (sheet,) = read_workbook(to_xlsx([table(*rows)])).values()
    return sheet


# CSV


def test_tables_in_one_csv_have_an_empty_line_between() -> None:
    text = to_file([table(HEAD, ["paper", None]), table(["=1+1"])], "csv", with_pages=False).decode()

    assert text == "item,price\r\npaper,\r\n\r\n'=1+1\r\n"
    assert to_file([], "csv", with_pages=False) == b""


@pytest.mark.parametrize("cell", ["=1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(1)", "\t=1", "\r=1", " =1", "+1+1"])
def test_a_formula_gets_an_apostrophe(cell: str) -> None:
    assert list(csv.reader(io.StringIO(to_csv([[cell]]), newline=""))) == [["'" + cell]]


@pytest.mark.parametrize("cell", ["-1", "+1.5", "-1,250.00", "-12 %", "text", "a=b"])
def test_what_is_no_formula_stays_as_it_is(cell: str) -> None:
    assert list(csv.reader(io.StringIO(to_csv([[cell]])))) == [[cell]]


# JSON


def test_json_tells_each_table_and_its_pages_if_they_are_wanted() -> None:
    whole = Table([57, 58], 3, [HEAD, ["Größe", None]], (72, 72, 540, 144))
    described = {
        "page": 57,
        "table_index": 3,
        "data": [HEAD, ["Größe", None]],
        "bbox": [72, 72, 540, 144],
        "fragment": False,
        "kind": "ruled",
        "header_rows": 0,
        "spans": [],
        "title": "",
    }

    assert json.loads(to_file([whole], "json", with_pages=False)) == {"tables": [described]}
    assert json.loads(to_file([whole], "json", with_pages=True)) == {"tables": [{**described, "pages": [57, 58]}]}


# Workbooks


def test_each_table_has_a_sheet_named_by_its_pages_and_its_index() -> None:
    book = to_xlsx([table(["a"]), Table([57, 58, 59], 4, [["b"]], (0, 0, 1, 1)), table(["c"], page=10**6, index=10**7)])

    assert {name: sheet["A1"].value for name, sheet in read_workbook(book).items()} == {
        "p57 t3": "a",
        "p57-59 t4": "b",
        "p1000000 t10000000": "c",
    }


def test_numbers_and_dates_are_what_they_are_and_look_as_they_did() -> None:
    sheet = cells(
        ["date", "amount", "share", "price", "no"],
        ["2026-11-23", "1,234.50", "12.5 %", "$9.99", "007"],
        [None, "(1,234)", "-3%", "12 €", "8"],
    )

    assert sheet["A2"] == Cell(46349, "yyyy-mm-dd")
    assert (sheet["B2"], sheet["B3"]) == (Cell(1234.5, "#,##0.00"), Cell(-1234, "#,##0;(#,##0)"))
    assert (sheet["C2"], sheet["C3"]) == (Cell(0.125, "0.0%"), Cell(-0.03, "0%"))
    assert (sheet["D2"], sheet["D3"]) == (Cell(9.99, '"$"0.00'), Cell(12, '0 "€"'))
    assert (sheet["E2"], sheet["E3"]) == (Cell("007"), Cell("8"))
    assert "A3" not in sheet


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        '=HYPERLINK("http://example.com")',
        "+1+1",
        "@SUM(A1)",
        "{=1}",
        "http://example.com",
        "mailto:a@example.com",
        "internal:Sheet1!A1",
        "<r><t>x</t></r>",
        "<r></t></si><si><t>other</t></si></r>",
        "<r></r>",
        "&lt; <b> ]]> \" '",
        "_x0041_",
        " two spaces  ",
        "two\nlines",
        "ﬁ 🦑 نص",
    ],
)
def test_text_stays_text(text: str) -> None:
    assert cells([text, "x"]) == {"A1": Cell(text), "B1": Cell("x")}


def test_what_xml_refuses_is_left_out() -> None:
    assert cells(["a\x00\x01\x0b\x1f\x7fb\ufffe\uffff\ud800c", "\x00"]) == {"A1": Cell("abc")}


def test_there_are_no_more_formats_than_excel_takes() -> None:
    shapes = ["${}", "€{}", "£{}", "¥{}", "{}$", "{}€", "{}£", "{}¥", "({})", "{}"]
    numbers = [whole + "." + "7" * decimals for whole in ("1", "1,000") for decimals in range(1, 12)]
    rows: list[list[str | None]] = [[shape.format(number) for shape in shapes] for number in numbers]

    sheet = cells(*rows)

    assert len(shapes) * len(numbers) > 200
    assert len({cell.number_format for cell in sheet.values() if cell.number_format}) == 200
    assert all(isinstance(cell.value, float) for cell in sheet.values())


@pytest.mark.parametrize(("char", "kept"), [("x", 32_767), ("🦑", 16_383)])
def test_a_cell_keeps_what_excel_takes(char: str, kept: int) -> None:
    assert cells([char * 40_000]) == {"A1": Cell(char * kept)}


def test_a_text_that_is_cut_to_look_like_markup_is_text() -> None:
    text = "<r>" + "x" * (32_767 - 7) + "</r>"

    assert cells([text + " and more"]) == {"A1": Cell(text)}


def test_too_many_tables_share_the_last_sheet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tabular, "MAXIMUM_SHEETS", 2)

    book = read_workbook(to_xlsx([table([str(index), "x"], ["y", "z"], index=index) for index in range(4)]))

    assert list(book) == ["p57 t0", "p57 t1", "more tables"]
    more = book["more tables"]
    assert [more[place].value for place in ("A1", "A2", "B2", "A3", "B3")] == ["p57 t2", 2, "x", "y", "z"]
    assert [more[place].value for place in ("A5", "A6", "B6", "A7", "B7")] == ["p57 t3", 3, "x", "y", "z"]
    assert len(more) == 10


@pytest.mark.parametrize("rows", [[["x"]] * 1_048_577, [["x"] * 16_385]], ids=["rows", "columns"])
def test_a_table_beyond_a_worksheet_is_refused(rows: list[list[str | None]]) -> None:
    with pytest.raises(ExtractionLimitError, match="Table 3 has more rows or columns"):
        to_xlsx([table(*rows)])


def test_without_tables_the_workbook_says_so() -> None:
    assert read_workbook(to_xlsx([])) == {"no tables": {"A1": Cell("No tables were found.")}}


def test_cells_that_span_others_are_merged_and_the_head_stays_in_view() -> None:
    rows: list[list[str | None]] = [["item", "price", None], [None, "net", "gross"], ["tea", "1.50", "2.00"]]
    spanning = table(*rows)._replace(header_rows=2, spans=[(0, 0, 1, 0), (0, 1, 0, 2)])

    with zipfile.ZipFile(io.BytesIO(to_xlsx([spanning]))) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    (shown,) = read_workbook(to_xlsx([spanning])).values()

    assert '<mergeCell ref="A1:A2"/>' in sheet
    assert '<mergeCell ref="B1:C1"/>' in sheet
    assert '<pane ySplit="2" topLeftCell="A3"' in sheet
    assert shown["C3"].value == 2.0


@pytest.mark.parametrize("spans", [[(0, 0, 1, 1)], [(0, 0, 0, 1), (0, 1, 1, 1)]], ids=["over a filled cell", "twice"])
def test_a_span_that_would_hide_a_cell_is_not_merged(spans: list[tuple[int, int, int, int]]) -> None:
    rows: list[list[str | None]] = [["a", None], ["b", "c"]]

    (sheet,) = read_workbook(to_xlsx([table(*rows)._replace(spans=spans)])).values()

    assert [sheet[place].value for place in ("A1", "A2", "B2")] == ["a", "b", "c"]


def test_csv_without_its_empty_rows_and_columns() -> None:
    rows: list[list[str | None]] = [["a", "", None, "b"], [None, " ", "", ""], ["", "", None, "c"]]

    assert Look(trim=True).encode_csv([rows]) == b"a,b\r\n,c\r\n"
    assert Look(bom=True).encode_csv([[["a"]], [["b"]]]) == b"\xef\xbb\xbfa\r\n\r\nb\r\n"


def test_a_workbook_without_its_empty_rows_and_columns_keeps_its_head_and_its_spans() -> None:
    rows: list[list[str | None]] = [
        ["item", None, "price", None, None],
        [None, None, None, None, None],
        [None, None, "net", None, "gross"],
        ["tea", None, "1.50", "", "2.00"],
    ]
    spanning = table(*rows)._replace(header_rows=3, spans=[(0, 0, 2, 0), (0, 2, 0, 4), (3, 0, 3, 1)])

    book = to_file([spanning], "xlsx", with_pages=False, look=Look(trim=True))

    with zipfile.ZipFile(io.BytesIO(book)) as parts:
        sheet = parts.read("xl/worksheets/sheet1.xml").decode()
    (shown,) = read_workbook(book).values()
    assert shown == {
        "A1": Cell("item"),
        "B1": Cell("price"),
        "B2": Cell("net"),
        "C2": Cell("gross"),
        "A3": Cell("tea"),
        "B3": Cell(1.5, "0.00"),
        "C3": Cell(2.0, "0.00"),
    }
    assert '<mergeCells count="2"><mergeCell ref="A1:A2"/><mergeCell ref="B1:C1"/></mergeCells>' in sheet
    assert '<pane ySplit="2" topLeftCell="A3"' in sheet


def test_a_workbook_of_an_empty_table_can_be_trimmed() -> None:
    assert list(read_workbook(to_file([table([None, ""])], "xlsx", with_pages=False, look=Look(trim=True)))) == [
        "p57 t3"
    ]
