"""PDF engines for tests, and files to give them."""

import io
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from extraction.values import Box, Extraction, Word
from pdf import PdfEngine, PdfFile

Run = Callable[[Coroutine[Any, Any, Any]], Any]
Save = Callable[..., PdfFile]


@contextmanager
def open_engine(
    *,
    workers: int = 2,
    deadline_seconds: float = 20,
    cpu_seconds: float = 20,
    opening_seconds: float = 20,
    memory_mb: int = 600,
    max_pages: int = 100,
) -> Iterator[PdfEngine]:
    engine = PdfEngine(
        workers=workers,
        deadline_seconds=deadline_seconds,
        cpu_seconds=cpu_seconds,
        opening_seconds=opening_seconds,
        memory_bytes=memory_mb * 1024 * 1024,
        max_pages=max_pages,
    )
    engine.start()
    try:
        yield engine
    finally:
        engine.close()


def save_pdf(folder: Path, content: bytes, **about: Any) -> PdfFile:
    path = folder / f"{len(list(folder.iterdir()))}.pdf"
    path.write_bytes(content)
    return PdfFile(path, **about)


def loading(*pages: tuple[int, str]) -> Callable[[], Coroutine[Any, Any, list[tuple[int, str]]]]:
    async def load() -> list[tuple[int, str]]:
        return list(pages)

    return load


class FileReader:
    """Reads PDFs that are given as bytes."""

    def __init__(self, engine: PdfEngine, run: Run, folder: Path) -> None:
        self._engine = engine
        self._run = run
        self._folder = folder

    def save(self, content: bytes, **about: Any) -> PdfFile:
        return save_pdf(self._folder, content, **about)

    def extract(self, content: bytes, **about: Any) -> Extraction:
        extraction: Extraction = self._run(self._engine.extract(self.save(content, **about)))
        return extraction

    def read_text(self, content: bytes) -> str:
        return "\f".join(page.text for page in self.extract(content).pages)

    def read_tables(self, content: bytes) -> list[list[list[str | None]]]:
        return [table.data for table in self.extract(content).tables]

    def list_warnings(self, content: bytes) -> list[tuple[str, list[int]]]:
        return [(warning.code, warning.pages) for warning in self.extract(content).warnings]

    def count_matches(self, content: bytes, term: str) -> int:
        answer = json.loads(self._run(self._engine.search(self.save(content), term)))
        return int(answer["total_matches"])

    def find_boxes(self, content: bytes, term: str) -> list[list[Box]]:
        """Return the boxes of the matches on the first page."""
        file = self.save(content)
        text = self._run(self._engine.extract(file)).pages[0].text
        _, pages = self._run(self._engine.search_pages(file, loading((1, text)), term, first_page=1, limit=1))
        return [boxes for page in pages for boxes in page.boxes]

    def read_words(self, content: bytes) -> list[Word]:
        return self._run(self._engine.read_words(self.save(content), 1)) or []

    def count_dark(self, content: bytes, box: tuple[int, int, int, int]) -> int:
        """Return how many pixels of a picture of the first page, one a point, are dark in *box*."""
        file = self.save(content)
        picture = self._run(self._engine.render_page(file, 1, width=612, image_format="png"))
        assert picture is not None
        shown = Image.open(io.BytesIO(picture)).convert("L").crop(box)
        return sum(shown.histogram()[:128])
