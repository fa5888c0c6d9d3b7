"""Have PDFs read: a path in, values out; the reading happens in worker processes that may die without harm.

PDFium aborts when memory runs out and a hostile file can keep it busy for ever, so this process never loads it. Each
task runs in a forked, niced worker with limits on its memory, its CPU time and the wall clock. A long document is read
in parts, so that all workers read it, others get their turn between, and its first pages are there early.
"""

import asyncio
import logging
import math
import signal
import time
from collections import OrderedDict, deque
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import extraction
from errors import BadPdfError, ExtractionLimitError
from extraction import (
    DAMAGED,
    MAXIMUM_TABLE_CELLS,
    MAXIMUM_TEXT_CHARS,
    NO_PAGES,
    OUT_OF_MEMORY,
    RESCUE_SECONDS,
    TOO_MANY_CELLS,
    TOO_MUCH_TEXT,
    Extraction,
    ImageFormat,
    Inspection,
    PageMatches,
    Part,
    Source,
)
from workers import Limits, WorkerDiedError, Workers

FIRST_PAGES = 16  # of a document, to learn how long its pages take
PART_SECONDS = 0.75  # what a part of a long document should take
PART_PAGES = 256  # at most
GROWTH = 4  # times the pages of the part before, at most
REMEMBERED_BYTES = 64 * 1024 * 1024
REMEMBERED_SECONDS = 15 * 60.0

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class PdfEngine:
    """Reads PDFs in worker processes; used from one event loop.

    At most *workers* tasks are done at once and 64 wait. A caller that is cancelled stops its task. Answers about a
    file whose *sha256* is given are remembered for a while: asked again, it is not read again.

    Every method raises, whatever the file holds:
        BadPdfError: it is empty, damaged, or has no pages. PasswordRequiredError: it does not open with
            this *password* (its user's or its owner's), or without one.
        ExtractionLimitError: it needs more time, memory, pages or text than allowed; the detail says which.
        BusyError: too many tasks wait, or the engine is closed.
    """

    def __init__(
        self, *, workers: int, deadline_seconds: float, cpu_seconds: float, memory_bytes: int, max_pages: int
    ) -> None:
        """*deadline_seconds* and *cpu_seconds* are for one file, whatever number of tasks it takes."""
        self._limits = Limits(deadline_seconds, cpu_seconds)
        self._max_pages = max_pages
        self._worker_count = workers
        self._workers = Workers(
            workers,
            deadline_seconds=deadline_seconds,
            cpu_seconds=cpu_seconds,
            memory_bytes=memory_bytes,
            shared_modules=["pypdfium2.raw", "pdfplumber"],
            modules=["extraction", "reading", "rescue"],
        )
        self._recent = _Recent(REMEMBERED_BYTES, seconds=REMEMBERED_SECONDS)

    def start(self) -> None:
        """Start the workers in the background; a task that comes before they are ready waits for them."""
        self._workers.start()

    def close(self) -> None:
        """Stop the workers; tasks under way end with BusyError. Blocks for a moment."""
        self._workers.close()

    async def read(self, path: Path, password: str | None = None) -> AsyncGenerator[Part]:
        """Yield the text and the tables of all pages in parts, in page order, with the tables' indexes in the document.

        The parts after the first are read while the caller is busy with one, as many as there are workers and one more.
        """
        source = Source(path, password)
        total = _Total(self._limits)
        part = await self._read_part(source, 1, FIRST_PAGES, total)
        next_page = FIRST_PAGES + 1
        ahead: deque[asyncio.Task[Part]] = deque()
        try:
            while True:
                part = total.add(part)
                while next_page <= part.page_count and len(ahead) <= self._worker_count:
                    share = math.ceil((part.page_count + 1 - next_page) / self._worker_count)
                    count = min(_next_size(part), max(FIRST_PAGES, share))
                    ahead.append(asyncio.create_task(self._read_part(source, next_page, count, total)))
                    next_page += count
                yield part
                if not ahead:
                    return
                part = await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _read_part(self, source: Source, first_page: int, count: int, total: "_Total") -> Part:
        return await self._run(
            extraction.read_part,
            source,
            self._max_pages,
            first_page,
            count,
            total.rescue_seconds,
            limits=total.limits(patient=first_page > 1),
        )

    async def extract(self, path: Path, password: str | None = None) -> Extraction:
        """Return the text and the tables of every page."""
        async with aclosing(self.read(path, password)) as parts:
            found = [part async for part in parts]
        return Extraction(
            page_count=found[0].page_count,
            pages=[page for part in found for page in part.pages],
            tables=[table for part in found for table in part.tables],
            metadata=found[0].metadata,
            encrypted=found[0].encrypted,
            warnings=[warning for part in found for warning in part.warnings],
        )

    async def inspect(self, path: Path, password: str | None = None, *, sha256: str | None = None) -> Inspection:
        """Return what can be said of the file; no more pages are read than it takes."""
        key = (sha256, password, "inspection")
        found: Inspection | None = self._recent.find(key)
        if found is None:
            found = await self._run(extraction.inspect, Source(path, password), self._max_pages)
            self._recent.keep(key, found, size=sum(map(len, found.metadata.values())))
        return found

    async def search(
        self, path: Path, term: str, password: str | None = None, *, sha256: str | None = None
    ) -> list[PageMatches]:
        """Return the pages on which *term* is found, in page order; see `find_matches`."""
        key = (sha256, password, "matches", term)
        known: list[PageMatches] | None = self._recent.find(key)
        if known is not None:
            return known
        text: bytes | None = self._recent.find((sha256, password, "text"))
        if text is None:
            found, read = await self._run(extraction.search, Source(path, password), self._max_pages, term)
            self._recent.keep((sha256, password, "text"), read, size=len(read))
        else:
            found = await self._run(extraction.search_text, text, term)
        self._recent.keep(key, found, size=1000 * (1 + sum(len(page.excerpts) for page in found)))
        return found

    async def search_pages(
        self,
        path: Path,
        pages: Sequence[tuple[int, str]],
        term: str,
        *,
        first_page: int,
        limit: int,
        password: str | None = None,
    ) -> tuple[int, list[PageMatches]]:
        """Return how often *term* is in the texts of *pages* (number and text, as extracted from the file at *path*),
        and those from *first_page* on where it is, at most *limit*, with boxes.
        """
        return await self._run(extraction.search_pages, Source(path, password), pages, term, first_page, limit)

    async def extract_json(self, path: Path, password: str | None = None, *, sha256: str | None = None) -> bytes:
        """Return the extraction as the JSON body of `POST /extract`, made in the worker.

        {"text", "pages": [{"page_number", "text", "char_count"}], "page_count", "tables": [{"page", "table_index",
        "data"}], "metadata"}; "text" is the pages joined by form feeds.
        """
        key = (sha256, password, "json")
        found: bytes | None = self._recent.find(key)
        if found is None:
            found = await self._run(extraction.extract_json, Source(path, password), self._max_pages)
            self._recent.keep(key, found, size=len(found))
        return found

    async def render_page(
        self,
        path: Path,
        page_number: int,
        *,
        width: int,
        image_format: ImageFormat,
        term: str | None = None,
        password: str | None = None,
        sha256: str | None = None,
    ) -> bytes | None:
        """Return the page as a picture *width* pixels wide, of at most four million pixels, with *term* painted over.

        None if there is no such page, or nothing that can be shown of it.
        """
        key = (sha256, password, "picture", page_number, width, image_format, term)
        picture: bytes | None = self._recent.find(key)
        if picture is None:
            source = Source(path, password)
            picture = await self._run(extraction.render_page, source, page_number, width, image_format, term)
            if picture is not None:
                self._recent.keep(key, picture, size=len(picture))
        return picture

    async def _run(self, function: Callable[..., Value], *args: object, limits: Limits | None = None) -> Value:
        try:
            return await self._workers.run_within(limits or self._limits, extraction.guard, function, *args)
        except BadPdfError as error:
            logger.debug("%s: %s", function.__name__, error.detail, exc_info=error.__cause__)
            raise
        except TimeoutError:
            seconds = f"{self._limits.seconds:g}"
            raise ExtractionLimitError(f"The PDF needs more than the {seconds} seconds this server allows.") from None
        except WorkerDiedError as error:
            if error.exit_code == -signal.SIGSEGV:
                raise BadPdfError(DAMAGED) from error
            if error.exit_code == -signal.SIGXCPU:
                seconds = f"{self._limits.cpu_seconds:g}"
                raise ExtractionLimitError(
                    f"The PDF needs more than the {seconds} seconds of processor time this server allows."
                ) from error
            raise ExtractionLimitError(OUT_OF_MEMORY) from error  # PDFium aborts then


def _next_size(part: Part) -> int:
    """How many pages the next part should have, by how long *part* took."""
    seconds_per_page = max(part.seconds, 0.001) / max(len(part.pages), 1)
    return max(1, min(int(PART_SECONDS / seconds_per_page), GROWTH * len(part.pages), PART_PAGES))


class _Total:
    """What the parts of one document took and hold together, and what that leaves."""

    def __init__(self, limits: Limits) -> None:
        self.rescue_seconds = RESCUE_SECONDS  # left
        self._limits = limits
        self._seconds = self._cpu_seconds = 0.0
        self._tables = self._cells = self._characters = self._unreadable = 0

    def limits(self, *, patient: bool) -> Limits:
        """What one more part may take."""
        seconds, cpu_seconds, _ = self._limits
        return Limits(max(seconds - self._seconds, 0.1), max(cpu_seconds - self._cpu_seconds, 1.0), patient)

    def add(self, part: Part) -> Part:
        """Return *part* with its tables numbered on.

        Raises:
            BadPdfError, ExtractionLimitError: if that is too much, or it was the last and no page could be read.
        """
        self._seconds += part.seconds
        self._cpu_seconds += part.cpu_seconds
        self.rescue_seconds -= part.rescue_seconds
        self._unreadable += part.unreadable_count
        if self._unreadable == part.page_count:
            raise BadPdfError(NO_PAGES)
        self._characters += sum(len(page.text) for page in part.pages)
        if self._characters > MAXIMUM_TEXT_CHARS:
            raise ExtractionLimitError(TOO_MUCH_TEXT)
        self._cells += sum(len(table.data) * len(table.data[0]) for table in part.tables)
        if self._cells > MAXIMUM_TABLE_CELLS:
            raise ExtractionLimitError(TOO_MANY_CELLS)
        first, self._tables = self._tables, self._tables + len(part.tables)
        return part._replace(tables=[table._replace(table_index=first + table.table_index) for table in part.tables])


class _Remembered(NamedTuple):
    value: Any
    size: int
    until: float


class _Recent:
    """Answers that may be asked for again: the latest, of at most *capacity* bytes together, none above a quarter."""

    def __init__(self, capacity: int, *, seconds: float) -> None:
        self._capacity = capacity
        self._seconds = seconds
        self._size = 0
        self._answers: OrderedDict[tuple[object, ...], _Remembered] = OrderedDict()  # the one used last is last

    def find(self, key: tuple[object, ...]) -> Any:
        """The answer, or None. A key begins with the sha256 of the file; without one nothing is remembered."""
        answer = self._answers.get(key)
        if answer is None:
            return None
        if answer.until < time.monotonic():
            self._forget(key)
            return None
        self._answers.move_to_end(key)
        return answer.value

    def keep(self, key: tuple[object, ...], value: object, *, size: int) -> None:
        if key[0] is None or size > self._capacity // 4:
            return
        self._forget(key)
        self._answers[key] = _Remembered(value, size, time.monotonic() + self._seconds)
        self._size += size
        while self._size > self._capacity:
            self._forget(next(iter(self._answers)))

    def _forget(self, key: tuple[object, ...]) -> None:
        answer = self._answers.pop(key, None)
        if answer is not None:
            self._size -= answer.size
