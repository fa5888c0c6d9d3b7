"""The order in which lines are read: that of drawing, unless the geometry is clear."""

from pathlib import Path

import pytest

from extraction import plumber
from support.engines import FileReader
from support.layouts import draw_rows
from support.pdfs import map_letters, write_page


def at(x: int, y: int, text: str, size: float = 10) -> bytes:
    return b"BT /F1 %.2f Tf %d %d Td (%s) Tj ET\n" % (size, x, y, text.encode())


def read_lines(reader: FileReader, drawn: bytes, page: bytes = b"") -> list[str]:
    return reader.read_text(write_page(drawn, page=page)).split("\n")


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_lines_drawn_out_of_order_are_read_from_top_to_bottom(reader: FileReader, rotate: int) -> None:
    drawn = at(72, 640, "third line") + at(72, 680, "first line") + at(72, 660, "second line")
    turned = {0: b"", 90: b"0 1 -1 0 702 0 cm ", 180: b"-1 0 0 -1 612 792 cm ", 270: b"0 -1 1 0 -90 702 cm "}

    lines = read_lines(reader, turned[rotate] + drawn, b"/Rotate %d" % rotate)

    assert lines == ["first line", "second line", "third line"]


def test_lines_drawn_by_turns_are_read_from_top_to_bottom(reader: FileReader) -> None:
    rows = [700 - 20 * number for number in (0, 2, 4, 1, 3, 5)]

    lines = read_lines(reader, b"".join(at(72, y, f"the line at {y} of the page") for y in rows))

    assert lines == [f"the line at {y} of the page" for y in sorted(rows, reverse=True)]


def test_a_header_and_a_footer_drawn_last_stand_above_and_below(reader: FileReader) -> None:
    drawn = at(72, 600, "body one") + at(72, 588, "body two") + at(300, 760, "Header") + at(300, 30, "7")

    assert read_lines(reader, drawn) == ["Header", "body one", "body two", "7"]


def test_columns_stay_in_the_order_in_which_they_were_drawn(reader: FileReader) -> None:
    def draw(x: int, name: str) -> bytes:
        return b"".join(at(x, 700 - 12 * row, f"{name} column line {row}") for row in range(5))

    for shift in (0, 5):
        drawn = draw(72, "left") + b"1 0 0 1 0 %d cm " % shift + draw(320, "right") + at(72, 760, "Title")

        lines = read_lines(reader, drawn)

        expected = ["Title", *(f"left column line {row}" for row in range(5))]
        assert lines == [*expected, *(f"right column line {row}" for row in range(5))]


def test_few_and_short_lines_are_lines(reader: FileReader) -> None:
    rows = [("Hello", "Goodbye", "World"), ("1", "Abc", "Foo"), ("2", "Bar", "Baz"), ("3", "Quux", "Argh")]
    heights = (721, 704, 690, 676)
    drawn = b"".join(
        at(x, y, cell, 12)
        for y, row in zip(heights, rows, strict=True)
        for x, cell in zip((57, 223, 389), row, strict=True)
    )

    assert read_lines(reader, drawn) == [" ".join(row) for row in rows]


def test_a_single_figure_far_from_its_label_is_in_its_line(reader: FileReader) -> None:
    rows = [["Item", "Pieces"], ["Ink, black", "3"], ["Paper", "12"], ["Staples", "5"]]

    assert reader.read_text(draw_rows(rows, [72, 250])).split("\n") == list(map(" ".join, rows))


def test_lines_are_mended_on_a_page_with_turned_text_too(reader: FileReader) -> None:
    turned = b"".join(b"BT /F1 10 Tf 0 1 -1 0 %d 700 Tm (Turned) Tj ET\n" % x for x in (20, 40, 60))
    rows = [["Ink, black", "3"], ["Paper", "12"], ["Staples", "5"]]
    drawn = b"".join(
        at(x, 600 - 20 * y, cell) for y, row in enumerate(rows) for x, cell in zip((90, 250), row, strict=True)
    )

    assert read_lines(reader, turned + drawn) == ["Turned"] * 3 + list(map(" ".join, rows))


def test_columns_half_a_line_apart_that_are_drawn_by_turns_are_broken(reader: FileReader) -> None:
    drawn = b"".join(
        at(x, 700 - 12 * row - down, f"line {row} of the {name} column of this page", 10)
        for row in range(4)
        for x, down, name in ((72, 0, "left"), (320, 6, "right"))
    )

    lines = read_lines(reader, drawn)

    assert all(line.count("left") < 2 and line.count("right") < 2 for line in lines)


@pytest.mark.parametrize("step", [12, 20, -20])
def test_figures_above_each_other_are_no_number(reader: FileReader, step: int) -> None:
    drawn = b"".join(at(x, 600 - step * row, str(row + 3), 12) for x in (72, 132) for row in range(4))
    column = ["3", "4", "5", "6"][:: 1 if step > 0 else -1]

    assert read_lines(reader, drawn) == column * 2 if step > 0 else [figure for figure in column for _ in range(2)]


def test_cells_drawn_by_column_stay_so(reader: FileReader) -> None:
    drawn = b"".join(at(x, 700 - 12 * row, f"{x} {row}") for x in (72, 200) for row in range(4))

    assert read_lines(reader, drawn) == [f"{x} {row}" for x in (72, 200) for row in range(4)]


def test_raised_and_lowered_characters_stay_in_their_line(reader: FileReader) -> None:
    drawn = at(72, 700, "Area in m") + at(113, 704, "2", 6) + at(118, 700, "net") + at(72, 680, "CO")
    drawn += at(87, 677, "2", 6) + at(94, 680, "in t")

    assert read_lines(reader, drawn) == ["Area in m2 net", "CO2 in t"]


def test_the_number_of_a_note_stands_before_it(reader: FileReader) -> None:
    drawn = at(72, 700, "as was said") + at(72, 64, "1", 6) + at(79, 60, "See the report.")

    assert read_lines(reader, drawn) == ["as was said", "1 See the report."]


def test_a_hit_in_a_line_that_was_moved_is_where_the_line_is(reader: FileReader) -> None:
    file = write_page(at(72, 640, "third needle") + at(72, 680, "first line") + at(72, 660, "second line"))

    (((_, top, _, bottom),),) = reader.find_boxes(file, "needle")

    assert 792 - 655 < top < bottom < 792 - 632


def test_a_word_parted_over_lines_that_were_moved_is_joined(reader: FileReader) -> None:
    drawn = at(72, 600, "below") + b"BT /F1 10 Tf 12 TL 72 700 Td (an exam-) Tj T* (ple of it) Tj ET\n"

    assert read_lines(reader, drawn) == ["an example of it", "below"]


def test_words_of_the_page_come_in_the_order_of_its_text(reader: FileReader) -> None:
    file = write_page(at(72, 640, "third") + at(72, 680, "first m") + at(99, 684, "2", 6) + at(72, 660, "second"))

    assert [word.text for word in reader.read_words(file)] == ["first", "m2", "second", "third"]


# Columns of prose that were drawn row by row

PROSE = [
    [
        "The first column begins here",
        "and goes on with small",
        "letters as sentences do that",
        "are broken into lines of text",
    ],
    [
        "Another story stands beside it",
        "which a person reads after",
        "the first one has come to its",
        "end at the foot of the page",
    ],
    [
        "Last of all there is a third",
        "that ends the page as it was",
        "printed by a program which",
        "draws all its rows in turn",
    ],
]


def draw_by_rows(columns: list[list[str]], width: int) -> bytes:
    rows = zip(*columns, strict=True)
    return b"".join(
        at(72 + width * column, 700 - 12 * number, text, 9)
        for number, row in enumerate(rows)
        for column, text in enumerate(row)
    )


@pytest.mark.parametrize("count", [2, 3])
def test_columns_of_prose_drawn_by_rows_are_read_one_after_the_other(reader: FileReader, count: int) -> None:
    lines = read_lines(reader, draw_by_rows(PROSE[:count], 170) + at(72, 600, "Below"))

    assert lines == [line for column in PROSE[:count] for line in column] + ["Below"]


@pytest.mark.parametrize("gaps", [([2], [3, 4]), ([4], []), ([], [2]), ([3], [3])])
def test_paragraphs_of_such_columns_end_where_they_do(reader: FileReader, gaps: tuple[list[int], list[int]]) -> None:
    columns = [[*PROSE[0], *PROSE[2]], [*PROSE[1], *PROSE[0], "and ends here"]]
    columns = [[f"{line} and more" for line in lines] for lines in columns]
    placed: list[tuple[int, int, str]] = []
    for column, (lines, empty) in enumerate(zip(columns, gaps, strict=True)):
        rows = [row for row in range(12) if row not in empty]
        placed += [(row, column, line) for row, line in zip(rows, lines, strict=False)]
    by_rows = b"".join(at(72 + 200 * column, 700 - 12 * row, line, 9) for row, column, line in sorted(placed))

    assert read_lines(reader, by_rows) == [line for lines in columns for line in lines]


def test_columns_that_are_read_from_the_right_begin_there(reader: FileReader) -> None:
    words = ["אבגד דגבא אבבא", "דגדג אבגד בגבג", "בגד אבא גדגד", "אבגד בבגג דאבג"]
    columns = [words, words[::-1]]
    drawn = b"".join(
        b"BT /F2 9 Tf %d %d Td (%s) Tj ET\n" % (242 - 170 * column, 700 - 12 * row, line)
        for row in range(4)
        for column, lines in enumerate(columns)
        for line in [bytes(32 if letter == " " else 65 + ord(letter) - ord("א") for letter in lines[row][::-1])]
    )

    text = reader.read_text(map_letters(b"05D0", b"05D1", b"05D2", b"05D3", content=drawn))

    assert text.split("\n") == [line for lines in columns for line in lines]


def test_a_word_parted_within_such_a_column_is_joined(reader: FileReader) -> None:
    broken = [PROSE[0][0], "and goes on with exam-", "ples of words as they stand", PROSE[0][2]]

    lines = read_lines(reader, draw_by_rows([broken, PROSE[1]], 190))

    assert lines[1] == "and goes on with examples of words as they stand"


def test_a_table_without_rules_is_read_by_rows(reader: FileReader) -> None:
    names = ["Bolt made of steel", "Nut made of brass", "Washer of rubber", "Screw with a head"]
    places = ["Stored in the hall", "Stored in the yard", "Sold by the dozen", "Not to be had now"]
    figures = [f"{number},250.00" for number in range(4)]

    for columns in ([names, figures], [names, places]):
        assert read_lines(reader, draw_by_rows(columns, 190)) == [" ".join(row) for row in zip(*columns, strict=True)]


# Vertical writing


WRITING = ["吾輩は猫である", "名前はまだ無い", "どこで生れたか"]


def write_down(x: int, y: int, text: str) -> bytes:
    return b"BT /F2 14 Tf 1 0 0 1 %d %d Tm <%s> Tj ET\n" % (x, y, text.encode("utf-16-be").hex().encode())


def draw_vertically(*columns: str, others: bytes = b"") -> bytes:
    """Return a page of columns from the right, in a font that is not in the file."""
    drawn = others + b"".join(write_down(400 - 24 * number, 700, text) for number, text in enumerate(columns))
    font = b"/Font <</F1 <</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>"
    font += b" /F2 <</Type /Font /Subtype /Type0 /BaseFont /Ryumin-Light /Encoding /UniJIS-UCS2-V"
    font += b" /DescendantFonts [5 0 R]>>>>"
    descendant = b"<</Type /Font /Subtype /CIDFontType0 /BaseFont /Ryumin-Light /FontDescriptor 6 0 R"
    descendant += b" /CIDSystemInfo <</Registry (Adobe) /Ordering (Japan1) /Supplement 2>>>>"
    about = b"<</Type /FontDescriptor /FontName /Ryumin-Light /Flags 6 /FontBBox [0 -120 1000 880] /ItalicAngle 0"
    about += b" /Ascent 880 /Descent -120 /CapHeight 700 /StemV 80>>"
    return write_page(drawn, descendant, about, resources=font)


@pytest.mark.parametrize("columns", [WRITING, WRITING[:2], list(reversed(WRITING))])
def test_vertical_columns_are_read_from_the_right(reader: FileReader, columns: list[str]) -> None:
    assert reader.read_text(draw_vertically(*columns)) == "\n".join(columns)


@pytest.mark.parametrize("count", [1, 3])
def test_latin_letters_on_their_side_stay_in_their_column(reader: FileReader, count: int) -> None:
    columns = [400 - 24 * number for number in range(count)]
    drawn = b"".join(
        write_down(x, 700, "吾輩は")
        + b"BT /F1 14 Tf 0 -1 1 0 %d 654 Tm (PDF) Tj ET\n" % (x - 4)
        + write_down(x, 620, "である")
        for x in columns
    )

    assert reader.read_text(draw_vertically(others=drawn)) == "\n".join(["吾輩はPDFである"] * count)


def test_upright_figures_stay_in_their_column(reader: FileReader) -> None:
    drawn = write_down(400, 700, "名前") + b"BT /F1 12 Tf 393 660 Td (21) Tj ET\n" + write_down(400, 656, "年まだ無い")

    assert reader.read_text(draw_vertically(others=drawn)) == "名前21年まだ無い"


def test_pdfplumber_reads_vertical_columns_from_the_right_too(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(draw_vertically(*WRITING))

    assert read_by_pdfplumber(tmp_path / "a.pdf") == "\n".join(WRITING)


def test_pdfplumber_reads_level_lines_above_and_below_vertical_columns(tmp_path: Path) -> None:
    level = b"BT /F1 16 Tf 80 740 Td (A title) Tj ET BT /F1 9 Tf 300 40 Td (12) Tj ET\n"
    (tmp_path / "a.pdf").write_bytes(draw_vertically(*WRITING, others=level))

    assert read_by_pdfplumber(tmp_path / "a.pdf").replace(" ", "") == "\n".join(["Atitle", *WRITING, "12"])


def read_by_pdfplumber(path: Path) -> str:
    with plumber.Document(path) as document:
        page = document.open_page(0)
        assert page is not None
        return page.read_text()
