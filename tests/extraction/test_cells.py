"""The cells of tables: whole runs of the page's text, each in the cell and the order in which a person reads it."""

import math

import pytest

from support.engines import FileReader
from support.pdfs import map_letters, write_page

Cells = list[list[str | None]]


def rule_grid(xs: list[int], ys: list[int]) -> bytes:
    """Return the drawing of a grid with these lines."""
    lines = [b"%d %d m %d %d l" % (x, min(ys), x, max(ys)) for x in xs]
    lines += [b"%d %d m %d %d l" % (min(xs), y, max(xs), y) for y in ys]
    return b"\n".join(lines) + b"\nS\n"


def at(x: float, y: float, text: bytes, size: float = 10, more: bytes = b"") -> bytes:
    return b"BT /F1 %.2f Tf %s 1 0 0 1 %.2f %.2f Tm (%s) Tj ET\n" % (size, more, x, y, text)


def read_table(reader: FileReader, drawn: bytes) -> Cells:
    (cells,) = reader.read_tables(write_page(drawn))
    return cells


def test_words_that_no_blank_parts_are_parted_as_in_the_text(reader: FileReader) -> None:
    words = b"BT /F1 8 Tf 74 686 Td [(Page) -333 (footer) -333 (of) -333 (total)] TJ ET\n"
    drawn = rule_grid([72, 220, 300], [700, 680, 660]) + words
    drawn += b"BT /F1 8 Tf 224 686 Td [(70) -333 (878)] TJ ET\n" + at(74, 666, b"List item", 8)

    assert read_table(reader, drawn) == [["Page footer of total", "70 878"], ["List item", ""]]


def test_raised_and_lowered_characters_stay_in_their_line(reader: FileReader) -> None:
    drawn = rule_grid([72, 220, 300], [700, 680, 660])
    drawn += at(74, 686, b"CO") + at(88.6, 683, b"2", 6) + at(91.9, 686, b" in t")
    drawn += at(224, 686, b"Area in m") + at(267, 690, b"2", 6)
    drawn += at(74, 666, b"approx.", 7) + at(100, 666, b"120", 14) + at(126, 666, b"units", 7)

    assert read_table(reader, drawn) == [["CO2 in t", "Area in m2"], ["approx. 120 units", ""]]


def test_text_that_flows_over_stays_in_the_cell_where_it_starts(reader: FileReader) -> None:
    drawn = rule_grid([72, 120, 200, 280], [700, 680, 660])
    drawn += at(74, 686, b"EUCALYPTUS CITRIODORA") + at(124, 686, b"10 CC") + at(204, 686, b"29")
    drawn += at(74, 666, b"short") + at(124, 666, b"5 CC") + at(204, 666, b"30")

    assert read_table(reader, drawn) == [["EUCALYPTUS CITRIODORA", "10 CC", "29"], ["short", "5 CC", "30"]]


def test_a_number_that_flows_over_to_the_left_stays_in_its_own_cell(reader: FileReader) -> None:
    drawn = rule_grid([72, 200, 240], [700, 680, 660])
    drawn += at(74, 686, b"total") + at(183, 686, b"123,456,789") + at(74, 666, b"rest") + at(220, 666, b"12")

    assert read_table(reader, drawn) == [["total", "123,456,789"], ["rest", "12"]]


def test_clipped_text_does_not_reach_the_next_cell(reader: FileReader) -> None:
    drawn = rule_grid([72, 120, 200], [700, 680, 660])
    drawn += b"q 72 680 48 20 re W n " + at(74, 686, b"EUCALYPTUS CITRIODORA") + b"Q " + at(124, 686, b"10 CC")

    (first, *_), *_ = read_table(reader, drawn)

    assert first == "EUCALYP"


def test_a_row_that_is_drawn_at_once_is_parted_at_the_rules(reader: FileReader) -> None:
    drawn = rule_grid([72, 120, 200, 280], [700, 680, 660])
    drawn += b"BT /F1 10 Tf 74 686 Td [(Bolt) -3000 (10) -6500 (1.50)] TJ ET\n"

    assert read_table(reader, drawn)[0] == ["Bolt", "10", "1.50"]


def turned(x: float, y: float, text: bytes, degrees: int) -> bytes:
    cos, sin = round(math.cos(math.radians(degrees))), round(math.sin(math.radians(degrees)))
    return b"BT /F1 10 Tf %d %d %d %d %.2f %.2f Tm (%s) Tj ET\n" % (cos, sin, -sin, cos, x, y, text)


def test_heads_that_stand_on_their_side_are_read_in_their_direction(reader: FileReader) -> None:
    drawn = rule_grid([72, 172, 202, 232], [700, 630, 610])
    drawn += at(74, 640, b"Name") + turned(190, 634, b"Quantity", 90) + turned(214, 696, b"Net price", -90)
    drawn += at(74, 614, b"Bolt") + at(176, 614, b"10") + at(206, 614, b"1.50")

    assert read_table(reader, drawn) == [["Name", "Quantity", "Net price"], ["Bolt", "10", "1.50"]]


def test_two_lines_that_stand_on_their_side_are_in_order(reader: FileReader) -> None:
    drawn = rule_grid([72, 172, 212], [700, 630, 610]) + at(74, 640, b"Name") + at(74, 614, b"Bolt")
    drawn += turned(186, 634, b"Quantity", 90) + turned(200, 634, b"per year", 90)

    assert read_table(reader, drawn)[0] == ["Name", "Quantity\nper year"]


def test_slanted_letters_are_in_no_cell(reader: FileReader) -> None:
    drawn = rule_grid([72, 172, 272], [700, 680, 660, 640])
    for row, y in enumerate((686, 666, 646)):
        drawn += at(74, y, b"part %d" % row) + at(176, y, b"%d" % (3 * row))
    drawn += b"0.8 g BT /F1 60 Tf 0.7 0.7 -0.7 0.7 120 630 Tm (DRAFT) Tj ET\n"

    assert read_table(reader, drawn) == [["part 0", "0"], ["part 1", "3"], ["part 2", "6"]]


def test_letters_printed_twice_to_look_bold_count_once(reader: FileReader) -> None:
    drawn = rule_grid([72, 172, 272], [700, 680, 660]) + at(74, 666, b"normal")
    for number, letter in enumerate(b"K201190"):
        for shift in (0, 0.4):
            drawn += at(74 + 6 * number + shift, 686, bytes([letter]))

    assert read_table(reader, drawn)[0][0] == "K201190"


def test_text_from_right_to_left_is_read_from_the_right(reader: FileReader) -> None:
    letters = {chr(65 + number): letter for number, letter in enumerate("סכוםפריטעשחנ")}
    codes = [b"%04X" % ord(letter) for letter in letters.values()]
    as_drawn = str.maketrans({letter: place for place, letter in letters.items()})

    def draw(x: int, y: int, text: str) -> bytes:  # letter by letter from the left, as nearly all programs do
        shown = text[::-1].translate(as_drawn).encode()
        return b"BT /F2 10 Tf %d %d Td (%s) Tj ET\n" % (x, y, shown)

    drawn = rule_grid([72, 172, 272], [700, 680, 660]) + draw(74, 686, "סכום") + draw(176, 686, "פריט")
    drawn += b"BT /F1 10 Tf 74 666 Td (12.50) Tj ET\n" + draw(176, 666, "עט שחור")

    tables = reader.read_tables(map_letters(*codes, content=drawn))

    assert tables == [[["סכום", "פריט"], ["12.50", "עט שחור"]]]


@pytest.mark.parametrize(
    ("words", "cell"),
    [
        ([(74, "USB-C"), (120, "כבל")], "כבל USB-C"),
        ([(74, "לבן"), (120, "12"), (136, "נייר")], "נייר 12 לבן"),
        ([(74, "Model"), (110, "שלום"), (140, "Pro")], "Model שלום Pro"),
    ],
)
def test_words_of_a_cell_are_read_by_the_direction_of_most_of_them(
    reader: FileReader, words: list[tuple[int, str]], cell: str
) -> None:
    letters = "שלוםכבנןיר"
    drawn = rule_grid([72, 272, 372], [700, 680, 660]) + at(276, 686, b"7.00") + at(74, 666, b"x")
    for x, word in words:
        codes = bytes(65 + letters.index(letter) for letter in reversed(word)) if word[0] in letters else word.encode()
        drawn += b"BT /%s 10 Tf %d 686 Td (%s) Tj ET\n" % (b"F2" if word[0] in letters else b"F1", x, codes)

    tables = reader.read_tables(map_letters(*(b"%04X" % ord(letter) for letter in letters), content=drawn))

    assert tables[0][0] == [cell, "7.00"]


def test_the_mark_of_a_note_that_is_drawn_last_stands_at_its_word(reader: FileReader) -> None:
    drawn = rule_grid([72, 172, 272], [700, 680, 660])
    drawn += at(74, 686, b"Area in m net") + at(176, 686, b"Total") + at(74, 666, b"Net") + at(176, 666, b"12")
    drawn += at(116.9, 690, b"2", 6) + at(198.5, 690, b"a", 6)

    assert read_table(reader, drawn) == [["Area in m2 net", "Totala"], ["Net", "12"]]


def test_words_drawn_out_of_order_stand_from_left_to_right(reader: FileReader) -> None:
    drawn = rule_grid([72, 300], [700, 680, 660])
    drawn += at(220, 686, b"2011") + at(74, 686, b"2009") + at(150, 686, b"2010") + at(74, 666, b"years")

    assert read_table(reader, drawn) == [["2009 2010 2011"], ["years"]]


def test_a_word_written_large_over_a_table_is_in_no_cell(reader: FileReader) -> None:
    drawn = rule_grid([72, 220, 300], [700, 680, 660]) + at(74, 686, b"Pen") + at(224, 686, b"1.20")
    drawn += at(74, 666, b"Ink") + at(224, 666, b"3.50") + b"0.8 g\n" + at(80, 664, b"DRAFT", 60)

    assert read_table(reader, drawn) == [["Pen", "1.20"], ["Ink", "3.50"]]


def test_single_figures_drawn_column_by_column_stand_in_their_rows(reader: FileReader) -> None:
    drawn = rule_grid([72, 132, 192], [700, 680, 660, 640])
    drawn += b"".join(at(x, y, b"%d" % (x % 7 + y // 20 % 3)) for x in (76, 136) for y in (686, 666, 646))

    assert read_table(reader, drawn) == [[str(x % 7 + y // 20 % 3) for x in (76, 136)] for y in (686, 666, 646)]
