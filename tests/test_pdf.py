"""The PDF engine: values from good files, clean errors from bad ones, and workers that may die."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from errors import BadPdfError, BusyError, ExtractionLimitError, PasswordRequiredError
from extraction import plumber
from extraction.matching import Excerpt
from extraction.page import pdfium
from extraction.tasks import TableQuery
from extraction.values import PageMatches, Part
from extraction.workers.queue import Limits
from pdf import SHARED_MODULES, PdfEngine, _Total
from support import pdfs
from support.engines import Run, Save, loading, open_engine, save_pdf


@pytest.fixture(scope="module")
def strict_engine() -> Iterator[PdfEngine]:
    """An engine with little processor time, so that hostile files cost little."""
    with open_engine(cpu_seconds=1, deadline_seconds=60, memory_mb=512, max_pages=1000) as opened:
        yield opened


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return partial(save_pdf, tmp_path)


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


def test_after_two_thousand_excerpts_a_page_has_one(run: Run, engine: PdfEngine, save: Save) -> None:
    page = b"BT /F1 4 Tf 9 99 Td (" + b"a " * 120 + b") Tj ET"
    file = save(pdfs.write_pages([page] * 25))

    found = read_matches(run(engine.search(file, "a")))
    texts = loading(*((number, "a " * 120) for number in range(1, 26)))
    total, shown = run(engine.search_pages(file, texts, "a", first_page=3, limit=22))

    assert [(len(page.excerpts), page.matches) for page in found] == [(100, 120)] * 20 + [(1, 120)] * 5
    assert total == 25 * 120
    assert [(len(page.excerpts), len(page.boxes)) for page in shown] == [(100, 100)] * 20 + [(1, 1)] * 2


# In parts


def numbered_pages(count: int) -> list[bytes]:
    return [b"BT /F1 12 Tf 72 720 Td (page %d) Tj ET" % number for number in range(1, count + 1)]


def test_a_long_document_comes_in_parts_that_are_whole_together(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages(numbered_pages(90)))

    async def extract_parts() -> list[Part]:
        return [part async for part in engine.extract_parts(file)]

    parts = run(extract_parts())
    assert len(parts) > 2
    assert [page.text for part in parts for page in part.pages] == [f"page {number}" for number in range(1, 91)]
    assert {part.page_count for part in parts} == {90}


def test_a_page_that_breaks_its_reader_ends_the_document_wherever_it_stands(
    run: Run, strict_engine: PdfEngine, save: Save
) -> None:
    contents = numbered_pages(60)
    contents[50] = b"BT /F1 1 Tf (x) Tj ET " * 200_000

    with pytest.raises(ExtractionLimitError):
        run(strict_engine.extract(save(pdfs.write_pages(contents))))


def test_the_processor_time_is_for_the_whole_file(run: Run, strict_engine: PdfEngine, save: Save) -> None:
    slow = b"BT /F1 1 Tf (x) Tj ET " * 10_000  # far less than a second, each

    with pytest.raises(ExtractionLimitError, match="more than the 1 seconds of processor time"):
        run(strict_engine.extract(save(pdfs.write_pages([slow] * 80))))


def test_parts_that_are_read_at_the_same_time_count_once_for_the_deadline() -> None:
    part = Part(9, {}, False, [], [], [], [], 0, began=100.0, ended=104.0, cpu_seconds=2.0, rescue_seconds=0.0)
    total = _Total(Limits(seconds=60, cpu_seconds=60))

    for began, ended in ((100, 104), (101, 105), (102, 103), (110, 112)):
        total.add(part._replace(began=began, ended=ended))

    left = total.limits(17)
    assert (left.seconds, left.cpu_seconds) == (60 - 5 - 2, 60 - 4 * 2)


def test_no_more_parts_are_read_at_once_than_the_processor_time_pays_for() -> None:
    part = Part(99, {}, False, [], [], [], [], 0, began=0.0, ended=1.0, cpu_seconds=0.9, rescue_seconds=0.0)
    total = _Total(Limits(seconds=60, cpu_seconds=3))
    total.add(part)

    assert [total.pays_for(count) for count in (1, 2, 3)] == [True, True, False]  # 2.1 seconds are left
    total.add(part)
    total.add(part)
    assert [total.pays_for(count) for count in (1, 2)] == [True, False]


@pytest.mark.parametrize(
    ("limits", "told"),
    [
        (Limits(seconds=60, cpu_seconds=10), "more than the 10 seconds of processor time"),
        (Limits(seconds=60, cpu_seconds=60, opening_seconds=8), "8 seconds to open it"),
    ],
)
def test_no_part_is_begun_when_the_processor_time_is_used_up(limits: Limits, told: str) -> None:
    part = Part(90, {}, False, [], [], [], [], 0, began=100.0, ended=104.0, cpu_seconds=5.0, rescue_seconds=0.0)
    total = _Total(limits)
    total.add(part)
    total.limits(17)

    total.add(part)

    with pytest.raises(ExtractionLimitError, match=told):
        total.limits(17)


def test_a_reader_that_stops_early_leaves_no_work_behind(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages(numbered_pages(90)))

    async def read_one() -> Part:
        async with aclosing(engine.extract_parts(file)) as parts:
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
    cast(Path, file.file).unlink()

    assert run(question()) == first


@pytest.mark.parametrize(
    ("ask", "details"),
    [
        ("inspect", {}),
        ("extract_json", {}),
        ("search", {"term": "two"}),
        ("render_page", {"page_number": 1, "width": 9, "image_format": "png"}),
    ],
)
def test_what_others_asked_is_read_again_unless_they_asked_about_the_same_document(
    run: Run, engine: PdfEngine, save: Save, ask: str, details: dict[str, Any]
) -> None:
    file = save(pdfs.make_pdf(f"asked by two of {ask}"), sha256=f"two of {ask}", user_id=1)
    question = partial(getattr(engine, ask), **details)
    shared = file._replace(document_id=7)
    first = run(question(file)), run(question(shared))
    cast(Path, file.file).unlink()

    assert (run(question(file)), run(question(shared))) == first
    assert run(question(shared._replace(user_id=2))) == first[1]
    for stranger in (file._replace(user_id=2), shared._replace(document_id=8)):
        with pytest.raises(BadPdfError):
            run(question(stranger))


def test_another_term_is_searched_in_the_same_text(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_pdf("needles", "and pins"), sha256="sewing")
    run(engine.search(file, "needles"))
    cast(Path, file.file).unlink()

    assert [page.page_number for page in read_matches(run(engine.search(file, "pins")))] == [2]


def test_what_is_remembered_needs_the_same_password(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.make_encrypted_pdf("secret", user_password="open sesame"), sha256="treasure")
    run(engine.extract_json(file._replace(password="open sesame")))

    with pytest.raises(PasswordRequiredError):
        run(engine.extract_json(file))


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


def test_a_worker_has_loaded_the_readers_before_its_first_task(run: Run) -> None:
    with open_engine(workers=1) as engine:
        loaded = run(engine._workers.run(eval, "sorted(__import__('sys').modules)"))

    assert {*SHARED_MODULES, pdfium.__name__, plumber.__name__} <= set(loaded)


def test_stored_tables_that_cost_too_much_are_refused(run: Run, strict_engine: PdfEngine) -> None:
    narrow = PdfEngine(workers=1, deadline_seconds=60, cpu_seconds=60, memory_bytes=64 * 1024 * 1024, max_pages=1)

    def write(engine: PdfEngine, row_count: int) -> bytes | None:
        async def load() -> str:
            cells = [[f"{row}.{column}" for column in range(10)] for row in range(row_count)]
            return json.dumps([[1, 0, cells, [], "ruled", 0, [], "", 1]])

        return run(engine.write_tables(load, TableQuery("xlsx"), user_id=1))  # type: ignore[no-any-return]

    with pytest.raises(ExtractionLimitError, match="more than the 1 seconds of processor time"):
        write(strict_engine, 50_000)
    with pytest.raises(ExtractionLimitError, match="more memory than the 64 MB"):
        write(narrow, 100_000)
    assert (write(narrow, 1) or b"").startswith(b"PK")
    narrow.close()
