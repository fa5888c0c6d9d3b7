"""PDF engines for tests, and files to give them."""

from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

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
