"""Arabic and Hebrew as they are read, though programs write them as they look."""

import pytest

from support.engines import FileReader
from support.pdfs import map_letters


def write_as_drawn(*glyphs: str, size: int = 12) -> bytes:
    """Return a page of a word whose glyphs, from the left, stand for these characters."""
    codes = ["".join(f"{ord(char):04X}" for char in glyph).encode() for glyph in glyphs]
    letters = bytes(range(65, 65 + len(glyphs)))
    return map_letters(*codes, content=b"BT /F2 %d Tf 72 720 Td (%s) Tj ET" % (size, letters))


@pytest.mark.parametrize(
    ("glyphs", "word"),
    [
        (("ت", "لا", "ك", "ش", "م", "ل", "ا"), "المشكلات"),
        (("ل", "لا", "خ"), "خلال"),
        (("ة", "ي", "ج", "ا", "ت", "ن", "لإ", "ا"), "الإنتاجية"),
        (("م", "و", "ل", "ش"), "شلوم"),
        (("ة", "ي", "\ufefb", "و"), "ولاية"),  # mapped to the sign for both
    ],
)
def test_the_letters_that_one_glyph_shows_keep_their_order(
    reader: FileReader, glyphs: tuple[str, ...], word: str
) -> None:
    file = write_as_drawn(*glyphs)

    assert reader.read_text(file) == word
    assert reader.count_matches(file, word) == 1
    assert [found.text for found in reader.read_words(file)] == [word]


def test_a_blank_parts_directions_that_are_drawn_apart(reader: FileReader) -> None:
    codes = [f"{ord(char):04X}".encode() for char in "שלום"]
    drawn = b"BT /F1 12 Tf 72 720 Td (2024) Tj ET BT /F2 12 Tf 104 720 Td (DCBA) Tj ET"

    assert reader.read_text(map_letters(*codes, content=drawn)) == "שלום 2024"


def map_word(word: str, content: bytes) -> bytes:
    """Return a page of *content*, in which A, B, … in the font F2 stand for the letters of *word*."""
    return map_letters(*(f"{ord(char):04X}".encode() for char in word), content=content)


@pytest.mark.parametrize("height", [720, 724])
@pytest.mark.parametrize("is_first", [True, False])
def test_an_accent_that_is_drawn_apart_stands_at_its_letter(reader: FileReader, height: int, *, is_first: bool) -> None:
    accent, word = b"BT /F2 12 Tf 73 %d Td (F) Tj ET " % height, b"BT /F2 12 Tf 72 720 Td (EDCBA) Tj ET "
    drawn = accent + word if is_first else word + accent

    assert reader.read_text(map_word("مرحباً", drawn)) == "مرحباً"


def draw_cells(names: list[bytes]) -> bytes:
    """Return what draws a row of two numbers and a name in the font F2 for each name."""
    row = b"BT /F1 10 Tf 72 %d Td (%d.50) Tj ET BT /F1 10 Tf 130 %d Td (%d) Tj ET BT /F2 10 Tf 200 %d Td (%s) Tj ET\n"
    heights = range(700, 0, -16)
    return b"".join(row % (y, y, y, 9 * y, y, name) for y, name in zip(heights, names, strict=False))


def test_cells_that_only_white_parts_are_read_from_the_right(reader: FileReader) -> None:
    drawn = draw_cells([b"CBA DCBA", b"DA BCA", b"AB DDC", b"CD BAB"])

    (table,) = reader.read_tables(map_word("אבגד", drawn))

    assert [row[2] for row in table] == ["אבגד אבג", "אגב אד", "גדד בא", "באב דג"]


def test_a_ligature_does_not_part_the_word_of_a_cell(reader: FileReader) -> None:
    words = ["ولاية", "خلايا", "الآن", "هلام"]
    drawn = [word.replace("لا", "\0")[::-1] for word in words]
    glyphs = sorted({*"".join(drawn)})
    codes = ["".join(f"{ord(char):04X}" for char in glyph.replace("\0", "لا")).encode() for glyph in glyphs]
    names = [bytes(65 + glyphs.index(glyph) for glyph in word) for word in drawn]

    (table,) = reader.read_tables(map_letters(*codes, content=draw_cells(names)))

    assert [row[2] for row in table] == words
