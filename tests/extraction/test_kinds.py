"""Tables of many kinds: as several programs draw them, on turned pages, and over several pages."""

from collections.abc import Callable

import pytest

from extraction.tables.joining import join_tables
from support.engines import FileReader
from support.pdfs import write_page, write_pages

Rows = list[list[str | None]]

STATIONERY: Rows = [["Name", "Price"], ["Pen", "1.20"], ["Ink", "3.50"]]
WIDTH, HEIGHT = 90, 18  # of a cell


def at(x: float, y: float, text: str, size: float = 10, way: str = "1 0 0 1") -> str:
    return f"BT /F1 {size} Tf {way} {x} {y} Tm ({text}) Tj ET\n"


def rule(xs: list[int], ys: list[int]) -> str:
    """Return the drawing of a grid with these lines."""
    lines = [f"{x} {min(ys)} m {x} {max(ys)} l" for x in xs] + [f"{min(xs)} {y} m {max(xs)} {y} l" for y in ys]
    return "\n".join(lines) + "\nS\n"


def draw_box(x: float, y: float) -> str:
    return f"{x} {y} {WIDTH} {HEIGHT} re S\n"


def draw_lines(x: float, y: float) -> str:
    return rule([int(x), int(x) + WIDTH], [int(y), int(y) + HEIGHT])


def draw_bars(x: float, y: float) -> str:
    """Return four thin boxes, as browsers print the borders of a cell."""
    level = "".join(f"{x} {edge} {WIDTH} .75 re f\n" for edge in (y, y + HEIGHT))
    return level + "".join(f"{edge} {y} .75 {HEIGHT} re f\n" for edge in (x, x + WIDTH))


def draw_ground(x: float, y: float) -> str:
    return f".9 g {x} {y} {WIDTH} {HEIGHT} re f 0 g\n"


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("gap", [2, 8])
@pytest.mark.parametrize("draw", [draw_box, draw_lines, draw_bars, draw_ground])
def test_cells_that_stand_apart_are_a_table(
    reader: FileReader, draw: Callable[[float, float], str], gap: int, rotate: int
) -> None:
    drawn = ""
    for row, cells in enumerate(STATIONERY):
        for column, cell in enumerate(cells):
            x, y = 72 + column * (WIDTH + gap), 600 - row * (HEIGHT + gap)
            drawn += draw(x, y) + at(x + 4, y + 5, cell or "")

    assert reader.read_tables(write_page(drawn.encode(), page=b"/Rotate %d" % rotate)) == [STATIONERY]


@pytest.mark.parametrize("rotate", [0, 270])
@pytest.mark.parametrize("part", [") -330 (", ") -500 (", ") -250 ( "])
def test_words_of_cells_that_are_set_apart_by_kerning_are_words(reader: FileReader, part: str, rotate: int) -> None:
    cells = [["class label", "Count"], ["Page footer of total", "70 878"], ["List item", "185 660"]]
    drawn = rule([72, 200, 300], [600, 620, 640, 660])
    for row, texts in enumerate(cells):
        for x, text in zip((76, 204), texts, strict=True):
            drawn += f"BT /F1 8 Tf {x} {646 - 20 * row} Td [({text.replace(' ', part)})] TJ ET\n"

    assert reader.read_tables(write_page(drawn.encode(), page=b"/Rotate %d" % rotate)) == [cells]


@pytest.mark.parametrize("rotate", [0, 90, 180])
@pytest.mark.parametrize(("way", "x", "y"), [("0 1 -1 0", 18, 664), ("0 -1 1 0", 11, 736)])
def test_heads_on_their_side_are_read_on_turned_pages_too(
    reader: FileReader, way: str, x: int, y: int, rotate: int
) -> None:
    heads = ["Quantity", "Price", "Net weight"]
    drawn = rule([72, 160, 190, 220, 250], [620, 640, 660, 740]) + at(76, 665, "Name")
    drawn += "".join(at(160 + 30 * number + x, y, head, way=way) for number, head in enumerate(heads))
    rows = [["Pen", "12", "1.20", "5"], ["Ink", "7", "3.50", "9"]]
    for number, row in enumerate(rows):
        drawn += "".join(
            at(place, 645 - 20 * number, cell) for place, cell in zip((76, 164, 194, 224), row, strict=True)
        )

    tables = reader.read_tables(write_page(drawn.encode(), page=b"/Rotate %d" % rotate))

    assert tables == [[["Name", *heads], *rows]]


@pytest.mark.parametrize("rotate", [0, 90, 270])
@pytest.mark.parametrize(("way", "x", "y"), [("0 1 -1 0", 8, 664), ("0 -1 1 0", 0, 716)])
def test_heads_on_their_side_stand_over_a_table_without_rules(
    reader: FileReader, way: str, x: int, y: int, rotate: int
) -> None:
    heads, places = ["Quantity", "Price", "Net weight"], [154, 190, 227]
    drawn = at(76, 665, "Name") + "".join(
        at(place + x, y, head, way=way) for place, head in zip(places, heads, strict=True)
    )
    rows = [["Pen", "12", "1.20", "5"], ["Ink", "7", "3.50", "9"], ["Nib", "3", "2.40", "8"], ["Cap", "4", "6.10", "2"]]
    for number, row in enumerate(rows):
        drawn += "".join(at(place, 645 - 16 * number, cell) for place, cell in zip([72, *places], row, strict=True))

    (table,) = reader.extract(write_page(drawn.encode(), page=b"/Rotate %d" % rotate)).tables

    assert (table.data, table.header_rows) == ([["Name", *heads], *rows], 1)


def test_a_note_beside_a_table_without_rules_is_no_head(reader: FileReader) -> None:
    rows = [["Pen", "12", "1.20"], ["Ink", "7", "3.50"], ["Nib", "3", "2.40"], ["Cap", "4", "6.10"]]
    drawn = at(40, 560, "arXiv:2101.00123", way="0 1 -1 0") + at(158, 700, "Draft of May", way="0 1 -1 0")
    for number, row in enumerate(rows):
        drawn += "".join(at(place, 645 - 16 * number, cell) for place, cell in zip((72, 154, 190), row, strict=True))

    assert reader.read_tables(write_page(drawn.encode())) == [rows]


@pytest.mark.parametrize("rotate", [0, 90])
@pytest.mark.parametrize("is_last", [False, True])
def test_what_a_cell_clips_reaches_no_other(reader: FileReader, is_last: bool, rotate: int) -> None:
    clipped = "q 72 660 60 20 re W n " + at(74, 665, "EUCALYPTUS CITRIODORA OIL") + " Q "
    others = at(136, 665, "10 CC") + at(204, 665, "29")
    drawn = rule([72, 132, 200, 260], [640, 660, 680]) + (others + clipped if is_last else clipped + others)
    drawn += at(74, 645, "short") + at(136, 645, "5 CC") + at(204, 645, "30")

    ((first, second),) = reader.read_tables(write_page(drawn.encode(), page=b"/Rotate %d" % rotate))

    assert "EUCALYPTUS".startswith(first[0] or "-")
    assert (first[1:], second) == (["10 CC", "29"], ["short", "5 CC", "30"])


# Over pages


def read_joined(reader: FileReader, *pages: str) -> list[Rows]:
    extraction = reader.extract(write_pages([page.encode() for page in pages]))
    heights = {page.page_number: page.height for page in extraction.pages}
    return [[list(row) for row in table.data] for table in join_tables(extraction.tables, heights)]


def draw_pins(top: int, left: int, *pins: list[str]) -> str:
    """Return a table with a head of two rows, the upper over two columns."""
    xs = [left, left + 88, left + 158, left + 228]
    bottom = top - 20 * (2 + len(pins))
    drawn = rule(xs, list(range(top - 40, bottom - 1, -20))) + rule([xs[0], xs[1], xs[3]], [top, top - 20])
    drawn = drawn.replace(f"{xs[0]} {top - 20} m", f"{xs[1]} {top - 20} m")
    drawn += f"{xs[0]} {top} m {xs[0]} {top - 40} l {xs[1]} {top} m {xs[1]} {top - 40} l {xs[3]} {top} m "
    drawn += f"{xs[3]} {top - 40} l {xs[2]} {top - 20} m {xs[2]} {top - 40} l S\n"
    drawn += at(left + 4, top - 24, "Pin") + at(xs[1] + 4, top - 14, "Package")
    drawn += at(xs[1] + 4, top - 34, "LQFP") + at(xs[2] + 4, top - 34, "BGA")
    for number, pin in enumerate(pins):
        drawn += "".join(at(x + 4, top - 54 - 20 * number, cell) for x, cell in zip(xs, pin, strict=False))
    return drawn


@pytest.mark.parametrize("left", [72, 100])
def test_a_head_of_two_rows_is_there_once(reader: FileReader, left: int) -> None:
    upper, lower = [["PA0", "1", "A1"], ["PA1", "2", "A2"]], [["PA2", "3", "B1"], ["PA3", "4", "B2"]]

    joined = read_joined(reader, draw_pins(160, 72, *upper), draw_pins(740, left, *lower))

    assert joined == [[["Pin", "Package", None], [None, "LQFP", "BGA"], *upper, *lower]]


@pytest.mark.parametrize("begins_open", [False, True])
def test_a_row_that_a_page_leaves_open_is_in_the_whole_table(reader: FileReader, begins_open: bool) -> None:
    upper, lower = [["No", "Text"], ["1", "First"], ["2", "Open below"]], [["3", "Third"], ["4", "Fourth"]]
    pages = []
    for rows, top, levels in ((upper, 130, [130, 110, 90]), (lower, 740, [740, 720, 700][begins_open:])):
        bottom = top - 20 * len(rows)
        page = "".join(f"{x} {top} m {x} {bottom} l\n" for x in (72, 120, 300))
        page += "".join(f"72 {y} m 300 {y} l\n" for y in levels) + "S\n"
        for number, row in enumerate(rows):
            page += "".join(at(x, top - 14 - 20 * number, cell) for x, cell in zip((76, 124), row, strict=True))
        pages.append(page)

    assert read_joined(reader, *pages) == [[*upper, *lower]]
