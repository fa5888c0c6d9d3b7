"""The engine that extracts PDFs in worker processes, a path in, values out; and the command `python pdf.py`.

PDFium aborts when memory runs out, and a hostile file can keep it busy for ever, so this process never loads it. Each
task runs in a forked, niced worker with limits on its memory, its CPU time and the wall clock. A long document is
extracted in parts, so that all workers share it, other tasks run in between, and its first pages are ready early.
"""

import argparse
import asyncio
import json
import logging
import math
import os
import signal
import sys
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import NamedTuple, Self, TypeVar

from errors import BadPdfError, ExtractionLimitError, PagewireError, StartupError
from extraction import pictures, search, tasks
from extraction.budget import PAGE_SECONDS
from extraction.notices import Finding, Notice, to_warnings
from extraction.recent import RecentAnswers, SharedAnswers
from extraction.tables.tabular import to_csv
from extraction.tasks import TableQuery
from extraction.values import (
    DAMAGED,
    MAXIMUM_TABLE_CELLS,
    MAXIMUM_TEXT_CHARS,
    NO_PAGES,
    RESCUE_SECONDS,
    TOO_MANY_CELLS,
    Extraction,
    ImageFormat,
    Inspection,
    Opener,
    PageMatches,
    Part,
    Source,
    StoredSource,
    TableSet,
    Word,
    most_text_chars,
    too_much_text,
)
from extraction.workers.answers import BadAnswerError
from extraction.workers.pool import WorkerDiedError
from extraction.workers.queue import Limits, Workers
from extraction.workers.warming import warm_up
from settings import Settings, load_settings

SHARED_MODULES = ("pypdfium2.raw", "pdfplumber", "xlsxwriter")  # imported once for all workers
FIRST_PAGES = 16  # of a document, to learn how long its pages take
PART_SECONDS = 0.75  # what a part of a long document should take
PART_PAGES = 256  # at most
LABELS_SECONDS = 2.0  # of processor time: where they take more, pages have numbers
OPENING_SECONDS = 10.0  # of processor time, to open a file and read its first pages
GROWTH = 4  # at most, from one part to the next, in pages
MEGABYTE = 1024 * 1024
REMEMBERED_BYTES = 64 * MEGABYTE
REMEMBERED_SECONDS = 15 * 60.0
PROGRESS_COLUMNS = 40  # of the bar on a terminal

logger = logging.getLogger("pagewire.pdf")

Value = TypeVar("Value")
Load = TypeVar("Load")


class PdfFile(NamedTuple):
    file: Path | Opener
    password: str | None = None  # user or owner password
    sha256: str | None = None  # if known, answers are cached for a while
    user_id: int | None = None  # of the caller; users take turns
    document_id: int | None = None  # of one that is stored

    @property
    def source(self) -> Source | StoredSource:
        if isinstance(self.file, Path):
            return Source(self.file, self.password)
        return StoredSource(self.file, self.password)

    @property
    def content(self) -> tuple[str | None, str | None, str]:
        """What answers depend on, and for whom they are kept: who may read the document, else the caller alone.
        An answer that came sooner would tell a stranger that somebody here has the file.
        """
        kept_for = f"user {self.user_id}" if self.document_id is None else f"document {self.document_id}"
        return self.sha256, self.password, kept_for


class PdfEngine:
    """Extracts PDFs in worker processes; used from one event loop.

    At most *workers* tasks run at once; users take turns at them (see Turns). Cancelling a caller stops its task.

    Every method raises, whatever the file holds:
        BadPdfError: it is empty, damaged, or has no pages.
        PasswordRequiredError: it does not open with this password, or without one.
        ExtractionLimitError: it needs more time, memory, pages or text than allowed; the detail says which.
        BusyError: too many tasks wait, or the engine is closed.
    """

    def __init__(
        self,
        *,
        workers: int,
        deadline_seconds: float,
        cpu_seconds: float,
        memory_bytes: int,
        max_pages: int,
        opening_seconds: float = OPENING_SECONDS,
        shared: SharedAnswers | None = None,
    ) -> None:
        """*deadline_seconds* and *cpu_seconds* are for one file, however many tasks it takes. Of its processor time it
        has *opening_seconds* at once, and earns the rest by its pages.
        """
        self._limits = Limits(deadline_seconds, cpu_seconds)
        self._opening_seconds = opening_seconds
        self._memory_bytes = memory_bytes
        self._max_pages = max_pages
        self._worker_count = workers
        self._workers = Workers(
            workers,
            deadline_seconds=deadline_seconds,
            cpu_seconds=cpu_seconds,
            memory_bytes=memory_bytes,
            shared_modules=SHARED_MODULES,
            warm_up=warm_up,
        )
        self._recent = RecentAnswers(REMEMBERED_BYTES, seconds=REMEMBERED_SECONDS)
        self._shared = shared

    @classmethod
    def from_settings(cls, settings: Settings, *, shared: SharedAnswers | None = None) -> Self:
        """*shared* are the answers that several nodes remember together."""
        return cls(
            workers=settings.pdf_workers,
            deadline_seconds=settings.pdf_deadline_seconds,
            cpu_seconds=settings.pdf_cpu_seconds,
            opening_seconds=settings.pdf_opening_seconds,
            memory_bytes=settings.pdf_memory_mb * MEGABYTE,
            max_pages=settings.pdf_max_pages,
            shared=shared,
        )

    @property
    def waiting(self) -> int:
        """Tasks that wait for a worker."""
        return self._workers.waiting

    def start(self) -> None:
        """Start the workers in the background; a task that arrives before they are ready waits for them."""
        self._workers.start()

    def close(self) -> None:
        """Stop the workers; tasks under way end with BusyError. Blocks for a moment."""
        self._workers.close()

    async def extract_parts(
        self,
        file: PdfFile,
        *,
        with_vectors: bool = False,
        wanted: TableSet = "all",
        in_background: bool = False,
    ) -> AsyncGenerator[Part]:
        """Yield the text and the tables of all pages in parts, in page order; tables are numbered over the document.
        *with_vectors*: and what the search needs of the pages.

        While the caller handles a part, the next ones are extracted: as many as there are workers, and one more, if
        the processor time that is left pays for them; none if it is *in_background*.
        """
        total = _Total(self._limits_of(file), most_characters=await _most_characters(file.file))
        part = await self._extract_part(file, 1, FIRST_PAGES, total, with_vectors, wanted)
        next_page = FIRST_PAGES + 1
        ahead: deque[asyncio.Task[Part]] = deque()
        most_ahead = 0 if in_background else self._worker_count
        try:
            while True:
                part = total.add(part)
                while next_page <= part.page_count and len(ahead) <= most_ahead and total.pays_for(len(ahead) + 1):
                    share = math.ceil((part.page_count + 1 - next_page) / self._worker_count)
                    count = min(_next_size(part), max(FIRST_PAGES, share))
                    coming = self._extract_part(file, next_page, count, total, with_vectors, wanted)
                    ahead.append(asyncio.create_task(coming))
                    next_page += count
                yield part
                if not ahead:
                    return
                part = await ahead.popleft()
        finally:
            for task in ahead:
                task.cancel()
            await asyncio.gather(*ahead, return_exceptions=True)

    async def _extract_part(
        self, file: PdfFile, first_page: int, count: int, total: "_Total", with_vectors: bool, wanted: TableSet
    ) -> Part:
        limits = total.limits(first_page)
        args = (file.source, self._max_pages, first_page, count, total.rescue_seconds, with_vectors, wanted)
        part = await self._run(limits, tasks.extract_part, *args)
        numbers = [page.page_number for page in part.pages]
        last_page = min(first_page + count - 1, part.page_count)
        if numbers != list(range(first_page, last_page + 1)) or part.page_count > self._max_pages:
            logger.warning("a worker answered for pages that it was not asked for")
            raise BadPdfError(DAMAGED)
        return part

    async def make_page_vectors(self, texts: Sequence[str]) -> list[str]:
        """What the search needs of pages that were extracted before."""
        return await self._run(self._limits._replace(patient=True), tasks.make_page_vectors, list(texts))

    async def make_message_vectors(self, messages: Sequence[tuple[str, int, int]]) -> list[str]:
        """What the search needs of messages: each is its content, its sender and its recipient."""
        return await self._run(self._limits._replace(patient=True), tasks.make_message_vectors, list(messages))

    async def extract(self, file: PdfFile, *, wanted: TableSet = "all") -> Extraction:
        """Return the text and the tables of every page."""
        async with aclosing(self.extract_parts(file, wanted=wanted)) as parts:
            return Extraction.join([part async for part in parts])

    async def inspect(self, file: PdfFile) -> Inspection:
        """Return the facts about the file; it reads no more pages than that takes."""
        key = (*file.content, "inspection")
        known = await self._find(key)
        if known is not None:
            return _read_inspection(known)
        found = await self._ask(file, tasks.inspect, file.source, self._max_pages)
        self._keep(key, json.dumps(found).encode())
        return found

    async def search(self, file: PdfFile, term: str) -> bytes:
        """Return the pages on which `find_matches` finds *term*, as the JSON of `search_text`."""
        key = (*file.content, "matches", term)
        known: bytes | None = await self._find(key)
        if known is not None:
            return known
        text: bytes | None = await self._find((*file.content, "text"))
        if text is None:
            found, read = await self._ask(file, search.search, file.source, self._max_pages, term)
            self._keep((*file.content, "text"), read)
        else:
            found = await self._ask(file, search.search_text, text, term)
        self._keep(key, found)
        return found

    async def search_pages(
        self,
        file: PdfFile,
        load: Callable[[], Awaitable[Sequence[tuple[int, str]]]],
        term: str,
        *,
        first_page: int,
        limit: int,
    ) -> tuple[int, list[PageMatches]]:
        """Return the number of matches of *term* in the pages, and the matching pages from *first_page* on, at most
        *limit*, with boxes.

        *load* returns the pages (number and text, as extracted from the file) when the task's turn comes.
        """
        return await self._ask_with(file.user_id, load, search.search_pages, file.source, term, first_page, limit)

    async def extract_json(self, file: PdfFile, *, wanted: TableSet = "all") -> bytes:
        """Return the extraction as the JSON body of `POST /extract`, serialized in the worker.

        {"text", "pages": [{"page_number", "text", "char_count"}], "page_count", "tables": [{"page", "table_index",
        "data", "kind", "header_rows", "spans", "title"}], "metadata"}; "text" is the pages joined by form feeds.
        """
        key = (*file.content, "json", wanted)
        found: bytes | None = await self._find(key)
        if found is None:
            found = await self._ask(file, tasks.extract_json, file.source, self._max_pages, wanted)
            self._keep(key, found)
        return found

    async def extract_tables(self, file: PdfFile, query: TableQuery, *, wanted: TableSet = "all") -> bytes | None:
        """Return the tables of the file as one file, see `tabular.to_file`; None if none has the query's index."""
        key = (*file.content, "tables", query, wanted)
        found: bytes | None = await self._find(key)
        if found is None:
            found = await self._ask(file, tasks.extract_tables, file.source, self._max_pages, query, wanted)
            if found is not None:
                self._keep(key, found)
        return found

    async def write_tables(
        self, load: Callable[[], Awaitable[str]], query: TableQuery, *, user_id: int
    ) -> bytes | None:
        """Return stored tables as `extract_tables` does.

        *load* returns them when the task's turn comes, as `get_placed_tables_json` does. A joined table is found by
        any of its pages, and by the index of any of its parts.
        """
        return await self._ask_with(user_id, load, tasks.write_tables, query)

    async def render_page(
        self, file: PdfFile, page_number: int, *, width: int, image_format: ImageFormat, term: str | None = None
    ) -> bytes | None:
        """Return the page as a picture *width* pixels wide, of at most four million pixels, with *term* highlighted.

        None if there is no such page, or PDFium cannot draw it.
        """
        key = (*file.content, "picture", page_number, width, image_format, term)
        picture: bytes | None = await self._find(key)
        if picture is None:
            picture = await self._ask(file, pictures.render_page, file.source, page_number, width, image_format, term)
            if picture is not None:
                self._keep(key, picture)
        return picture

    async def read_words(self, file: PdfFile, page_number: int) -> list[Word] | None:
        """Return the words of the page in the order of its text, at most 20,000; None if it cannot be read.

        A word that is hyphenated at a line end is two words, the first with its hyphen: each has one box.
        """
        return await self._ask(file, tasks.read_words, file.source, page_number)

    async def read_labels(self, file: PdfFile) -> dict[int, str]:
        """Return what the PDF calls its pages, by page number, where that is not the number."""
        limits = self._limits_of(file)
        quick = limits._replace(opening_seconds=min(limits.opening_seconds, LABELS_SECONDS))
        return await self._run(quick, tasks.read_labels, file.source)

    async def _find(self, key: tuple[object, ...]) -> bytes | None:
        """An answer that this node or another has remembered."""
        found: bytes | None = self._recent.find(key)
        if found is None and self._shared is not None and key[0] is not None:
            found = await self._shared.find(key)
            if found is not None:
                self._recent.keep(key, found, size=len(found))
        return found

    def _keep(self, key: tuple[object, ...], answer: bytes) -> None:
        self._recent.keep(key, answer, size=len(answer))
        if self._shared is not None and key[0] is not None:
            self._shared.keep(key, answer)

    async def _ask(self, file: PdfFile, task: Callable[..., Value], *args: object) -> Value:
        return await self._run(self._limits_of(file), task, *args)

    def _limits_of(self, file: PdfFile) -> Limits:
        return self._limits._replace(owner=file.user_id, opening_seconds=self._opening_seconds)

    async def _ask_with(
        self, user_id: int | None, load: Callable[[], Awaitable[Load]], task: Callable[..., Value], *args: object
    ) -> Value:
        limits = self._limits._replace(owner=user_id)
        return await self._explained(task, self._workers.run_with(limits, load, task, *args))

    async def _run(self, limits: Limits, task: Callable[..., Value], *args: object) -> Value:
        return await self._explained(task, self._workers.run_within(limits, task, *args))

    async def _explained(self, task: Callable[..., Value], outcome: Awaitable[Value]) -> Value:
        try:
            return await self._within_limits(outcome)
        except BadPdfError as error:
            logger.debug("%s: %s", task.__name__, error.detail, exc_info=error.__cause__)
            raise

    async def _within_limits(self, outcome: Awaitable[Value]) -> Value:
        try:
            return await outcome
        except TimeoutError:
            seconds = f"{self._limits.seconds:g}"
            raise ExtractionLimitError(f"The PDF needs more than the {seconds} seconds this server allows.") from None
        except MemoryError:
            raise ExtractionLimitError(self._out_of_memory) from None
        except BadAnswerError as error:
            logger.warning("an answer of a worker was refused: %s", error)
            raise BadPdfError(DAMAGED) from error
        except WorkerDiedError as error:
            if error.exit_code == -signal.SIGSEGV:
                raise BadPdfError(DAMAGED) from error
            if error.exit_code == -signal.SIGPROF:
                raise ExtractionLimitError(_too_slow_pages(self._opening_seconds)) from error
            if error.exit_code == -signal.SIGXCPU:
                raise ExtractionLimitError(_too_slow_file(self._limits.cpu_seconds)) from error
            raise ExtractionLimitError(self._out_of_memory) from error  # PDFium aborts then

    @property
    def _out_of_memory(self) -> str:
        return f"The PDF needs more memory than the {self._memory_bytes // MEGABYTE} MB this server allows."


def _read_inspection(answer: bytes) -> Inspection:
    *facts, warnings = json.loads(answer)
    return Inspection._make([*facts, [Notice(*warning) for warning in warnings]])


def _too_slow_pages(opening_seconds: float) -> str:
    return (
        f"The PDF needs more processor time than this server allows: {opening_seconds:g} seconds to"
        f" open it and read its first pages, and {PAGE_SECONDS:g} more for each page."
    )


def _too_slow_file(cpu_seconds: float) -> str:
    return f"The PDF needs more than the {cpu_seconds:g} seconds of processor time this server allows."


def _next_size(part: Part) -> int:
    """Return the number of pages for the next part, by the time that *part* took."""
    seconds_per_page = max(part.ended - part.began, 0.001) / max(len(part.pages), 1)
    return max(1, min(int(PART_SECONDS / seconds_per_page), GROWTH * len(part.pages), PART_PAGES))


async def _most_characters(file: Path | Opener) -> int:
    try:
        if isinstance(file, Path):
            return most_text_chars((await asyncio.to_thread(file.stat)).st_size)
        with await file() as opened:
            return most_text_chars(os.fstat(opened.fileno()).st_size)
    except OSError:
        return MAXIMUM_TEXT_CHARS  # it is missing, as the worker will find


class _Total:
    """What the parts of one document have taken and hold together, and what is left of the limits."""

    def __init__(self, limits: Limits, *, most_characters: int = MAXIMUM_TEXT_CHARS) -> None:
        self.rescue_seconds = RESCUE_SECONDS  # left
        self._limits = limits
        self._most_characters = most_characters
        self._seconds = self._cpu_seconds = self._ended = 0.0
        self._tables = self._cells = self._characters = self._unreadable = 0

    def limits(self, first_page: int) -> Limits:
        """Return the limits of one more part; the pages before *first_page* have earned what they could.

        Raises:
            ExtractionLimitError: if they have taken all of the processor time: a part is given a second at least.
        """
        earned = PAGE_SECONDS * (first_page - 1 - self._unreadable)
        if self._cpu_seconds >= self._limits.cpu_seconds:
            raise ExtractionLimitError(_too_slow_file(self._limits.cpu_seconds))
        if 0 < self._limits.opening_seconds <= self._cpu_seconds - earned:
            raise ExtractionLimitError(_too_slow_pages(self._limits.opening_seconds))
        return self._limits._replace(
            seconds=max(self._limits.seconds - self._seconds, 0.1),
            cpu_seconds=max(self._limits.cpu_seconds - self._cpu_seconds, 1.0),
            opening_seconds=max(self._limits.opening_seconds + earned - self._cpu_seconds, 1.0),
            patient=first_page > 1,
        )

    def pays_for(self, count: int) -> bool:
        """Return whether *count* parts at once may each take the second that is theirs; one always may."""
        return count <= max(1.0, self._limits.cpu_seconds - self._cpu_seconds)

    def add(self, part: Part) -> Part:
        """Return *part* with its tables numbered over the document.

        Raises:
            ExtractionLimitError: if the parts together hold too much.
            BadPdfError: if it was the last and no page could be read.
        """
        self._seconds += max(0.0, part.ended - max(part.began, self._ended))  # two at once count once
        self._ended = max(part.ended, self._ended)
        self._cpu_seconds += part.cpu_seconds
        self.rescue_seconds -= part.rescue_seconds
        self._unreadable += part.unreadable_count
        if self._unreadable == part.page_count:
            raise BadPdfError(NO_PAGES)
        self._characters += sum(len(page.text) for page in part.pages)
        if self._characters > self._most_characters:
            raise ExtractionLimitError(too_much_text(self._most_characters))
        self._cells += sum(len(table.data) * len(table.data[0]) for table in part.tables)
        if self._cells > MAXIMUM_TABLE_CELLS:
            raise ExtractionLimitError(TOO_MANY_CELLS)
        first, self._tables = self._tables, self._tables + len(part.tables)
        return part._replace(tables=[table._replace(table_index=first + table.table_index) for table in part.tables])


# The command


def main() -> None:
    """python pdf.py FILE… [--text | --tables | --json] [--kind ruled]"""
    parser = argparse.ArgumentParser(prog="python pdf.py", description="Extract PDFs, without a server.")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path)
    forms = parser.add_mutually_exclusive_group()
    forms.add_argument("--text", action="store_true", help="the text, with a form feed between pages (the default)")
    forms.add_argument("--tables", action="store_true", help="the tables as CSV, with an empty line between them")
    forms.add_argument("--json", action="store_true", help="the answer of POST /extract, one line per file")
    parser.add_argument("--kind", choices=["ruled"], help="only the tables that rules draw, as pdfplumber finds them")
    parser.add_argument("--password", help="user or owner password of the files")
    arguments = parser.parse_args()
    write = _write_json if arguments.json else _write_tables if arguments.tables else _write_text
    try:
        failures = asyncio.run(_write_files(arguments.files, arguments.password, arguments.kind or "all", write))
    except StartupError as error:
        parser.exit(2, f"{error}\n")
    except BrokenPipeError:  # as in `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        failures = 0
    except KeyboardInterrupt:
        parser.exit(130)
    sys.exit(1 if failures else 0)


Write = Callable[[AsyncGenerator[Part], Path], Awaitable[None]]


async def _write_files(paths: Sequence[Path], password: str | None, wanted: TableSet, write: Write) -> int:
    """Write one file after the other; return how many failed."""
    engine = PdfEngine.from_settings(load_settings())
    failures = 0
    try:
        for path in paths:
            try:
                if not path.is_file():
                    raise BadPdfError("there is no such file.")
                parts = _tell_warnings(engine.extract_parts(PdfFile(path, password), wanted=wanted), path)
                async with aclosing(_show_progress(parts, path)) as shown:
                    await write(shown, path)
                sys.stdout.flush()
            except PagewireError as error:
                failures += 1
                sys.stdout.flush()
                sys.stderr.write(f"{path}: {error.detail}\n")
    finally:
        engine.close()
    return failures


async def _tell_warnings(parts: AsyncGenerator[Part], path: Path) -> AsyncGenerator[Part]:
    """Pass *parts* on; at the end, say what could not be read."""
    findings: list[Finding] = []
    page_count = 0
    async with aclosing(parts):
        async for part in parts:
            findings += part.findings
            page_count = part.page_count
            yield part
    sys.stdout.flush()
    for warning in to_warnings(findings, page_count):
        sys.stderr.write(f"{path}: {warning.detail}\n")


async def _show_progress(parts: AsyncGenerator[Part], path: Path) -> AsyncGenerator[Part]:
    """Pass *parts* on; while the next one is awaited, show a progress bar, if there is a terminal."""
    async with aclosing(parts):
        _draw(f"{path.name} …")
        try:
            async for part in parts:
                _draw("")
                yield part
                sys.stdout.flush()
                page = part.pages[-1].page_number
                done = PROGRESS_COLUMNS * page // part.page_count
                _draw(f"[{'#' * done:.<{PROGRESS_COLUMNS}}] {page}/{part.page_count} {path.name}")
        finally:
            _draw("")


def _draw(line: str) -> None:
    """Replace the last line of the terminal by *line*."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{line}")
        sys.stderr.flush()


async def _write_text(parts: AsyncGenerator[Part], _path: Path) -> None:
    async for part in parts:
        for page in part.pages:
            sys.stdout.write("\f" * (page.page_number > 1) + page.text)
    sys.stdout.write("\n")


async def _write_tables(parts: AsyncGenerator[Part], _path: Path) -> None:
    async for part in parts:
        for table in part.tables:
            sys.stdout.write("\r\n" * (table.table_index > 0) + to_csv(table.data))


async def _write_json(parts: AsyncGenerator[Part], path: Path) -> None:
    found = Extraction.join([part async for part in parts])
    sys.stdout.write(json.dumps({"filename": path.name, **found.as_json()}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
