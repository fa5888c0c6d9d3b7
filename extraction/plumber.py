"""PDF files as pdfplumber reads them: files that PDFium refuses, pages whose fonts it lacks. Slow, rarely needed."""

import gzip
import json
import mmap
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

import pdfplumber
from pdfminer import cmapdb
from pdfminer.pdfdocument import PDFPasswordIncorrect

from errors import BadPdfError, PasswordRequiredError
from extraction.page.chunks import Token
from extraction.page.geometry import MINIMUM_LINE_LENGTH, Edges, is_on_earth, surround
from extraction.values import MAXIMUM_WORDS, Box, CellWord, Note, Point, open_file

_maps: dict[str, tuple[int, int]] = {}  # where a map is held, as compressed JSON
_held: mmap.mmap | None = None


def hold_character_maps() -> None:
    """Keep pdfminer's tables of characters in memory, where a process finds them that opens no files."""
    global _held
    paths = list(Path(cmapdb.__file__).with_name("cmap").glob("*.json.gz"))
    _held = mmap.mmap(-1, sum(path.stat().st_size for path in paths))  # shared: a fork does not copy it
    for path in paths:
        start = _held.tell()
        _maps[path.name.removesuffix(".json.gz")] = (start, start + _held.write(path.read_bytes()))
    cmapdb.CMapDB._load_data = _load_map  # type: ignore[method-assign]


def _load_map(name: str) -> type[Any]:
    """As pdfminer's own, from memory."""
    place = _maps.get(name.replace("\0", ""))
    if place is None or _held is None:
        raise cmapdb.CMapDB.CMapNotFound(name)
    data = json.loads(gzip.decompress(_held[slice(*place)]))
    for key in ("CID2UNICHR_H", "CID2UNICHR_V"):
        if key in data:
            data[key] = {int(number): letter for number, letter in data[key].items()}
    if data.get("CODE2CID"):
        data["CODE2CID"] = cmapdb.CMapDB._convert_code2cid_keys(data["CODE2CID"])
    return type(name, (), data)


class Document:
    """An open PDF file: a `reader.Document`."""

    findings: ClassVar[list[str]] = []

    def __init__(self, file: Path | int, password: str | None = None) -> None:
        """Raise PasswordRequiredError, or BadPdfError if pdfplumber cannot read the file either."""
        try:
            self._file = open_file(file)
            self._pdf = pdfplumber.open(self._file, password=password, raise_unicode_errors=False)
            self._pages = self._pdf.pages
            self.encrypted = self._pdf.doc.encryption is not None
        except MemoryError:
            raise
        except Exception as error:  # pdfminer raises anything on a damaged file
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
        self._file.close()

    def metadata(self) -> dict[str, str]:
        return {key: value for key, value in self._pdf.metadata.items() if isinstance(value, str)}

    def read_labels(self) -> dict[int, str]:
        return {}  # the numbers do for a file that PDFium cannot open

    def open_page(self, index: int) -> "Page | None":
        """Return the page, to be closed; None if pdfplumber cannot read it. *index* counts from 0."""
        if index >= self.page_count:
            return None
        page = self._pages[index]
        try:
            page.objects  # noqa: B018  the property reads the page
            if is_on_earth(page.bbox):
                return Page(page)
        except MemoryError:
            raise
        except Exception:  # noqa: S110  pdfminer raises anything on a damaged page
            pass
        page.close()
        return None


class _Run:
    """Characters that stand below each other, or beside each other."""

    def __init__(self, text: str, box: Box) -> None:
        self.text = text
        self.box = box
        self._last = box
        self._way: bool | None = None  # downwards?

    @property
    def is_vertical(self) -> bool:
        return self._way is True

    def append(self, text: str, box: Box) -> bool:
        """Add the next character, if it goes on the same way; return whether it does."""
        x0, top, x1, bottom = self._last
        across, down = (box[0] + box[2] - x0 - x1) / 2, (box[1] + box[3] - top - bottom) / 2
        size = max(x1 - x0, bottom - top)
        is_below = 2 * abs(across) < size and 0 < down < 2 * size
        is_beside = 2 * abs(down) < size and 0 < across < 2 * size
        if not (is_below or is_beside) or self._way not in (None, is_below):
            return False
        self.text += text
        self._way = is_below
        self._last = box
        self.box = surround((self.box, box))
        return True


class Page:
    """A page that pdfplumber has read: a `reader.Page`."""

    has_lost_text = False
    lacks_glyphs = False
    is_unmapped = False
    is_picture = False
    has_files = False
    has_turned_words = False
    notes: ClassVar[list[Note]] = []

    def __init__(self, page: Any) -> None:
        self._page = page
        self.width = float(page.width)
        self.height = float(page.height)
        self.corner: Point = page.bbox[:2]

    def close(self) -> None:
        self._page.close()

    def read_text(self) -> str:
        columns = self._find_columns()
        return "\n".join(columns) if columns else str(self._page.extract_text())

    def _find_columns(self) -> list[str]:
        """Return the columns of vertical writing, as in Japanese, from the right, in tiers from top to bottom, with the
        level lines above, between and below them; none if most text is level.
        """
        runs: list[_Run] = []
        count = 0
        for char in self._page.chars:
            if char["text"].isspace():
                continue
            box = (char["x0"], char["top"], char["x1"], char["bottom"])
            count += 1
            if not runs or not runs[-1].append(char["text"], box):
                runs.append(_Run(char["text"], box))
        if 2 * sum(len(run.text) for run in runs if run.is_vertical) <= count:
            return []
        tiers: list[list[_Run]] = []
        lowest = 0.0
        for run in sorted(runs, key=lambda run: run.box[1]):
            if tiers and run.box[1] < lowest:
                tiers[-1].append(run)
            else:
                tiers.append([run])
            lowest = max(lowest, run.box[3])
        return [run.text for tier in tiers for run in sorted(tier, key=lambda run: -run.box[2])]

    def read_words(self) -> list[tuple[str, Box]]:
        """Return the words from top to bottom, at most 20,000."""
        left, top = self.corner
        return [
            (word["text"], (word["x0"] - left, word["top"] - top, word["x1"] - left, word["bottom"] - top))
            for word in self._page.extract_words()[:MAXIMUM_WORDS]
        ]

    def read_edges(self) -> Edges:
        edges = Edges([], [])
        for edge in self._page.edges:
            box = (edge["x0"], edge["top"], edge["x1"], edge["bottom"])
            if not is_on_earth(box):  # pdfminer's numbers have no limits, a database's do
                continue
            if edge["orientation"] == "v" and edge["height"] >= MINIMUM_LINE_LENGTH:
                edges.vertical.append(box)
            elif edge["orientation"] == "h" and edge["width"] >= MINIMUM_LINE_LENGTH:
                edges.horizontal.append(box)
        return edges

    def read_cell_words(self) -> list[CellWord]:
        words = self._page.extract_words(extra_attrs=["upright"])
        found: list[CellWord] = []
        for number, word in enumerate(words):
            box = (word["x0"], word["top"], word["x1"], word["bottom"])
            middle = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            begins_line = not found or not found[-1].box[1] <= middle[1] <= found[-1].box[3]
            turn = 0 if word["upright"] else 3
            found.append(CellWord(word["text"], box, middle, turn, number, number, begins_line))
        return found

    def read_tokens(self) -> tuple[int, list[Token]]:
        """Return the upright words, at most 20,000, and 0 for no turn."""
        words = self._page.extract_words(extra_attrs=["upright"])[:MAXIMUM_WORDS]
        placed = [
            Token(word["text"], word["x0"], word["top"], word["x1"], word["bottom"])
            for word in words
            if word["upright"]
        ]
        return 0, [token for token in placed if is_on_earth(token[1:])]
