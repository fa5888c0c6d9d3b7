"""What a PDF may cost: processor time and memory, and who waits when one costs more."""

import asyncio
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from errors import ExtractionLimitError
from extraction.budget import PAGE_SECONDS
from extraction.workers import queue
from pdf import PdfEngine, PdfFile
from support import pdfs
from support.engines import Run, Save, open_engine, save_pdf
from support.hostile_building import packed
from support.hostile_costs import COSTLY

PAGE = b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 9 9]>>"
SLOW = b"0 0 m 9 9 l S " * 5000  # some hundredths of a second
SLOWER = b"0 0 m 9 9 l S " * 60_000  # half a second


@pytest.fixture(scope="module")
def engine() -> Iterator[PdfEngine]:
    """An engine with half a second of processor time for opening."""
    with open_engine(workers=1, opening_seconds=0.5, deadline_seconds=60, max_pages=1000) as opened:
        yield opened


@pytest.fixture
def quick_openings(monkeypatch: pytest.MonkeyPatch) -> None:
    """A first attempt is given half a second."""
    monkeypatch.setattr(queue, "QUICK_SECONDS", 0.5)


@pytest.fixture
def save(tmp_path: Path) -> Save:
    return partial(save_pdf, tmp_path)


@pytest.mark.parametrize("name", ["references of no width", "a tree that laughs without pages"])
@pytest.mark.parametrize("ask", ["extract", "inspect", "extract_json"])
def test_a_file_that_is_costly_to_open_is_refused(run: Run, engine: PdfEngine, save: Save, name: str, ask: str) -> None:
    with pytest.raises(ExtractionLimitError, match=r"0\.5 seconds to open it"):
        run(getattr(engine, ask)(save(COSTLY[name]())))


def test_metadata_of_many_declarations_are_read_in_one_go(run: Run, engine: PdfEngine, save: Save) -> None:
    packet = pdfs.stream(zlib.compress(b"<?xml " * 150_000), b"/Type /Metadata /Subtype /XML /Filter /FlateDecode")
    catalog = b"<</Type /Catalog /Pages 2 0 R /Metadata 4 0 R>>"

    found = run(engine.inspect(save(pdfs.write_pdf([catalog, pdfs.PAGES, PAGE, packet]))))

    assert (found.page_count, found.metadata) == (1, {})


def test_labels_with_an_endless_prefix_are_not_put_together_for_each_page(
    run: Run, engine: PdfEngine, save: Save
) -> None:
    labels = b"/PageLabels <</Nums [0 <</S /D /P (%s)>>]>>" % (b"x" * 1_000_000)
    pages = b"<</Type /Pages /Kids [%s] /Count 900>>" % (b"3 0 R " * 900)
    book = packed([b"<</Type /Catalog /Pages 2 0 R %s>>" % labels, pages, PAGE], pdfs.stream(b""))

    assert run(engine.read_labels(save(book))) == {}


def test_pages_earn_processor_time(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages([SLOW] * 30))  # more than half a second in all, less than what they earn

    whole = run(engine.extract(file))

    assert len(whole.pages) == 30
    assert run(engine.extract_json(file)).count(b"page_number") == 30


def test_late_pages_may_take_no_more_than_was_earned(run: Run, engine: PdfEngine, save: Save) -> None:
    file = save(pdfs.write_pages([b""] * 7 + [SLOWER] * 10))

    with pytest.raises(ExtractionLimitError, match=f"{PAGE_SECONDS:g} more for each page"):
        run(engine.extract(file))


def test_what_one_file_has_earned_is_not_the_next_ones(run: Run, engine: PdfEngine, save: Save) -> None:
    run(engine.extract(save(pdfs.write_pages([b""] * 500))))

    with pytest.raises(ExtractionLimitError, match=r"0\.5 seconds to open it"):
        run(engine.extract(save(COSTLY["references of no width"]())))


@pytest.mark.parametrize("name", ["a gigabyte of blanks", "three gigabytes in a few bytes", "a bomb of states"])
def test_a_file_that_needs_too_much_memory_is_refused(run: Run, engine: PdfEngine, save: Save, name: str) -> None:
    with pytest.raises(ExtractionLimitError, match="more memory than the 600 MB"):
        run(engine.extract(save(COSTLY[name]())))


@pytest.mark.usefixtures("quick_openings")
def test_who_needs_long_to_open_a_file_leaves_room_for_others_meanwhile(run: Run, save: Save) -> None:
    async def crowd(engine: PdfEngine) -> list[str]:
        good, bomb = save(pdfs.make_pdf("good")), save(COSTLY["a tree that laughs without pages"]())
        done: list[str] = []

        async def ask(name: str, file: PdfFile) -> None:
            await asyncio.gather(engine.inspect(file), return_exceptions=True)
            done.append(name)

        async with asyncio.TaskGroup() as group:
            for user_id in (1, 2):
                group.create_task(ask("bomb", bomb._replace(user_id=user_id)))
            await asyncio.sleep(0)
            for _ in range(3):
                await ask("good", good._replace(user_id=3))
        return done

    with open_engine(opening_seconds=1) as engine:
        assert run(crowd(engine)) == ["good", "good", "good", "bomb", "bomb"]


@pytest.mark.usefixtures("quick_openings")
def test_a_file_that_needs_long_to_open_is_read_at_the_second_attempt(run: Run, save: Save) -> None:
    with open_engine(workers=1, cpu_seconds=60, deadline_seconds=60) as engine:
        whole = run(engine.extract(save(pdfs.write_pages([SLOWER] * 2), user_id=1)))

    assert len(whole.pages) == 2


def test_the_owner_of_a_file_that_costs_too_much_waits_longest(run: Run, save: Save) -> None:
    async def crowd(engine: PdfEngine) -> list[str]:
        good, bomb = save(pdfs.make_pdf("good")), save(COSTLY["a tree that laughs without pages"]())
        done: list[str] = []

        async def ask(user_id: int, name: str, file: PdfFile) -> None:
            await asyncio.gather(engine.inspect(file._replace(user_id=user_id)), return_exceptions=True)
            done.append(name)

        names = [(1, "bomb", bomb), (1, "mallory", good), (2, "alice", good), (2, "alice", good), (3, "bob", good)]
        async with asyncio.TaskGroup() as group:
            for user_id, name, file in names:
                group.create_task(ask(user_id, name, file))
                await asyncio.sleep(0)
        return done

    with open_engine(workers=1, opening_seconds=0.5) as engine:
        assert run(crowd(engine)) == ["bomb", "alice", "bob", "alice", "mallory"]
