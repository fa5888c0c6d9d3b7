"""Tables without rules are found, and what only looks like one is not; ruled grids stay where they part the text."""

import io
from functools import partial
from itertools import pairwise
from pathlib import Path

import pdfplumber
import pytest

from extraction.values import Table
from pdf import PdfEngine
from support.engines import Run, Save, save_pdf
from support.layouts import Rule, draw_rows, level_rules, upright_rules
from support.lookalikes import LOOKALIKES, draw_lookalike
from support.pdfs import write_page

PRICES = [
    ["Item", "Pieces", "Price", "Total"],
    ["Paper", "12", "3.50", "42.00"],
    ["Ink, black", "3", "12.00", "36.00"],
    ["Envelopes", "200", "0.05", "10.00"],
    ["Staples", "5", "1.20", "6.00"],
]
PLACES = [72.0, 250.0, 330.0, 410.0]


@pytest.fixture
def find(run: Run, engine: PdfEngine, tmp_path: Path) -> "Find":
    return Find(run, engine, partial(save_pdf, tmp_path))


class Find:
    """Finds the tables of a file's bytes."""

    def __init__(self, run: Run, engine: PdfEngine, save: Save) -> None:
        self._run, self._engine, self._save = run, engine, save

    def __call__(self, data: bytes, *, ruled: bool = False) -> list[Table]:
        found = self._run(self._engine.extract(self._save(data), wanted="ruled" if ruled else "all"))
        return found.tables  # type: ignore[no-any-return]


# Columns and rows


def test_numbers_under_a_head_are_a_table(find: Find) -> None:
    (table,) = find(draw_rows(PRICES, PLACES, right=True))

    assert (table.kind, table.header_rows, table.spans, table.data) == ("unruled", 1, [], PRICES)


def test_its_place_is_that_of_its_words(find: Find) -> None:
    (table,) = find(draw_rows(PRICES, PLACES, right=True))

    x0, top, x1, bottom = table.bbox
    assert [x0, x1] == pytest.approx([72, 410], abs=1)
    assert 792 - 712 < top < 792 - 700 < bottom < 792 - 630


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_a_turned_table_reads_as_if_it_were_upright(find: Find, turned: int) -> None:
    (table,) = find(draw_rows(PRICES, PLACES, right=True, turned=turned))

    assert table.data == PRICES


def test_a_page_number_beside_a_turned_table_is_in_no_cell(find: Find) -> None:
    drawn = [
        b"BT /F1 10 Tf 0 1 -1 0 %d %d Tm (%s) Tj ET" % (300 + 16 * number, place, cell.encode())
        for number, row in enumerate(PRICES)
        for place, cell in zip((100, 280, 360, 440), row, strict=True)
    ]

    (table,) = find(write_page(b" ".join([*drawn, b"BT /F1 10 Tf 329 80 Td (54) Tj ET"])))

    assert table.data == PRICES


def test_cells_that_nearly_touch_are_parted_if_they_are_numbers(find: Find) -> None:
    figures = ["2,753,438", "2,799,250", "2,815,544"]
    rows = [["Year", "North", "South", "West"], *([f"{year}", *figures] for year in range(1990, 1995))]

    (table,) = find(draw_rows(rows, [72, 150, 197, 244], right=True))

    assert table.data == rows


def test_thousands_set_apart_by_spaces_are_one_number(find: Find) -> None:
    rows = [["Region", "2001", "2002"], *([name, "15 455", "1 649 692"] for name in ("North", "South", "West"))]

    (table,) = find(draw_rows(rows, [72, 250, 350], right=True))

    assert table.data == rows


def test_a_label_on_two_lines_is_one_cell(find: Find) -> None:
    rows = [*PRICES[:3], ["Envelopes with a window and"], ["self-sealing flaps", "200", "0.05", "10.00"], *PRICES[4:]]

    (table,) = find(draw_rows(rows, PLACES, right=True, step=12))

    assert [row[0] for row in table.data][3:] == ["Envelopes with a window and\nself-sealing flaps", "Staples"]


def test_a_section_has_a_row_of_its_own(find: Find) -> None:
    rows = [*PRICES[:3], ["Second-hand"], *PRICES[3:]]

    (table,) = find(draw_rows(rows, PLACES, right=True))

    assert table.data[3] == ["Second-hand", "", "", ""]
    assert len(table.data) == 6


def test_a_cell_over_two_columns_spans_them(find: Find) -> None:
    rows = [["", "First half", "", "Second half"], ["Item", "Q1", "Q2", "Q3", "Q4"]]
    rows += [[name, "10.5", "11.5", "12.5", "13.5"] for name in ("Paper", "Ink", "Pens")]
    head = level_rules([712, 648], 72, 480) + level_rules([696], 150, 290) + level_rules([696], 340, 480)

    (table,) = find(draw_rows(rows, [72, 190, 260, 370, 450], rules=head))

    assert table.header_rows == 2
    assert table.spans == [(0, 0, 1, 0), (0, 1, 0, 2), (0, 3, 0, 4)]
    assert table.data[0] == ["Item", "First half", None, "Second half", None]
    assert table.data[1] == [None, "Q1", "Q2", "Q3", "Q4"]


def test_rules_under_spanning_cells_do_not_end_the_head(find: Find) -> None:
    rows = [["", "Actual", "", "Projected"], ["State", "2003", "2004", "2005", "2006"]]
    rows += [[name, "753,438", "799,250", "815,544", "893,045"] for name in ("Maine", "Ohio", "Utah")]
    head = level_rules([712, 680], 60, 400) + level_rules([696], 100, 240) + level_rules([696], 250, 400)

    (table,) = find(draw_rows(rows, [62, 145, 195, 310, 355], rules=head))

    assert (table.header_rows, table.spans) == (2, [(0, 0, 1, 0), (0, 1, 0, 2), (0, 3, 0, 4)])


def test_the_unit_over_the_first_rule_is_not_all_of_the_head(find: Find) -> None:
    rows = [["", "Census of 2014", "", "(thousands)"], ["Country", "Births", "Deaths", "Moved"]]
    rows += [[name, "753", "799", "815"] for name in ("Maine", "Ohio", "Utah")]
    rules = level_rules([696, 680, 620], 60, 420)

    (table,) = find(draw_rows(rows, [62, 200, 280, 360], rules=rules))

    assert (table.header_rows, table.data[:2]) == (2, rows[:2])


def test_upright_rules_in_a_head_tell_what_its_cells_span(find: Find) -> None:
    rows = [["", "", "Grown men", "", "Grown women"], ["Town", "All", "Old", "Young", "Old", "Young"]]
    rows += [[name, "30", "7", "8", "9", "6"] for name in ("Leeds", "York", "Bath", "Hull")]
    places = [62, 130, 200, 270, 340, 410]
    rules = [*level_rules([714, 678, 610], 60, 450), *upright_rules([190, 330, 450], 678, 714)]
    rules += upright_rules([260, 400], 678, 696)

    (table,) = find(draw_rows(rows, places, rules=rules))

    assert table.data[:2] == [["Town", "All", "Grown men", None, "Grown women", None], [None, None, *rows[1][2:]]]
    assert [0, 2, 0, 3] in map(list, table.spans)


def test_a_head_of_two_lines_spans_no_column_beside_it(find: Find) -> None:
    rows = [["", "", "", "Unit", ""], ["Town", "All", "Item", "price", "Total"]]
    rows += [[name, "30", "7", "8", "9"] for name in ("Leeds", "York", "Bath", "Hull")]
    rules = [*level_rules([714, 684, 610], 60, 400), *upright_rules([190, 330], 684, 714)]

    (table,) = find(draw_rows(rows, [62, 130, 200, 270, 340], step=12, rules=rules))

    assert table.data[0] == ["Town", "All", "Item", "Unit\nprice", "Total"]


def test_cells_over_one_rule_share_the_columns_below_it(find: Find) -> None:
    rows = [["", "", "Plan", "", "Other"], ["Town", "New", "Old", "All", "New", "All"]]
    rows += [[name, "30", "7", "37", "9", "9"] for name in ("Leeds", "York", "Bath", "Hull")]
    rules = [*level_rules([714, 678, 610], 20, 450), (125, 695, 430, 695)]

    (table,) = find(draw_rows(rows, [20, 130, 200, 270, 340, 410], rules=rules))

    assert table.data[0][1:] == ["Plan", None, None, "Other", None]


def test_a_part_for_each_column_of_a_stack_is_its_own(find: Find) -> None:
    rows = [["", "", "With", "Folk", "Not"], ["Town", "Rhythm", "holding", "method", "using"]]
    rows += [[name, "11.2", "7.4", "0.4", "3.1"] for name in ("Leeds", "York", "Bath", "Hull")]

    (table,) = find(draw_rows(rows, [62, 130, 167, 203, 280], step=12))

    assert table.data[0] == ["Town", "Rhythm", "With\nholding", "Folk\nmethod", "Not\nusing"]


def test_columns_that_only_a_head_and_totals_fill_are_columns(find: Find) -> None:
    rows = [["Town", "Men", "Lent", "Women"]]
    rows += [[f"Town {number}", str(number), "", str(number + 3)] for number in range(12)]
    rows += [["Totals", "66", "0", "102"]]

    (table,) = find(draw_rows(rows, [62, 150, 220, 290]))

    assert (table.data[0], table.data[-1]) == (rows[0], rows[-1])


def test_panels_that_an_upright_rule_parts_are_read_one_by_one(find: Find) -> None:
    left = [
        ["Mayor", ""],
        *([name, "247"] for name in ("Miller", "Smith", "Brown", "Jones")),
        ["Judge", ""],
        ["Yes", "9"],
    ]
    right = [
        ["Sheriff", ""],
        ["Poole", "19"],
        ["Council", ""],
        *([name, "6"] for name in ("Hill", "Wood", "Fox", "Ray")),
    ]
    rows = [[*one, *other] for one, other in zip(left, right, strict=True)]

    found = find(draw_rows(rows, [62, 200, 260, 400], rules=upright_rules([250], 580, 716)))

    assert [table.data[0] for table in found] == [["Miller", "247"], ["Poole", "19"]]


def test_the_end_of_a_paragraph_is_no_title(find: Find) -> None:
    above = ["These are the provisions for the year, net of receipts.", "Further details are on the pages below"]

    (table,) = find(draw_rows(PRICES, PLACES, right=True, above=above))

    assert table.title == ""


def test_a_title_in_a_row_of_its_own_is_no_head(find: Find) -> None:
    rows = [["", "Budget", "", "", "(in crores)"], ["Town", "Plan", "Other", "All", "Pages"]]
    rows += [[name, "30.1", "7.2", "37.3", "9"] for name in ("Leeds", "York", "Bath", "Hull")]
    rules = level_rules([712, 696, 680, 620], 60, 450)

    (table,) = find(draw_rows(rows, [62, 130, 200, 270, 360], rules=rules))

    assert (table.title, table.data[0]) == ("Budget (in crores)", rows[1])


def test_columns_of_text_between_rules_are_a_table(find: Find) -> None:
    rows = [["Kind", "Meaning", "Example"], ["Major", "Ten tons a year", "Utilities"], ["Area", "Less", "Dry cleaners"]]

    (table,) = find(draw_rows(rows, [72, 200, 350], rules=level_rules([712, 696, 656], 70, 430)))

    assert table.data == rows


# Titles


def test_the_caption_above_is_the_title(find: Find) -> None:
    (table,) = find(draw_rows(PRICES, PLACES, right=True, above=["Table 3. Prices of stationery,", "in pounds"]))

    assert table.title == "Table 3. Prices of stationery,\nin pounds"


def test_the_line_above_is_the_title_if_it_is_no_sentence(find: Find) -> None:
    (named,) = find(draw_rows(PRICES, PLACES, right=True, above=["", "Stationery"]))
    (plain,) = find(draw_rows(PRICES, PLACES, right=True, above=["", "The prices of what we have in store are these:"]))

    assert (named.title, plain.title) == ("Stationery", "")


# What is no table


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_only_looks_like_a_table_is_none(find: Find, name: str) -> None:
    assert find(draw_lookalike(name)) == []


# Ruled grids


def test_a_grid_without_its_outer_rules_is_a_whole_table(find: Find) -> None:
    rules = level_rules([712, 696, 680, 664, 648, 632], 70, 415) + upright_rules([200, 280, 360], 712, 632)

    (table,) = find(draw_rows(PRICES, PLACES, right=True, rules=rules))

    assert (table.kind, table.data) == ("unruled", PRICES)


def test_a_grid_that_rules_only_some_columns_gives_way(find: Find) -> None:
    rules = level_rules([712, 632], 70, 415) + upright_rules([70, 200, 415], 712, 632)
    data = draw_rows(PRICES, PLACES, right=True, rules=rules)
    with pdfplumber.open(io.BytesIO(data)) as file:
        theirs = file.pages[0].extract_tables()

    (table,) = find(data)
    ruled = find(data, ruled=True)

    assert table.data == PRICES
    assert [grid.data for grid in ruled] == theirs


def test_a_double_frame_is_one(find: Find) -> None:
    double = [place + shift for place in (68, 200, 280, 360, 416) for shift in (0, 5)]
    rules = level_rules([712, 696, 680, 664, 648, 632], 68, 421) + upright_rules(double, 712, 632)

    (table,) = find(draw_rows(PRICES, [76, 275, 355, 414], right=True, rules=rules))

    assert (table.kind, table.data) == ("ruled", PRICES)


def test_spanning_cells_of_a_grid_are_told(find: Find) -> None:
    rows = [["", "Both halves"], ["Item", "First", "Second"], ["Paper", "1", "2"], ["Ink", "3", "4"]]
    rules = level_rules([712, 680, 664, 648], 70, 330) + level_rules([696], 150, 330)
    rules += upright_rules([70, 150, 330], 712, 648) + upright_rules([240], 696, 648)

    (table,) = find(draw_rows(rows, [76, 156, 246], rules=rules))

    assert (table.kind, table.header_rows, table.spans) == ("ruled", 2, [(0, 0, 1, 0), (0, 1, 0, 2)])


@pytest.mark.parametrize("degrees", [0.5, -0.5, 1])
def test_a_grid_that_is_a_little_askew_is_a_grid(find: Find, degrees: float) -> None:
    rules = level_rules([712, 696, 680, 664, 648, 632], 70, 700) + upright_rules([70, 300, 400, 560, 700], 712, 632)

    (table,) = find(draw_rows(PRICES, [76, 375, 555, 694], right=True, rules=rules, turned=degrees))

    assert (table.kind, table.data) == ("ruled", PRICES)


def test_a_frame_around_text_is_no_table(find: Find) -> None:
    lines = [["These are some words of a text that"], ["goes on in the next line of the frame"], ["and ends in it."]]
    data = draw_rows(lines, [76], rules=level_rules([712, 696, 680, 664], 70, 300) + upright_rules([70, 300], 712, 664))

    assert find(data) == []
    assert len(find(data, ruled=True)) == 1


def test_a_caption_in_the_first_row_is_the_title(find: Find) -> None:
    rows = [["Table 4: Prices"], *PRICES]
    rules = level_rules([712, 696, 680, 664, 648, 632, 616], 70, 415)
    rules += upright_rules([70, 415], 712, 616) + upright_rules([200, 280, 360], 696, 616)

    (table,) = find(draw_rows(rows, PLACES, right=True, rules=rules))

    assert (table.title, table.data, table.header_rows) == ("Table 4: Prices", PRICES, 1)


def test_a_row_that_the_end_of_the_page_leaves_open_is_a_row(find: Find) -> None:
    rules = level_rules([712, 696, 680, 664], 70, 415) + upright_rules([70, 200, 280, 360, 415], 712, 632)

    (table,) = find(draw_rows(PRICES, PLACES, right=True, rules=rules))

    assert (table.kind, table.data[:3]) == ("ruled", PRICES[:3])
    assert table.data[3:] == [["Envelopes\nStaples", "200\n5", "0.05\n1.20", "10.00\n6.00"]]


def test_a_row_that_the_page_before_left_open_is_a_row(find: Find) -> None:
    rules = level_rules([696, 680, 664, 648, 632], 70, 415) + upright_rules([70, 200, 280, 360, 415], 712, 632)

    (table,) = find(draw_rows(PRICES, PLACES, right=True, rules=rules))

    assert (table.kind, table.data) == ("ruled", PRICES)


def test_a_frame_around_a_page_opens_no_row_of_the_grid_in_it(find: Find) -> None:
    rows = [*PRICES, [], *([f"Line {number} of the page"] for number in range(20))]
    rules = level_rules([712, 696, 680, 664, 648, 632], 70, 415)
    rules += upright_rules([70, 415], 712, 250) + upright_rules([200, 280, 360], 712, 632)

    (table,) = find(draw_rows(rows, PLACES, right=True, rules=rules))

    assert table.data == PRICES


def test_a_page_around_a_grid_is_no_table(find: Find) -> None:
    rules = level_rules([770, 730, 40], 20, 760) + upright_rules([20, 760], 770, 40)
    rules += level_rules([712, 696, 680, 664, 648, 632], 70, 415) + upright_rules([70, 200, 280, 360, 415], 712, 632)
    rows = [*PRICES, [], ["One", "line"], ["Another", "line"], ["below", "it"]]

    (table,) = find(draw_rows(rows, PLACES, right=True, rules=rules))

    assert (table.kind, table.data) == ("ruled", PRICES)


# Bands of colour, and white rules


EDGES = [712.0, 696, 680, 664, 648, 632]
SIDES = upright_rules([200, 280, 360], 712, 632)
ROWS = [(70, lower, 415, upper) for upper, lower in pairwise(EDGES)]
WHOLE = [(70.0, 632.0, 415.0, 712.0)]


@pytest.mark.parametrize(
    ("bands", "white"),
    [
        (ROWS, SIDES),
        (ROWS[::2], SIDES),
        (ROWS[1::2], SIDES),
        (ROWS[::2], SIDES + level_rules(EDGES[1:-1], 70, 415)),
        (WHOLE, SIDES + level_rules(EDGES[1:-1], 70, 415)),
        (ROWS[:1], upright_rules([200, 280, 360], 712, 696)),
    ],
    ids=["every row", "every other row", "from the second row on", "between the rows, too", "one band", "the head"],
)
def test_white_rules_on_bands_part_a_table(find: Find, bands: list[Rule], white: list[Rule]) -> None:
    (table,) = find(draw_rows(PRICES, PLACES, right=True, bands=bands, white=white))

    assert (table.header_rows, table.data) == (1, PRICES)


def test_a_corner_without_rules_is_a_cell_if_it_holds_text(find: Find) -> None:
    rules = level_rules([712], 200, 415) + level_rules(EDGES[1:], 70, 415)
    rules += upright_rules([70], 696, 632) + upright_rules([200, 280, 360, 415], 712, 632)

    (table,) = find(draw_rows(PRICES, PLACES, right=True, rules=rules))

    assert table.data == PRICES


def test_a_corner_without_rules_and_text_is_none(find: Find) -> None:
    rows = [["", *PRICES[0][1:]], *PRICES[1:]]
    rules = level_rules([712], 200, 415) + level_rules(EDGES[1:], 70, 415)
    rules += upright_rules([70], 696, 632) + upright_rules([200, 280, 360, 415], 712, 632)

    (table,) = find(draw_rows(rows, PLACES, right=True, rules=rules))

    assert table.data == [[None, *PRICES[0][1:]], *PRICES[1:]]
