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
