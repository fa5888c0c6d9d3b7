"""Numbers are read where their column makes it certain; everything else stays the text that it was."""

from datetime import date

import pytest

from extraction.tables.numerals import Number, find_habits, read_cell


def read(*column: str | None) -> list[object]:
    """The values of one column below a head; numbers without their formats."""
    found = read_table(*([cell] for cell in column))
    return [row[0] for row in found]


def read_table(*rows: list[str | None]) -> list[list[object]]:
    rows = ([f"head {number}" for number in range(len(rows[0]))], *rows)
    habits = find_habits(rows)

    def value(cell: str | None, column: int) -> object:
        found = None if cell is None else read_cell(cell, habits[column])
        return found.value if isinstance(found, Number) else found

    return [[value(cell, column) for column, cell in enumerate(row)] for row in rows[1:]]


@pytest.mark.parametrize(
    ("cell", "value"),
    [
        ("0", 0),
        ("57", 57),
        (" 57 ", 57),
        ("-57", -57),
        ("\u221257", -57),
        ("+57", 57),
        ("12.50", 12.5),
        ("12,50", 12.5),
        (".5", 0.5),
        ("0.123", 0.123),
        ("0,123", 0.123),
        ("1234.567", 1234.567),
        ("1,234.50", 1234.5),
        ("1.234,50", 1234.5),
        ("1 234,50", 1234.5),
        ("1 234.50", 1234.5),
        ("1\u00a0234", 1234),
        ("1\u202f234\u202f567", 1234567),
        ("1'234.50", 1234.5),
        ("1’234", 1234),
        ("1,234,567", 1234567),
        ("1.234.567", 1234567),
        ("(1,234.50)", -1234.5),
        ("12%", 0.12),
        ("12.5 %", 0.125),
        ("-0,1%", -0.001),
        ("$5", 5),
        ("$ 1,234.50", 1234.5),
        ("-$5.00", -5),
        ("$(5.00)", -5),
        ("($5.00)", -5),
        ("5,00 €", 5),
        ("£0.99", 0.99),
        ("999999999999999", 999999999999999),
    ],
)
def test_a_number_is_read(cell: str, value: float) -> None:
    assert read(cell, "text", None, "") == [value, "text", None, ""]


@pytest.mark.parametrize(
    "cell",
    [
        "007",
        "00",
        "1.2.3",
        "192.168.100.200",
        "1234567890123456",
        "0.1234567890123456",
        "+4915112345678",
        "+49 151 123 456",
        "555-1234",
        "(555) 123-4567",
        "0800 123 456",
        "555 123 456",
        "1 234",
        "10 2000",
        "12,34,567.00",
        "1,2,3",
        "(1)",
        "1-2",
        "- 5",
        "5-",
        "--5",
        "(5",
        "5)",
        "(-5)",
        "$5%",
        "$5 €",
        "1/2",
        "1e5",
        "0x10",
        "10:30",
        "5 kg",
        "5.",
        "5,",
        ",5",
        "٣",
        "²",
        "1,234\n5",
        "nan",
        "inf",
        "-",
        "%",
        "1" * 50,
    ],
)
def test_what_is_not_certain_stays_text(cell: str) -> None:
    assert read(cell) == [cell]


def test_a_comma_is_decimal_where_the_column_says_so() -> None:
    assert read("1,234", "12,5") == [1.234, 12.5]
    assert read("1,234", "12.5") == [1234, 12.5]
    assert read("1.234", "12,5") == [1234, 12.5]
    assert read("1.234", "12.5") == [1.234, 12.5]


def test_commas_alone_set_thousands_apart_where_all_numbers_agree() -> None:
    assert read("1,234", "999", "12,345") == [1234, 999, 12345]
    assert read("1,234", "9999") == ["1,234", 9999]
    assert read("1,234", "1.234") == ["1,234", "1.234"]


def test_points_alone_are_not_certain() -> None:
    assert read("1.234", "999") == ["1.234", 999]


def test_years_over_a_column_do_not_count() -> None:
    assert read("2025", "1,234") == [2025, 1234]


def test_a_column_that_does_not_know_its_mark_asks_the_table() -> None:
    assert read_table(["1,234", "1.234", "9,5"]) == [[1.234, 1234, 9.5]]
    assert read_table(["1,234", "1.234", "9.5"]) == [[1234, 1.234, 9.5]]
    assert read_table(["1,234", "1.234", "9.5"], ["", "", "9,5"]) == [["1,234", "1.234", "9.5"], ["", "", "9,5"]]


def test_a_column_of_codes_is_text_to_its_last_cell() -> None:
    assert read("007", "8", "9.5") == ["007", "8", "9.5"]
    assert read("1", "1.1", "1.1.1", "1.10") == ["1", "1.1", "1.1.1", "1.10"]


def test_spaces_are_no_gap_between_numbers_where_the_table_says_so() -> None:
    assert read("12 345", "1 234,50") == [12345, 1234.5]
    assert read("12 345", "67") == ["12 345", 67]


def test_small_numbers_in_parentheses_are_losses_beside_others() -> None:
    assert read("(7)", "12") == [-7, 12]
    assert read("(1)", "(2)") == ["(1)", "(2)"]


def test_an_iso_date_is_a_date_and_others_are_text() -> None:
    assert read("2026-11-23", "2024-02-29", "1900-03-01") == [date(2026, 11, 23), date(2024, 2, 29), date(1900, 3, 1)]
    for text in ("2026-02-30", "1899-12-31", "23.11.2026", "11/23/2026", "23 Nov 2026", "2026-11", "20261123T10"):
        assert read(text) == [text]


def test_a_date_over_amounts_leaves_them_numbers() -> None:
    assert read("31.12.2025", "1.234,50") == ["31.12.2025", 1234.5]
