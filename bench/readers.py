"""Extract one PDF; print the result and its cost as JSON: `python -m bench.readers plain|product FILE`.

Each file and reader gets its own process, so that its peak memory is that file's.
"""

import json
import re
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import pdfplumber

from bench import pdfs
from extraction.search import search
from extraction.tasks import extract_part, load_readers
from extraction.values import Source
from extraction.waiting import keep_own_account
from extraction.workers.forkserver import settle
from settings import Settings

ROUNDS = 3  # of the product's reader; the plain one is slow
MAX_PAGES = int(Settings.model_fields["pdf_max_pages"].default)
NOWHERE = "a term that is on no page"

Cells = list[list[str | None]]


class Reading(NamedTuple):
    """What one reader found in one file, and what it cost."""

    text_seconds: float  # of processor time, for the text alone
    seconds: float  # for text and tables
    peak_bytes: int
    pages: list[list[Cells]]  # the tables of each page


def read_plainly(path: Path) -> Reading:
    """As tutorials do it: extract_text and extract_tables for each page."""
    text_seconds = table_seconds = 0.0
    pages: list[list[Cells]] = []
    with pdfplumber.open(path) as file:
        for page in file.pages:
            start = time.process_time()
            page.extract_text()
            read = time.process_time()
            pages.append(page.extract_tables())
            text_seconds += read - start
            table_seconds += time.process_time() - read
    return Reading(text_seconds, text_seconds + table_seconds, _peak_bytes(), pages)


def read_as_product(path: Path) -> Reading:
    """As the workers do it, with the same functions."""
    load_readers()
    settle()  # as the process does that workers are made from
    keep_own_account()  # as each worker does
    source = Source(path, None)
    times = [_time(lambda: extract_part(source, MAX_PAGES, 1, None)) for _ in range(ROUNDS)]
    found = extract_part(source, MAX_PAGES, 1, None, wanted="ruled")  # the tables that pdfplumber looks for
    peak = _peak_bytes()
    text_times = [_time(lambda: search(source, MAX_PAGES, NOWHERE)) for _ in range(ROUNDS)]
    pages: list[list[Cells]] = [[] for _ in range(found.page_count)]
    for table in found.tables:
        pages[table.page_number - 1].append(table.data)
    return Reading(median(text_times), median(times), peak, pages)


def _time(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def _peak_bytes() -> int:
    """This process's own peak memory; ru_maxrss may be the one of its parent."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
    assert found is not None
    return int(found[1]) * 1024


READERS: dict[str, Callable[[Path], Reading]] = {"plain": read_plainly, "product": read_as_product}


def main() -> None:
    read, path = READERS[sys.argv[1]], Path(sys.argv[2])
    with tempfile.NamedTemporaryFile(suffix=".pdf") as file:  # warm up: one-time costs are not this file's
        file.write(pdfs.make_report(3))
        file.flush()
        read(Path(file.name))
    json.dump(read(path), sys.stdout)


if __name__ == "__main__":
    main()
