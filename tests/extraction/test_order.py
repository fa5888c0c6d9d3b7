"""The order in which lines are read: that of drawing, unless the geometry is clear."""

import pytest

from support.engines import FileReader
from support.pdfs import write_page


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
