"""Read PDFs: a path in, values out; the reading happens in worker processes that may die without harm.

PDFium aborts when memory runs out and a hostile file can keep it busy for ever, so this process never loads it. Each
task runs in a forked, niced worker with limits on its memory, its CPU time and the wall clock.
"""

import logging
import signal
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import extraction
from errors import BadPdfError, ExtractionLimitError
from extraction import DAMAGED, OUT_OF_MEMORY, Extraction, ImageFormat, Inspection, PageMatches, Source
from workers import WorkerDiedError, Workers

logger = logging.getLogger(__name__)

Value = TypeVar("Value")


class PdfEngine:
    """Reads PDFs in worker processes; used from one event loop.

    At most *workers* files are read at once and 64 tasks wait. A caller that is cancelled stops its task.

    Every method raises, whatever the file holds:
        BadPdfError: it is empty, damaged, or has no pages. PasswordRequiredError: it does not open with
            this *password* (its user's or its owner's), or without one.
        ExtractionLimitError: it needs more time, memory, pages or text than allowed; the detail says which.
        BusyError: too many tasks wait, or the engine is closed.
    """

    def __init__(self, *, workers: int, deadline_seconds: float, memory_bytes: int, max_pages: int) -> None:
        self._deadline_seconds = deadline_seconds
        self._max_pages = max_pages
        self._workers = Workers(
            workers,
            deadline_seconds=deadline_seconds,
            memory_bytes=memory_bytes,
            shared_modules=["pypdfium2.raw", "pdfplumber"],
            modules=["extraction", "reading", "rescue"],
        )

    def start(self) -> None:
        """Start the workers in the background; a task that comes before they are ready waits for them."""
        self._workers.start()

    def close(self) -> None:
        """Stop the workers; tasks under way end with BusyError. Blocks for a moment."""
        self._workers.close()

    async def extract(self, path: Path, password: str | None = None) -> Extraction:
        """Return the text and the tables of every page."""
        return await self._run(extraction.extract, Source(path, password))

    async def inspect(self, path: Path, password: str | None = None) -> Inspection:
        """Return what can be said of the file; no more pages are read than it takes."""
        return await self._run(extraction.inspect, Source(path, password))

    async def search(self, path: Path, term: str, password: str | None = None) -> list[PageMatches]:
        """Return the pages on which *term* is found, in page order; see `find_matches`."""
        return await self._run(extraction.search, Source(path, password), term)

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

    async def extract_json(self, path: Path, password: str | None = None) -> bytes:
        """Return the extraction as the JSON body of `POST /extract`, made in the worker.

        {"text", "pages": [{"page_number", "text", "char_count"}], "page_count", "tables": [{"page", "table_index",
        "data"}], "metadata"}; "text" is the pages joined by form feeds.
        """
        return await self._run(extraction.extract_json, Source(path, password))

    async def render_page(
        self,
        path: Path,
        page_number: int,
        *,
        width: int,
        image_format: ImageFormat,
        term: str | None = None,
        password: str | None = None,
    ) -> bytes | None:
        """Return the page as a picture *width* pixels wide, of at most four million pixels, with *term* painted over.

        None if there is no such page, or nothing that can be shown of it.
        """
        return await self._run(extraction.render_page, Source(path, password), page_number, width, image_format, term)

    async def _run(self, function: Callable[..., Value], source: Source, *args: object) -> Value:
        try:
            return await self._workers.run(extraction.guard, function, source, self._max_pages, *args)
        except BadPdfError as error:
            logger.debug("%s: %s", source.path.name, error.detail, exc_info=error.__cause__)
            raise
        except TimeoutError:
            seconds = f"{self._deadline_seconds:g}"
            raise ExtractionLimitError(f"The PDF needs more than the {seconds} seconds this server allows.") from None
        except WorkerDiedError as error:
            if error.exit_code == -signal.SIGSEGV:
                raise BadPdfError(DAMAGED) from error
            if error.exit_code == -signal.SIGXCPU:
                raise ExtractionLimitError("The PDF needs more processor time than this server allows.") from error
            raise ExtractionLimitError(OUT_OF_MEMORY) from error  # PDFium aborts then
