"""Exported tables: as JSON, CSV and workbooks, single and joined over pages, of documents and of uploaded PDFs."""

import csv
import io
from typing import Any

import httpx
import pytest

from support.databases import TestDatabase
from support.documents import refusal, upload
from support.layouts import draw_rows, level_rules, upright_rules
from support.pdfs import make_book, make_encrypted_pdf, make_pdf, make_table_pdf
from support.servers import Person
from support.workbooks import Cell, read_workbook

XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
ROWS = [["item", "price"], ["paper", "-12.50"], ["=1+1", '@home, "quoted"']]
SAFE_ROWS = [*ROWS[:2], ["'=1+1", '\'@home, "quoted"']]
LONG = [["item", "price"], *([f"item {number}", f"{number}.50"] for number in range(1, 81))]


@pytest.fixture
def price_list(alice: Person) -> int:
    return upload(alice, make_table_pdf(ROWS, text="Prices"), "Preise 李.PDF")


@pytest.fixture
def long_list(alice: Person) -> int:
    """A table over three pages, with its header on each."""
    return upload(alice, make_table_pdf(LONG, text="Prices"))


def tables(person: Person, document_id: int, **query: Any) -> Any:
    answer = person.client.get(f"/documents/{document_id}/tables", params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["tables"]


def extract(person: Person, data: bytes, filename: str = "book.pdf", **query: Any) -> httpx.Response:
    answer = person.client.post("/extract/tables", files={"file": (filename, data)}, params=query)
    assert answer.status_code == 200, answer.text
    return answer


def rows_of(answer: httpx.Response) -> list[list[str]]:
    return list(csv.reader(io.StringIO(answer.text, newline="")))


# Of a document


def test_a_table_has_its_place_on_the_page(alice: Person, price_list: int) -> None:
    (table,) = tables(alice, price_list)

    assert (table["page"], table["table_index"], table["data"], table["fragment"]) == (1, 0, ROWS, False)
    x0, top, x1, bottom = table["bbox"]
    assert 0 < x0 < x1 < 595
    assert 0 < top < bottom < 842


@pytest.mark.parametrize("merge", [0, 1])
def test_tables_of_one_page_are_returned_on_request(alice: Person, merge: int) -> None:
    document_id = upload(alice, make_book(10))  # a table on pages 5 and 10

    def pages_of(**query: int) -> list[int]:
        return [table["page"] for table in tables(alice, document_id, merge=merge, **query)]

    assert (pages_of(), pages_of(page=10), pages_of(page=1)) == ([5, 10], [10], [])


def test_a_frame_is_a_fragment(alice: Person) -> None:
    document_id = upload(alice, make_table_pdf([["one", "row"]]))

    assert [table["fragment"] for table in tables(alice, document_id)] == [True]


def test_a_table_that_continues_over_pages_is_joined_on_request(alice: Person, long_list: int) -> None:
    parts = tables(alice, long_list)
    (whole,) = tables(alice, long_list, merge=1)

    assert [part["page"] for part in parts] == [1, 2, 3]
    assert [part["data"][0] for part in parts] == [LONG[0]] * 3
    assert "pages" not in parts[0]
    assert whole == {**parts[0], "data": LONG, "pages": [1, 2, 3]}
    assert tables(alice, long_list, merge=1, page=3) == [whole]


def test_csv_holds_no_formula(alice: Person, price_list: int) -> None:
    answer = alice.client.get(f"/documents/{price_list}/tables/0.csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert "filename*=UTF-8''Preise%20%E6%9D%8E-0.csv" in answer.headers["content-disposition"]
    assert rows_of(answer) == SAFE_ROWS


@pytest.mark.parametrize("index", [0, 1, 2])
def test_the_csv_of_a_part_is_that_of_the_whole_on_request(alice: Person, long_list: int, index: int) -> None:
    path = f"/documents/{long_list}/tables/{index}.csv"

    assert rows_of(alice.client.get(path)) == tables(alice, long_list)[index]["data"]
    assert rows_of(alice.client.get(path, params={"merge": 1})) == LONG


@pytest.mark.parametrize("index", ["1", "99", "2147483647"])
@pytest.mark.parametrize("merge", [0, 1])
def test_a_table_past_the_last_is_not_found(alice: Person, price_list: int, index: str, merge: int) -> None:
    answer = alice.client.get(f"/documents/{price_list}/tables/{index}.csv", params={"merge": merge})

    assert refusal(answer) == (404, "table_not_found")


def test_all_tables_are_one_csv(alice: Person) -> None:
    document_id = upload(alice, make_book(10))

    answer = alice.client.get(f"/documents/{document_id}/tables.csv")

    first, second = tables(alice, document_id)
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('inline; filename="book.csv"')
    assert rows_of(answer) == [*first["data"], [], *second["data"]]


@pytest.mark.parametrize("file", ["tables.csv", "tables.xlsx", "tables/0.csv"])
def test_tables_are_saved_where_that_is_asked_for(alice: Person, price_list: int, file: str) -> None:
    answer = alice.client.get(f"/documents/{price_list}/{file}?download=1")

    assert answer.headers["content-disposition"].startswith("attachment; ")


def test_all_tables_are_one_workbook(alice: Person, price_list: int) -> None:
    answer = alice.client.get(f"/documents/{price_list}/tables.xlsx")

    assert answer.headers["content-type"] == XLSX
    assert "filename*=UTF-8''Preise%20%E6%9D%8E.xlsx" in answer.headers["content-disposition"]
    sheet = read_workbook(answer.content)["p1 t0"]
    assert (sheet["A2"], sheet["B2"]) == (Cell("paper"), Cell(-12.5, "0.00"))
    assert (sheet["A3"], sheet["B3"]) == (Cell("=1+1"), Cell('@home, "quoted"'))


def test_a_workbook_of_joined_tables_has_one_sheet_for_each(alice: Person, long_list: int) -> None:
    def sheets(**query: Any) -> dict[str, int]:
        answer = alice.client.get(f"/documents/{long_list}/tables.xlsx", params=query)
        return {name: len(cells) // 2 for name, cells in read_workbook(answer.content).items()}

    assert sheets(merge=1) == {"p1-3 t0": len(LONG)}
    assert list(sheets()) == ["p1 t0", "p2 t1", "p3 t2"]
    assert list(sheets(page=2)) == ["p2 t1"]


def test_a_document_without_tables_gives_empty_files(alice: Person) -> None:
    document_id = upload(alice, make_pdf("no table"))

    def get(name: str) -> httpx.Response:
        return alice.client.get(f"/documents/{document_id}/{name}")

    assert tables(alice, document_id) == tables(alice, document_id, merge=1) == []
    assert (get("tables.csv").status_code, get("tables.csv").content) == (200, b"")
    assert read_workbook(get("tables.xlsx").content) == {"no tables": {"A1": Cell("No tables were found.")}}


@pytest.mark.parametrize("path", ["tables", "tables?merge=1", "tables.csv", "tables.xlsx", "tables/0.csv"])
def test_tables_of_another_users_document_are_not_found(alice: Person, bob: Person, price_list: int, path: str) -> None:
    assert alice.client.get(f"/documents/{price_list}/{path}").status_code == 200
    assert refusal(bob.client.get(f"/documents/{price_list}/{path}")) == (404, "document_not_found")


@pytest.mark.parametrize("path", ["tables", "tables?merge=1", "tables.csv", "tables.xlsx", "tables/0.csv"])
def test_tables_of_a_processing_document_are_not_ready(
    alice: Person, price_list: int, database: TestDatabase, path: str
) -> None:
    database.query("UPDATE documents SET status = 'processing', node_id = 0 WHERE id = %s", price_list)

    assert refusal(alice.client.get(f"/documents/{price_list}/{path}")) == (409, "document_not_ready")


def test_parts_on_unknown_pages_are_joined_by_their_headers(
    alice: Person, long_list: int, database: TestDatabase
) -> None:
    database.query("DELETE FROM pages WHERE document_id = %s", long_list)

    assert [table["pages"] for table in tables(alice, long_list, merge=1)] == [[1, 2, 3]]


def test_the_tables_of_a_pdf_are_extracted_in_one_step(alice: Person) -> None:
    data = make_table_pdf(LONG, text="Prices")

    parts = extract(alice, data).json()["tables"]
    (whole,) = extract(alice, data, merge=1).json()["tables"]

    stored = tables(alice, upload(alice, data))
    assert [{**part, "bbox": None} for part in parts] == [{**table, "bbox": None} for table in stored]
    assert parts[0]["bbox"] == pytest.approx(stored[0]["bbox"], abs=0.01)
    assert whole == {**parts[0], "data": LONG, "pages": [1, 2, 3]}


def test_extracting_tables_stores_nothing(alice: Person) -> None:
    extract(alice, make_table_pdf(ROWS), format="xlsx")

    assert alice.client.get("/documents").json()["documents"] == []


def test_the_tables_of_a_pdf_are_extracted_as_csv(alice: Person) -> None:
    answer = extract(alice, make_table_pdf(ROWS), "prices.pdf", format="csv")

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith('inline; filename="prices.csv"')
    assert rows_of(answer) == SAFE_ROWS


def test_the_tables_of_a_pdf_are_extracted_as_a_workbook(alice: Person) -> None:
    answer = extract(alice, make_table_pdf(LONG), "prices.pdf", format="xlsx", merge=1)

    assert answer.headers["content-type"] == XLSX
    assert answer.headers["content-disposition"].startswith('inline; filename="prices.xlsx"')
    assert read_workbook(answer.content)["p1-3 t0"]["B81"] == Cell(80.5, "0.00")


@pytest.mark.parametrize(
    ("filename", "named"),
    [("a.PDF", "a.xlsx"), ("a.pdf.pdf", "a.pdf.xlsx"), ("a.b", "a.b.xlsx"), (".pdf", ".pdf.xlsx")],
)
def test_a_workbook_is_named_after_its_pdf(alice: Person, filename: str, named: str) -> None:
    answer = extract(alice, make_table_pdf(ROWS), filename, format="xlsx")

    assert f'filename="{named}"' in answer.headers["content-disposition"]


def test_a_pdf_without_tables_gives_empty_files(alice: Person) -> None:
    data = make_pdf("no table")

    assert extract(alice, data).json() == {"tables": []}
    assert extract(alice, data, format="csv").content == b""
    assert list(read_workbook(extract(alice, data, format="xlsx").content)) == ["no tables"]


def test_a_pdf_with_a_password_opens_with_it(alice: Person) -> None:
    files = {"file": ("book.pdf", make_encrypted_pdf("hush", user_password="opensesame"))}

    opened = alice.client.post("/extract/tables", files=files, data={"password": "opensesame"})
    refused = alice.client.post("/extract/tables", files=files)

    assert (opened.status_code, opened.json()) == (200, {"tables": []})
    assert refusal(refused) == (400, "password_required")


@pytest.mark.parametrize("query", ["format=pdf", "format=", "merge=perhaps"])
def test_an_unknown_format_of_tables_is_refused(alice: Person, query: str) -> None:
    answer = alice.client.post(f"/extract/tables?{query}", files={"file": ("a.pdf", make_table_pdf(ROWS))})

    assert refusal(answer) == (422, "validation_error")


# Without rules


UNRULED = [["Item", "Pieces", "Price"], ["Paper", "12", "3.50"], ["Ink", "3", "12.00"], ["Pens", "", "1.20"]]


@pytest.fixture
def stationery(alice: Person) -> int:
    """A table with two rules only, under a caption; pdfplumber takes its frame for one of one cell each row."""
    rules = level_rules([712, 648], 70, 335) + upright_rules([70, 200, 335], 712, 648)
    return upload(alice, draw_rows(UNRULED, [76, 250, 330], right=True, rules=rules, above=["", "Table 1. Stationery"]))


def test_a_stored_table_tells_its_kind_head_spans_and_title(alice: Person, stationery: int) -> None:
    (table,) = tables(alice, stationery)
    (joined,) = tables(alice, stationery, merge=1)

    assert (table["kind"], table["data"], table["header_rows"], table["spans"]) == ("unruled", UNRULED, 1, [])
    assert table["title"] == "Table 1. Stationery"
    assert joined == {**table, "pages": [1]}


def test_the_tables_of_pdfplumber_are_there_on_request(alice: Person, stationery: int) -> None:
    (stored,) = tables(alice, stationery, kind="ruled")
    (sent,) = extract(alice, alice.client.get(f"/documents/{stationery}/file").content, kind="ruled").json()["tables"]

    assert (stored["kind"], stored["table_index"], len(stored["data"][0])) == ("ruled", 0, 2)
    assert stored == sent
    assert alice.client.get(f"/documents/{stationery}/tables/1.csv", params={"kind": "ruled"}).status_code == 404
    assert alice.client.get(f"/documents/{stationery}/tables", params={"kind": "other"}).status_code == 422


@pytest.mark.parametrize("path", ["tables.csv", "tables/0.csv"])
def test_csv_begins_with_a_byte_order_mark_on_request(alice: Person, stationery: int, path: str) -> None:
    plain = alice.client.get(f"/documents/{stationery}/{path}").content

    marked = alice.client.get(f"/documents/{stationery}/{path}", params={"bom": 1}).content

    assert marked == b"\xef\xbb\xbf" + plain
    assert plain.startswith(b"Item,")


@pytest.mark.parametrize("path", ["tables.csv", "tables/0.csv"])
def test_csv_leaves_out_what_is_empty_on_request(alice: Person, path: str) -> None:
    table = upload(alice, make_table_pdf([["item", "", "price"], ["", "", ""], ["tea", "", "3"]]))

    answer = alice.client.get(f"/documents/{table}/{path}", params={"trim": 1})

    assert rows_of(answer) == [["item", "price"], ["tea", "3"]]


def test_a_workbook_leaves_out_what_is_empty_on_request(alice: Person) -> None:
    table = upload(alice, make_table_pdf([["item", "", "price"], ["", "", ""], ["tea", "", "3"]]))

    answer = alice.client.get(f"/documents/{table}/tables.xlsx", params={"trim": 1})

    (sheet,) = read_workbook(answer.content).values()
    assert {place: cell.value for place, cell in sheet.items()} == {"A1": "item", "B1": "price", "A2": "tea", "B2": 3}
