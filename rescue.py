"""Read with pdfplumber what PDFium cannot: files it refuses, pages whose fonts it has not got. Slow, rarely needed."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pdfplumber
from pdfminer.pdfdocument import PDFPasswordIncorrect

from errors import BadPdfError, PasswordRequiredError
from reading import METADATA_KEYS, clean_text
from tables import MINIMUM_DRAWN_LENGTH, Char, Edge, Edges, TableText, find_table_texts


class Document:
    """An open PDF file, with the methods of `reading.Document`."""

    def __init__(self, path: Path) -> None:
        """Raise PasswordRequiredError, or BadPdfError if pdfplumber cannot read the file either."""
        try:
            self._pdf = pdfplumber.open(path, raise_unicode_errors=False)
            self._pages = self._pdf.pages
            self.encrypted = self._pdf.doc.encryption is not None
        except MemoryError:
            raise
        except Exception as error:  # pdfminer lets out whatever a damaged file makes it stumble over
            if any(isinstance(cause, PDFPasswordIncorrect) for cause in (error, *error.args)):
                raise PasswordRequiredError from error
            raise BadPdfError("Error processing PDF: the file is damaged or not a PDF.") from error
        self.page_count = len(self._pages)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pdf.close()

    def metadata(self) -> dict[str, str]:
        values = {key: self._pdf.metadata.get(key) for key in METADATA_KEYS}
        cleaned = {key: clean_text(value) for key, value in values.items() if isinstance(value, str)}
        return {key: value for key, value in cleaned.items() if value}

    @contextlib.contextmanager
    def open_page(self, index: int) -> Iterator["Page | None"]:
        """Yield the page, or None if it cannot be read; *index* counts from 0."""
        page = self._pages[index]
        try:
            page.objects  # noqa: B018  the property reads the page
        except MemoryError:
            raise
        except Exception:  # pdfminer lets out whatever a damaged page makes it stumble over
            yield None
            return
        try:
            yield Page(page)
        finally:
            page.close()


class Page:
    def __init__(self, page: Any) -> None:
        self._page = page
        self.width = float(page.width)
        self.height = float(page.height)
        self.has_lost_text = False
        self.is_unmapped = False

    def read_text(self) -> str:
        return clean_text(self._page.extract_text())

    def read_tables(self) -> list[TableText]:
        """Return the page's tables; see `tables.find_table_texts`."""
        edges = Edges([], [])
        for edge in self._page.edges:
            placed = Edge(edge["x0"], edge["top"], edge["x1"], edge["bottom"])
            if edge["orientation"] == "v" and edge["height"] >= MINIMUM_DRAWN_LENGTH:
                edges.vertical.append(placed)
            elif edge["orientation"] == "h" and edge["width"] >= MINIMUM_DRAWN_LENGTH:
                edges.horizontal.append(placed)
        return find_table_texts(edges, self._read_chars)

    def _read_chars(self) -> list[Char]:
        return [
            Char(text, char["x0"], char["top"], char["x1"], char["bottom"], char["upright"])
            for char in self._page.chars
            if (text := clean_text(char["text"]))
        ]
