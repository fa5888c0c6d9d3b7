"""The PDF engine: values from good files, clean errors from bad ones, and workers that may die."""

import asyncio
import io
import json
import math
import subprocess
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pdfplumber
import pytest

from errors import BadPdfError, BusyError, ExtractionLimitError, PasswordRequiredError
from extraction.recent import RecentAnswers
from extraction.text import Excerpt, find_matches
from extraction.values import Extraction, PageMatches, Part
from extraction.workers import Limits
from pdf import PdfEngine, PdfFile, _Total
from support import pdfs
from support.hostile import make_hostile

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Save = Callable[..., PdfFile]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture(scope="module")
def engine() -> Iterator[PdfEngine]:
    engine = PdfEngine(workers=2, deadline_seconds=20, cpu_seconds=20, memory_bytes=1024 * 1024 * 1024, max_pages=100)
    engine.start()
    yield engine
    engine.close()


@pytest.fixture(scope="module")
def strict_engine() -> Iterator[PdfEngine]:
    """An engine that loses patience soon, so that hostile files cost little time."""
    engine = PdfEngine(workers=2, deadline_seconds=0.8, cpu_seconds=20, memory_bytes=512 * 1024 * 1024, max_pages=1000)
    engine.start()
    yield engine
    engine.close()


def loading(*pages: tuple[int, str]) -> Callable[[], Coroutine[Any, Any, list[tuple[int, str]]]]:
    async def load() -> list[tuple[int, str]]:
        return list(pages)

    return load


@pytest.fixture
def save(tmp_path: Path) -> Save:
    def save_file(content: bytes, **about: Any) -> PdfFile:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.pdf"
        path.write_bytes(content)
        return PdfFile(path, **about)

    return save_file


def test_the_text_of_each_page_is_extracted(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("First page,\ntwo lines", "", "Third page"))

    extraction = run(engine.extract(file))

    assert extraction.page_count == 3
    assert [page.text for page in extraction.pages] == ["First page,\ntwo lines", "", "Third page"]
    assert [page.page_number for page in extraction.pages] == [1, 2, 3]
    assert (round(extraction.pages[0].width), round(extraction.pages[0].height)) == (595, 842)
    assert extraction.warnings == []


def test_tables_are_counted_over_the_document(run: Run, engine: PdfEngine, save: Save) -> None:
    rows = [["Name", "Sum"], ["Alice", "1"], ["Bob", "2"]]
    file = save(pdfs.make_table_pdf(rows))

    extraction = run(engine.extract(file))

    assert [(table.page_number, table.table_index, table.data) for table in extraction.tables] == [(1, 0, rows)]


def test_an_inspection_says_what_is_in_a_file(run: Run, engine: PdfEngine, save: Save) -> None:
    inspection = run(engine.inspect(save(pdfs.make_table_pdf([["a", "b"], ["c", "d"]]))))

    assert (inspection.page_count, inspection.has_text, inspection.has_tables) == (1, True, True)
    assert inspection.encrypted is False


def test_metadata_is_text(run: Run, engine: PdfEngine, save: Save) -> None:
    inspection = run(engine.inspect(save(pdfs.make_pdf("x", title="Ein schöner Titel"))))

    assert inspection.metadata["Title"] == "Ein schöner Titel"


def read_matches(body: bytes) -> list[PageMatches]:
    return [
        PageMatches(
            page["page"],
            page["matches"],
            [Excerpt(*(hit[name] for name in Excerpt._fields)) for hit in page["context"]],
            [],
        )
        for page in json.loads(body)["matches_by_page"]
    ]


def test_a_search_returns_the_pages_with_matches(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("nothing", "The Quick\nBrown fox", "quick   brown, quick brown"))

    found = read_matches(run(engine.search(file, "quick brown")))

    assert [(page.page_number, page.matches) for page in found] == [(2, 1), (3, 2)]
    assert found[0] == PageMatches(2, 1, [Excerpt(4, "The ", "Quick\nBrown", " fox")], [])


# In parts


def numbered_pages(count: int) -> list[bytes]:
    return [b"BT /F1 12 Tf 72 720 Td (page %d) Tj ET" % number for number in range(1, count + 1)]


def test_a_long_document_comes_in_parts_that_are_whole_together(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages(numbered_pages(90)))

    async def read() -> list[Part]:
        return [part async for part in engine.read(file)]

    parts = run(read())
    assert len(parts) > 2
    assert [page.text for part in parts for page in part.pages] == [f"page {number}" for number in range(1, 91)]
    assert {part.page_count for part in parts} == {90}


def test_a_page_that_breaks_its_reader_ends_the_document_wherever_it_stands(
    run: Run, strict_engine: PdfEngine, save: Save
) -> None:
    contents = numbered_pages(60)
    contents[50] = b"BT /F1 1 Tf (x) Tj ET " * 500_000

    with pytest.raises(ExtractionLimitError):
        run(strict_engine.extract(save(pdfs.write_pages(contents))))


def test_the_deadline_is_for_the_whole_file(run: Run, strict_engine: PdfEngine, save: Save) -> None:
    slow = b"BT /F1 1 Tf (x) Tj ET " * 10_000  # far less than the deadline, each

    with pytest.raises(ExtractionLimitError, match="seconds"):
        run(strict_engine.extract(save(pdfs.write_pages([slow] * 200))))


def test_parts_that_are_read_at_the_same_time_count_once_for_the_deadline() -> None:
    part = Part(9, {}, False, [], [], [], 0, began=100.0, ended=104.0, cpu_seconds=2.0, rescue_seconds=0.0)
    total = _Total(Limits(seconds=60, cpu_seconds=60))

    for began, ended in ((100, 104), (101, 105), (102, 103), (110, 112)):
        total.add(part._replace(began=began, ended=ended))

    left = total.limits(patient=True)
    assert (left.seconds, left.cpu_seconds) == (60 - 5 - 2, 60 - 4 * 2)


def test_a_reader_that_stops_early_leaves_no_work_behind(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages(numbered_pages(90)))

    async def read_one() -> Part:
        async with aclosing(engine.read(file)) as parts:
            return await anext(parts)

    assert run(read_one()).pages[0].text == "page 1"
    assert run(engine.inspect(file)).page_count == 90


def test_a_document_of_unreadable_pages_is_refused_even_in_parts(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages(numbered_pages(40)).replace(b"/Type /Page /Parent", b"/Type /Nothing /Par"))

    with pytest.raises(BadPdfError):
        run(engine.extract(file))


# Asked again


@pytest.mark.parametrize("ask", ["inspect", "extract_json", "search"])
def test_the_same_question_about_the_same_bytes_needs_no_file(
    run: Run, engine: PdfEngine, save: Save, ask: str
) -> None:
    file = save(pdfs.make_pdf(f"asked twice by {ask}"), sha256=ask)
    question = partial(getattr(engine, ask), file, *(["twice"] if ask == "search" else []))
    first = run(question())
    file.path.unlink()

    assert run(question()) == first


def test_another_term_is_searched_in_the_same_text(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("needles", "and pins"), sha256="sewing")
    run(engine.search(file, "needles"))
    file.path.unlink()

    assert [page.page_number for page in read_matches(run(engine.search(file, "pins")))] == [2]


def test_what_is_remembered_needs_the_same_password(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_encrypted_pdf("secret", user_password="open sesame"), sha256="treasure")
    run(engine.extract_json(file._replace(password="open sesame")))

    with pytest.raises(PasswordRequiredError):
        run(engine.extract_json(file))


def test_a_full_memory_forgets_what_was_used_least_lately() -> None:
    recent = RecentAnswers(8000, seconds=1000)
    for key in "abcd":
        recent.keep((key,), key, size=900)
    recent.find(("a",))

    recent.keep(("e",), "e", size=900)

    assert [recent.find((key,)) for key in "abcde"] == ["a", None, "c", "d", "e"]


def test_an_answer_too_large_or_too_old_is_not_remembered() -> None:
    recent = RecentAnswers(8000, seconds=1000)
    recent.keep(("large",), 1, size=1001)
    brief = RecentAnswers(8000, seconds=-1)
    brief.keep(("old",), 1, size=1)

    assert recent.find(("large",)) is None
    assert brief.find(("old",)) is None


def test_a_search_that_is_not_begun_holds_no_text(run: Run, save: Save) -> None:
    engine = PdfEngine(workers=1, deadline_seconds=9, cpu_seconds=9, memory_bytes=1024 * 1024 * 1024, max_pages=9)
    engine.close()
    loaded = []

    async def load() -> list[tuple[int, str]]:
        loaded.append(True)
        return [(1, "a text")]

    with pytest.raises(BusyError):
        run(engine.search_pages(save(pdfs.make_pdf("a text")), load, "a", first_page=1, limit=1))

    assert not loaded


def test_the_places_on_a_page_without_end_are_numbers(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(make_hostile("tables on pages without a left edge"))))

    numbers = [number for page in extraction.pages for number in (page.width, page.height)]
    numbers += [number for table in extraction.tables for number in table.bbox]
    assert len(extraction.tables) == 2
    assert all(map(math.isfinite, numbers))


def test_an_answer_that_says_nothing_takes_room_too(run: Run, engine: PdfEngine, save: Save) -> None:
    recent = engine._recent
    before = recent.size

    run(engine.inspect(save(pdfs.write_page(b"0 0 9 9 re f"), sha256="a" * 64)))

    assert recent.size >= before + 1000


def test_extract_json_is_the_body_of_an_answer(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("Größe", "b", title="T"))

    body = json.loads(run(engine.extract_json(file)))

    assert body["text"] == "Größe\fb"
    assert body["pages"][0] == {"page_number": 1, "text": "Größe", "char_count": 5}
    assert (body["page_count"], body["tables"], body["metadata"]["Title"]) == (2, [], "T")


def test_a_file_encrypted_without_a_user_password_is_read(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(pdfs.make_encrypted_pdf("open secret"))))

    assert extraction.encrypted is True
    assert extraction.pages[0].text == "open secret"


def test_a_file_with_a_user_password_is_refused(run: Run, engine: PdfEngine, save: Save) -> None:
    with pytest.raises(PasswordRequiredError):
        run(engine.extract(save(pdfs.make_encrypted_pdf("secret", user_password="open sesame"))))


@pytest.mark.parametrize("content", [b"", b"%PDF-1.4", b"not a PDF", b"%PDF-1.7\n%%EOF"])
def test_what_is_not_a_pdf_is_a_bad_pdf(run: Run, engine: PdfEngine, save: Save, content: bytes) -> None:
    with pytest.raises(BadPdfError, match="Error processing PDF: the file "):
        run(engine.extract(save(content)))


def test_more_pages_than_allowed_are_a_limit(run: Run, engine: PdfEngine, save: Save) -> None:
    with pytest.raises(ExtractionLimitError, match="101 pages, more than the 100"):
        run(engine.extract(save(pdfs.make_pdf(*[""] * 101))))


def test_the_web_process_never_loads_a_pdf_reader() -> None:
    program = (
        "import sys, pdf; print([m for m in ('pypdfium2.raw', 'pypdfium2_raw', 'pdfplumber') if m in sys.modules])"
    )

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout

    assert loaded == "[]\n"


# The same tables as pdfplumber


@pytest.mark.parametrize("box", [b"0 0 612 792", b"-9 -7 620.5 800"])
@pytest.mark.parametrize("name", pdfs.GALLERY)
def test_tables_are_those_of_pdfplumber(run: Run, engine: PdfEngine, save: Save, name: str, box: bytes) -> None:
    file = save(pdfs.draw_gallery(name, box=box))
    with pdfplumber.open(file.path) as theirs:
        expected = theirs.pages[0].find_tables()
        texts = [table.extract() for table in expected]
        left, top, _, _ = theirs.pages[0].bbox

    tables = run(engine.extract(file)).tables

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

    assert extraction.warnings == ["page_unreadable: page 2", "page_unreadable: page 3"]
    assert [page.text for page in extraction.pages] == ["Hello", "", ""]


def test_a_file_without_a_readable_page_is_a_bad_pdf(run: Run, engine: PdfEngine, save: Save) -> None:
    for name in ("tree in a wide circle", "no root"):
        with pytest.raises(BadPdfError):
            run(engine.extract(save(make_hostile(name))))


def test_a_page_of_too_many_lines_has_no_tables_and_a_warning(run: Run, engine: PdfEngine, save: Save) -> None:
    extraction = run(engine.extract(save(make_hostile("a grid of 500 by 500 cells"))))

    assert (extraction.tables, extraction.warnings) == ([], ["tables_truncated: page 1"])
    assert extraction.pages[0].text == "Hello"


def test_text_and_metadata_can_be_stored(run: Run, engine: PdfEngine, save: Save) -> None:
    letters = run(engine.extract(save(make_hostile("letters that are no characters"))))
    sorts = run(engine.extract(save(make_hostile("metadata of all sorts"))))

    assert_storable(letters)
    assert_storable(sorts)
    assert sorts.metadata["Creator"] == "ab"


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
    ],
)
def test_a_hyphen_before_a_number_or_a_name_stays(
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
    content = b"BT /F1 1 Tf 2 TL 9 99 Td " + b"(" + b"a " * 10_000 + b") Tj T* " + b"(" + b"b " * 15_000 + b") Tj ET"

    assert len(run(engine.read_words(save(pdfs.write_page(content)), 1))) == 20_000


def assert_storable(extraction: Extraction) -> None:
    cells = [cell or "" for table in extraction.tables for row in table.data for cell in row]
    texts = [page.text for page in extraction.pages] + list(extraction.metadata.values()) + cells
    assert not any(set(text) & {"\0", "\r", "\uffff"} for text in texts)
    assert all(text.encode() is not None for text in texts)
    assert [page.page_number for page in extraction.pages] == list(range(1, extraction.page_count + 1))
    assert all(math.isfinite(size) for page in extraction.pages for size in (page.width, page.height))
    assert all(math.isfinite(edge) for table in extraction.tables for edge in table.bbox)


# Matching


@pytest.mark.parametrize(
    ("text", "term", "matched"),
    [
        ("Straße STRASSE strasse", "straße", ["Straße", "STRASSE", "strasse"]),
        ("the ﬁrst first", "FIRST", ["ﬁrst", "first"]),
        ("a  b\na\n\t b a b", "a b", ["a  b", "a\n\t b", "a b"]),
        ("aaaa", "aa", ["aa", "aa"]),
        ("a.b", ".", ["."]),
        ("İstanbul", "istanbul", []),
        ("x", "  ", []),
        ("\xa0two\u2003words ", " two words ", ["two\u2003words"]),
    ],
)
def test_matches_ignore_case_and_the_kind_of_white_space(text: str, term: str, matched: list[str]) -> None:
    matches = find_matches(text, term)

    assert [excerpt.match for excerpt in matches.excerpts] == matched
    assert matches.total == len(matched)
    assert all(text[e.position :].startswith(e.match) for e in matches.excerpts)


def test_an_excerpt_shows_sixty_characters_each_side() -> None:
    text = "a" * 100 + "NEEDLE" + "b" * 100

    [excerpt] = find_matches(text, "needle").excerpts

    assert excerpt == Excerpt(100, "a" * 60, "NEEDLE", "b" * 60)


def test_after_two_thousand_excerpts_a_page_has_one(run: Run, engine: PdfEngine, save: Save) -> None:
    page = b"BT /F1 9 Tf 9 99 Td (" + b"a " * 120 + b") Tj ET"
    file = save(pdfs.write_pages([page] * 25))

    found = read_matches(run(engine.search(file, "a")))
    texts = loading(*((number, "a " * 120) for number in range(1, 26)))
    total, shown = run(engine.search_pages(file, texts, "a", first_page=3, limit=22))

    assert [(len(page.excerpts), page.matches) for page in found] == [(100, 120)] * 20 + [(1, 120)] * 5
    assert total == 25 * 120
    assert [(len(page.excerpts), len(page.boxes)) for page in shown] == [(100, 100)] * 20 + [(1, 1)] * 2


def test_excerpts_end_at_a_hundred_and_the_count_does_not() -> None:
    matches = find_matches("ab " * 5000, "AB")

    assert (matches.total, len(matches.excerpts)) == (5000, 100)


@pytest.mark.parametrize(
    ("text", "term"),
    [
        (" " * 3_000_000, "a b"),
        ("a " * 1_000_000, "a " * 499 + "b"),
        ("a" * 3_000_000, "a" * 999 + "b"),
        ("a" + " " * 3_000_000 + "c", "a b"),
        ("ß" * 300_000, "s" * 999 + "t"),
    ],
)
def test_no_text_makes_matching_slow(text: str, term: str) -> None:
    assert find_matches(text, term).total == 0


def test_stored_tables_that_cost_too_much_are_refused(run: Run, strict_engine: PdfEngine) -> None:
    narrow = PdfEngine(workers=1, deadline_seconds=20, cpu_seconds=20, memory_bytes=64 * 1024 * 1024, max_pages=1)

    def write(engine: PdfEngine, row_count: int) -> bytes | None:
        async def load() -> str:
            return json.dumps(
                [[1, 0, [[f"{row}.{column}" for column in range(10)] for row in range(row_count)], [], 1]]
            )

        return run(engine.write_tables(load, user_id=1, file_format="xlsx", merge=False))  # type: ignore[no-any-return]

    with pytest.raises(ExtractionLimitError, match="more than the 0"):
        write(strict_engine, 50_000)
    with pytest.raises(ExtractionLimitError, match="more memory"):
        write(narrow, 100_000)
    assert (write(narrow, 1) or b"").startswith(b"PK")
    narrow.close()
