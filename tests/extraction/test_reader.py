"""What is read from the pages of a file: tables as pdfplumber finds them, text, words and their places."""

import io
import math
from functools import partial
from pathlib import Path
from typing import cast

import pdfplumber
import pytest

from errors import BadPdfError
from extraction.values import Extraction
from pdf import PdfEngine
from support import pdfs
from support.engines import Run, Save, loading, save_pdf
from support.hostile import make_hostile


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return partial(save_pdf, tmp_path)


# The same tables as pdfplumber


@pytest.mark.parametrize("box", [b"0 0 612 792", b"-9 -7 620.5 800"])
@pytest.mark.parametrize("name", pdfs.GALLERY)
def test_tables_are_those_of_pdfplumber_also_on_their_side(
    run: Run, engine: PdfEngine, save: Save, name: str, box: bytes
) -> None:
    file = save(pdfs.draw_gallery(name, box=box))
    with pdfplumber.open(cast(Path, file.file)) as theirs:
        expected = theirs.pages[0].find_tables()
        left, top, _, _ = theirs.pages[0].bbox
    with pdfplumber.open(cast(Path, save(pdfs.draw_gallery(pdfs.UPRIGHT.get(name, name), box=box)).file)) as theirs:
        texts = [table.extract() for table in theirs.pages[0].find_tables()]

    tables = run(engine.extract(file, wanted="ruled")).tables

    assert [table.data for table in tables] == texts
    for table, original in zip(tables, expected, strict=True):
        x0, y0, x1, y1 = original.bbox
        assert table.bbox == pytest.approx((x0 - left, y0 - top, x1 - left, y1 - top), abs=0.1)


def test_the_gallery_has_tables() -> None:
    found = {}
    for name in pdfs.GALLERY:
        with pdfplumber.open(io.BytesIO(pdfs.draw_gallery(name))) as file:
            found[name] = len(file.pages[0].find_tables())

    assert [name for name, count in found.items() if not count] == ["no lines", "askew"]


# Files that are not quite right


def test_what_pdfium_cannot_read_is_read_by_pdfplumber(run: Run, engine: PdfEngine, save: Save) -> None:
    page = b"<</Type /Page /MediaBox [0 0 612 792] /Contents 3 0 R /Resources <<%s>>>>" % pdfs.FONT
    content = pdfs.write_grid(2, 2) + pdfs.HELLO
    file = save(
        pdfs.write_pdf([b"<</Type /Catalog>>", page, pdfs.stream(content), b"<</Title (T)>>"], trailer=b"/Info 4 0 R")
    )

    extraction = run(engine.extract(file))

    assert (extraction.pages[0].text, extraction.metadata) == ("Hello", {"Title": "T"})
    assert [table.data for table in extraction.tables] == [[["Hello", ""], ["", ""]]]


def test_a_page_that_cannot_be_read_is_a_warning(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(make_hostile("three pages promised"))))

    assert [(warning.code, warning.pages) for warning in extraction.warnings] == [("page_unreadable", [2, 3])]
    assert [page.text for page in extraction.pages] == ["Hello", "", ""]


def test_a_file_without_a_readable_page_is_a_bad_pdf(run: Run, engine: PdfEngine, save: Save) -> None:
    for name in ("tree in a wide circle", "no root"):
        with pytest.raises(BadPdfError):
            run(engine.extract(save(make_hostile(name))))


def test_a_page_of_too_many_lines_has_no_tables_and_a_warning(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(make_hostile("a grid of 500 by 500 cells"))))

    assert extraction.tables == []
    assert [(warning.code, warning.pages) for warning in extraction.warnings] == [("tables_truncated", [1])]
    assert extraction.pages[0].text == "Hello"


def test_text_and_metadata_can_be_stored(run: Run, engine: PdfEngine, save: Save) -> None:
    letters = run(engine.extract(save(make_hostile("letters that are no characters"))))
    sorts = run(engine.extract(save(make_hostile("metadata of all sorts"))))

    assert_storable(letters)
    assert_storable(sorts)
    assert sorts.metadata["Creator"] == "ab"


def test_the_places_on_a_page_without_end_are_numbers(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(make_hostile("tables on pages without a left edge"))))

    numbers = [number for page in extraction.pages for number in (page.width, page.height)]
    numbers += [number for table in extraction.tables for number in table.bbox]
    assert len(extraction.tables) == 2
    assert all(map(math.isfinite, numbers))


def assert_storable(extraction: Extraction) -> None:
    cells = [cell or "" for table in extraction.tables for row in table.data for cell in row]
    texts = [page.text for page in extraction.pages] + list(extraction.metadata.values()) + cells
    assert not any(set(text) & {"\0", "\r", "\uffff"} for text in texts)
    assert all(text.encode() is not None for text in texts)
    assert [page.page_number for page in extraction.pages] == list(range(1, extraction.page_count + 1))
    assert all(math.isfinite(size) for page in extraction.pages for size in (page.width, page.height))
    assert all(math.isfinite(edge) for table in extraction.tables for edge in table.bbox)


# Text, and where it is


def test_characters_beyond_the_basic_plane_are_whole(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(pdfs.map_letters(b"D83DDE00", b"D835DD04"))))

    assert extraction.pages[0].text == "x😀𝔄y"


def test_a_word_parted_at_a_line_end_is_joined(run: Run, engine: PdfEngine, save: Save) -> None:
    content = b"BT /F1 12 Tf 14 TL 72 700 Td (This is an exam-) Tj T* (ple of parting) Tj ET"

    extraction = run(engine.extract(save(pdfs.write_page(content))))

    assert extraction.pages[0].text == "This is an example of parting"


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        (b"a COVID-", b"19 case", "a COVID-19 case"),
        (b"the Franco-", b"Prussian war", "the Franco-Prussian war"),
        (b"IN CAPI-", b"TAL LETTERS", "IN CAPITAL LETTERS"),
        (b"a mother-", b"in-law", "a mother-in-law"),
        (b"a step-by-", b"step guide", "a step-by-step guide"),
        (b"an infor-", b"mation-based one", "an information-based one"),
    ],
)
def test_a_hyphen_before_a_number_or_a_name_or_in_a_chain_of_words_stays(
    run: Run, engine: PdfEngine, save: Save, first: bytes, second: bytes, joined: str
) -> None:
    content = b"BT /F1 12 Tf 14 TL 72 700 Td (%s) Tj T* (%s) Tj ET" % (first, second)

    extraction = run(engine.extract(save(pdfs.write_page(content))))

    assert extraction.pages[0].text == joined


def test_a_hit_after_a_character_beyond_the_basic_plane_is_where_it_is(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.map_letters(b"D83DDE00", b"D835DD04"))

    _, (page,) = run(engine.search_pages(file, loading((1, "x😀𝔄y")), "y", first_page=1, limit=1))
    *_, last = run(engine.read_words(file, 1))

    (((_, _, x1, _),),) = page.boxes
    assert last.text == "x😀𝔄y"
    assert x1 == pytest.approx(last.x1, abs=1)


def test_columns_stay_apart(run: Run, engine: PdfEngine, save: Save) -> None:
    column = b"BT /F1 10 Tf 12 TL %d 700 Td (%s one) Tj T* (%s two) Tj ET "

    extraction = run(
        engine.extract(save(pdfs.write_page(column % (72, b"left", b"left") + column % (300, b"right", b"right"))))
    )

    assert extraction.pages[0].text == "left one\nleft two\nright one\nright two"


LINES = ["These are the words", "of the second line", "and of the third"]


@pytest.mark.parametrize("by_word", [False, True])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
def test_turned_text_is_read_as_if_it_were_upright(
    run: Run, engine: PdfEngine, save: Save, rotate: int, degrees: int, by_word: bool
) -> None:
    content = pdfs.write_turned(LINES, degrees, x=300, y=400, by_word=by_word)

    extraction = run(engine.extract(save(pdfs.write_page(content, page=b"/Rotate %d" % rotate))))

    assert extraction.pages[0].text.split("\n") == LINES


@pytest.mark.parametrize("by_word", [False, True])
@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_a_turned_note_is_read_where_it_was_drawn(
    run: Run, engine: PdfEngine, save: Save, degrees: int, by_word: bool
) -> None:
    above, below = ["Most of the page", "is upright, and", "goes on after"], ["the note", "in the margin"]
    content = b" ".join(
        [
            pdfs.write_turned(above, 0, x=100, y=700, by_word=True),
            pdfs.write_turned(LINES, degrees, x=400, y=500, by_word=by_word),
            pdfs.write_turned(below, 0, x=100, y=200, by_word=True),
        ]
    )

    extraction = run(engine.extract(save(pdfs.write_page(content))))

    assert extraction.pages[0].text.split("\n") == [*above, *LINES, *below]


@pytest.mark.parametrize("degrees", [90, 270])
@pytest.mark.parametrize("note", ["arXiv:2101.00123v2 14 Jan 2021", "2021"])
@pytest.mark.parametrize("count", [1, 2])
def test_the_figures_of_a_note_on_its_side_stay_together(
    run: Run, engine: PdfEngine, save: Save, degrees: int, note: str, count: int
) -> None:
    upright = ["Most of the page", "is upright"][:count]
    content = pdfs.write_turned(upright, 0, x=100, y=700) + b" " + pdfs.write_turned([note], degrees, x=40, y=400)

    extraction = run(engine.extract(save(pdfs.write_page(content))))

    assert sorted(extraction.pages[0].text.split("\n")) == sorted([*upright, note])


def test_a_hit_in_a_turned_note_is_where_the_note_is(run: Run, engine: PdfEngine, save: Save) -> None:
    upright = pdfs.write_turned(["upright words first", "and more of them"], 0, x=100, y=700, by_word=True)
    content = upright + b" " + pdfs.write_turned(["one", "two needle", "three"], 270, x=400, y=500)
    file = save(pdfs.write_page(content))
    text = run(engine.extract(file)).pages[0].text

    _, (page,) = run(engine.search_pages(file, loading((1, text)), "needle", first_page=1, limit=1))

    (((x0, top, x1, bottom),),) = page.boxes
    assert 386 - 4 <= x0 < x1 <= 386 + 12  # the second line, 14 points to the left of the first
    assert 792 - 500 + 20 <= top < bottom <= 792 - 500 + 70


def test_the_words_of_a_page_come_in_the_order_of_its_text(run: Run, engine: PdfEngine, save: Save) -> None:
    above = pdfs.write_turned(["upright words first", "and more of them"], 0, x=100, y=700, by_word=True)
    file = save(pdfs.write_page(above + b" " + pdfs.write_turned(["one two", "three"], 270, x=400, y=500)))

    words = run(engine.read_words(file, 1))

    assert [word.text for word in words] == run(engine.extract(file)).pages[0].text.split()
    one, two, three = words[-3:]
    assert one.bottom <= two.top + 1  # downwards, and the next line to the left
    assert three.x1 <= one.x0 + 1


def test_a_word_parted_at_a_line_end_has_a_box_on_each_line(run: Run, engine: PdfEngine, save: Save) -> None:
    content = b"BT /F1 12 Tf 14 TL 72 700 Td (an exam-) Tj T* (ple of it) Tj ET"

    words = run(engine.read_words(save(pdfs.write_page(content)), 1))

    assert [word.text for word in words] == ["an", "exam-", "ple", "of", "it"]
    assert words[1].top < words[2].top
    assert words[2].x0 < words[1].x0


def test_words_that_pdfium_cannot_read_are_read_by_pdfplumber(run: Run, engine: PdfEngine, save: Save) -> None:
    page = b"<</Type /Page /MediaBox [0 0 612 792] /Contents 3 0 R /Resources <<%s>>>>" % pdfs.FONT
    file = save(pdfs.write_pdf([b"<</Type /Catalog>>", page, pdfs.stream(pdfs.HELLO)]))

    (word,) = run(engine.read_words(file, 1))

    assert word.text == "Hello"
    assert 0 < word.x0 < word.x1 < 612
    assert 0 < word.top < word.bottom < 792


def test_a_page_that_is_not_there_has_no_words(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("one page"))

    assert run(engine.read_words(file, 2)) is None


def test_a_page_tells_at_most_twenty_thousand_words(run: Run, engine: PdfEngine, save: Save) -> None:
    line = b"(" + b"a " * 500 + b") Tj T* "
    content = b"BT /F1 1 Tf 2 TL 9 700 Td " + 50 * line + b"ET"

    assert len(run(engine.read_words(save(pdfs.write_page(content)), 1))) == 20_000
