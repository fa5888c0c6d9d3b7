"""Measure the search over HTTP, beside GET /me, an ILIKE over the same pages, and Tantivy if it is installed.

    python -m bench.search                          # 10,000 pages, 100,000 messages
    python -m bench.search --full --at FOLDER       # 100,000 pages, 1,000,000 messages, and the small library beside it
    python -m bench.search uploads PATH…            # what the index adds to the processor time of an upload

A library in FOLDER is kept; it is filled for at most --minutes a call, then measured.
"""

import argparse
import contextlib
import importlib
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any, NamedTuple

import httpx
import psycopg2
from psycopg2.extensions import make_dsn

from bench.folder import find_pdfs
from bench.library import OWNER, PEOPLE, READER, Library, Size, questions
from bench.servers import HOUSE, PAGEWIRE, PAGEWIRE_ENVIRONMENT, Server, _server
from postgres.embedded import EmbeddedServer

SMALL = Size(documents=100, messages=100_000)
FULL = Size(documents=1000, messages=1_000_000)
ROUNDS = 60  # questions of each kind
ILIKE_ROUNDS = 3
WARM_UP = 5
PASSWORD = "correct horse battery"
WITHOUT_INDEX = (
    sys.executable,
    "-c",
    f"import sys; sys.path.insert(0, {str(HOUSE)!r}); import bench.unindexed as b; b.serve()",
)
UPLOAD_ROUNDS = 2


class Asker(NamedTuple):
    name: str
    user_id: int
    headers: dict[str, str]


class Side(NamedTuple):
    """A library that is served."""

    server: Server
    library: Library
    client: httpx.Client
    database: psycopg2.extensions.connection
    askers: list[Asker]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.search", description=__doc__)
    parser.add_argument("paths", nargs="*", metavar="uploads PATH")
    parser.add_argument("--full", action="store_true")
    parser.add_argument("--at", type=Path, help="a folder to keep the libraries in")
    parser.add_argument("--minutes", type=float, default=60.0, help="for filling them")
    arguments = parser.parse_args()
    with contextlib.ExitStack() as stack:
        place = arguments.at or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="pagewire-bench-")))
        place.mkdir(exist_ok=True)
        place.chmod(0o711)  # under root, PostgreSQL runs as another user, who must be able to pass
        postgres = EmbeddedServer(place)
        stack.callback(postgres.release)
        postgres.ensure_started()
        if arguments.paths[:1] == ["uploads"]:
            measure_uploads(postgres, place, [path for name in arguments.paths[1:] for path in find_pdfs(Path(name))])
            return
        until = time.monotonic() + 60 * arguments.minutes
        sizes = [SMALL, FULL] if arguments.full else [SMALL]
        sides = [stack.enter_context(open_library(postgres, place, size, until=until)) for size in sizes]
        if all(side.library.is_full() for side in sides) and time.monotonic() < until:
            report(sides, place)


# Servers


@contextlib.contextmanager
def serve(
    postgres: EmbeddedServer, home: Path, name: str, command: Sequence[str] = PAGEWIRE
) -> Iterator[tuple[Server, httpx.Client]]:
    """The product on the database *name*, which is created if it is not there."""
    with contextlib.closing(psycopg2.connect(make_dsn(**postgres.superuser_kwargs))) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("SELECT FROM pg_database WHERE datname = %s", (name,))
        if not cursor.rowcount:
            cursor.execute(f"CREATE DATABASE {name}")
    url = str(make_dsn(**{**postgres.superuser_kwargs, "dbname": name}))
    pid = int((postgres.folders.cluster / "postmaster.pid").read_text().split()[0])
    with (
        tempfile.TemporaryDirectory(prefix=f"{name}-", dir=home) as folder,
        _server(name, command, Path(folder, "home"), pid, url, **PAGEWIRE_ENVIRONMENT) as server,
        httpx.Client(base_url=f"http://127.0.0.1:{server.port}", timeout=60) as client,
    ):
        yield server, client


@contextlib.contextmanager
def open_library(postgres: EmbeddedServer, place: Path, size: Size, *, until: float) -> Iterator[Side]:
    """Serve a library; what it lacks is filled in before, *until* some moment."""
    name = f"pages_{size.pages}"
    with serve(postgres, place, name) as (_, client):
        askers = [
            Asker(kind, user_id, sign_in(client, f"asker{user_id}@example.com"))
            for user_id, kind in ((OWNER, "owner of 20"), (READER, f"reader of {size.documents // 2}"))
        ]
    url = make_dsn(**{**postgres.superuser_kwargs, "dbname": name})
    with contextlib.closing(psycopg2.connect(url)) as database:
        cursor = database.cursor()
        cursor.execute(
            "INSERT INTO users (id, email, password_hash, name) OVERRIDING SYSTEM VALUE "
            "SELECT n, 'user' || n || '@example.com', 'none', 'User ' || n FROM generate_series(3, %s) AS n "
            "ON CONFLICT DO NOTHING",
            (PEOPLE,),
        )
        database.commit()
        library = Library(cursor, size)
        for line in library.fill(until=until):
            print(f"{name}: {line}", flush=True)
        database.commit()
        with serve(postgres, place, name) as (server, client):
            yield Side(server, library, client, database, askers)


def sign_in(client: httpx.Client, email: str) -> dict[str, str]:
    """Register, unless that was done before."""
    client.post("/register", json={"email": email, "password": PASSWORD, "name": email.split("@")[0]})
    answer = client.post("/login", json={"email": email, "password": PASSWORD}).raise_for_status()
    return {"Authorization": f"Bearer {answer.json()['access_token']}"}


# Questions


class Figures(NamedTuple):
    """Milliseconds: of time until the answer, and of the processor time of the server and PostgreSQL."""

    search: list[float]
    me: list[float]
    tantivy: list[float]
    search_cpu: float
    me_cpu: float
    ilike_cpu: float


def report(sides: Sequence[Side], place: Path) -> None:
    for side in sides:
        print(side.library.describe())
    side = sides[-1]
    engine = Tantivy.open(side, place / f"tantivy-{side.library.size.pages}")
    time.sleep(3.0)  # a server learns how common words are, some moments after its start
    print("\n| | asker | p50, ms | p99 | GET /me, p50 | p99 | CPU | GET /me | ILIKE | by ILIKE | Tantivy, p50 |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for asker in side.askers:
        for kind in questions(side.library.words, asker.user_id):
            found = measure(side, asker, kind, engine)
            beside = f"{median(found.tantivy):.2f}" if found.tantivy else ""
            print(
                f"| {kind} | {asker.name} | {median(found.search):.2f} | {p99(found.search):.2f} | "
                f"{median(found.me):.2f} | {p99(found.me):.2f} | {found.search_cpu:.2f} | {found.me_cpu:.2f} | "
                f"{found.ilike_cpu:.1f} | {found.ilike_cpu / found.search_cpu:.1f}x | {beside} |",
                flush=True,
            )
    if len(sides) > 1:
        report_growth(sides)
    print(f"\nload average {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores at the end")


def report_growth(sides: Sequence[Side]) -> None:
    """A rare word, on eight pages in either library, asked in both in turn."""
    for number, asker in enumerate(sides[0].askers):
        taken: list[list[float]] = [[] for _ in sides]
        dice = random.Random(9)
        for _ in range(3 * ROUNDS):
            words = questions(sides[0].library.words, asker.user_id)["rare word"](dice)
            for times, side in zip(taken, sides, strict=True):
                times.append(ask(side.client, "/search", side.askers[number].headers, q=words))
        small, full = map(median, taken)
        print(
            f"rare word, {asker.name.split(' of')[0]}: {small:.2f} ms of {sides[0].library.size.pages:,} pages, "
            f"{full:.2f} ms of {sides[1].library.size.pages:,}: {full / small:.2f}x"
        )


def measure(side: Side, asker: Asker, kind: str, engine: "Tantivy | None") -> Figures:
    dice = random.Random(7)
    make = questions(side.library.words, asker.user_id)[kind]
    asked = [make(dice) for _ in range(WARM_UP + ROUNDS)]
    for words in asked[:WARM_UP]:
        ask(side.client, "/search", asker.headers, q=words)
    search, me, tantivy = [], [], []
    for words in asked[WARM_UP:]:  # in turn
        search.append(ask(side.client, "/search", asker.headers, q=words))
        me.append(ask(side.client, "/me", asker.headers))
        if engine is not None:
            tantivy.append(engine.ask(asker.user_id, words))
    began = side.server.cpu_seconds()
    for words in asked[WARM_UP:]:
        ask(side.client, "/search", asker.headers, q=words)
    searched = side.server.cpu_seconds()
    for _ in asked[WARM_UP:]:
        ask(side.client, "/me", asker.headers)
    answered = side.server.cpu_seconds()
    for words in asked[:ILIKE_ROUNDS]:
        ask_ilike(side.database, asker.user_id, words.strip('"'))
    ended = side.server.cpu_seconds()
    return Figures(
        search,
        me,
        tantivy,
        1000 * (searched - began) / ROUNDS,
        1000 * (answered - searched) / ROUNDS,
        1000 * (ended - answered) / ILIKE_ROUNDS,
    )


def p99(values: Sequence[float]) -> float:
    return quantiles(values, n=100)[98]


def ask(client: httpx.Client, path: str, headers: dict[str, str], **query: str) -> float:
    began = time.perf_counter()
    client.get(path, headers=headers, params=query).raise_for_status()
    return 1000 * (time.perf_counter() - began)


def ask_ilike(database: psycopg2.extensions.connection, user_id: int, words: str) -> None:
    """The same question, of pages alone, as a tutorial asks it."""
    cursor = database.cursor()
    cursor.execute(
        "SELECT document_id, page_number FROM pages WHERE text ILIKE %s AND document_id IN (SELECT id FROM documents "
        "WHERE user_id = %s UNION ALL SELECT document_id FROM document_shares WHERE user_id = %s) "
        "ORDER BY document_id DESC LIMIT 20",
        (f"%{words}%", user_id, user_id),
    )
    cursor.fetchall()
    database.rollback()


class Tantivy:
    """A library that is made for search alone, in this process: the same pages, with their readers as a field."""

    def __init__(self, index: Any, module: Any) -> None:
        self._index = index
        self._module = module
        self._searcher = index.searcher()

    @classmethod
    def open(cls, side: Side, folder: Path) -> "Tantivy | None":
        """None if it is not installed: pip install tantivy."""
        try:
            module = importlib.import_module("tantivy")
        except ImportError:
            return None
        builder = module.SchemaBuilder()
        builder.add_text_field("body", stored=False)
        builder.add_unsigned_field("reader", stored=False, indexed=True)
        is_new = not folder.exists()
        folder.mkdir(exist_ok=True)
        index = module.Index(builder.build(), path=str(folder))
        if is_new:
            began = time.process_time()
            writer = index.writer(num_threads=1)
            with side.database.cursor("pages") as cursor:
                cursor.execute(
                    "SELECT p.text, ARRAY(SELECT d.user_id UNION ALL "
                    "SELECT s.user_id FROM document_shares s WHERE s.document_id = d.id) "
                    "FROM pages p JOIN documents d ON d.id = p.document_id"
                )
                for text, readers in cursor:
                    document = module.Document(body=[text])
                    for reader in readers:
                        document.add_unsigned("reader", reader)
                    writer.add_document(document)
            writer.commit()
            writer.wait_merging_threads()
            side.database.rollback()
            size = sum(file.stat().st_size for file in folder.iterdir())
            pages = side.library.size.pages
            seconds = time.process_time() - began
            print(f"Tantivy: {1000 * seconds / pages:.2f} ms a page to build, {size / pages:,.0f} bytes a page")
        index.reload()
        return cls(index, module)

    def ask(self, user_id: int, words: str) -> float:
        query = self._module.Query
        began = time.perf_counter()
        wanted = self._index.parse_query(words, ["body"], conjunction_by_default=True)
        mine = query.term_query(self._index.schema, "reader", user_id)
        must = self._module.Occur.Must
        self._searcher.search(query.boolean_query([(must, wanted), (must, mine)]), 20)
        return 1000 * (time.perf_counter() - began)


# Uploads


def measure_uploads(postgres: EmbeddedServer, place: Path, files: Sequence[Path]) -> None:
    """Processor time of the server, its workers and PostgreSQL for all *files*, with the index and without, in turn."""
    with (
        serve(postgres, place, "indexed") as (indexed, client),
        serve(postgres, place, "unindexed", WITHOUT_INDEX) as (unindexed, other),
    ):
        sides = ((indexed, client), (unindexed, other))
        signed_in = [sign_in(each, "asker1@example.com") for _, each in sides]
        taken: list[list[float]] = [[], []]
        pages = 0
        for number in range(UPLOAD_ROUNDS + 1):  # the first warms up
            for (server, each), headers, times in zip(sides, signed_in, taken, strict=True):
                began = server.cpu_seconds()
                pages = sum(upload(each, headers, file, number) for file in files)
                time.sleep(3.0)  # the index is sorted in the background
                times.append(server.cpu_seconds() - began)
    with_index, without = (median(times[1:]) for times in taken)
    added = with_index - without
    print(
        f"{len(files)} PDFs, {pages} pages, processor time: {1000 * without / pages:.2f} ms a page without the index, "
        f"{1000 * with_index / pages:.2f} with it: {1000 * added / pages:.2f} more, {100 * added / without:.1f} %"
    )


def upload(client: httpx.Client, headers: dict[str, str], file: Path, number: int) -> int:
    """The number of its pages; 0 if it is refused."""
    data = file.read_bytes() + f"\n%{number}".encode()  # never the same bytes twice: those would not be extracted again
    answer = client.post("/upload-pdf", headers=headers, files={"file": (file.name, data, "application/pdf")})
    return int(answer.json()["page_count"]) if answer.status_code == 200 else 0


if __name__ == "__main__":
    main()
